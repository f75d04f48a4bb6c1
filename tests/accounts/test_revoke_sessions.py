"""The command that ends every session of a person."""

import io
import json
from http import HTTPStatus
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from accounts.models import User
from accounts.services import staff
from audit.models import Event
from tests.cast import Api
from tests.lineage import Tokens, refused, row

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture
def hers(api: Api, alice: User) -> list[Tokens]:
    return [api.login(alice.email).data for _ in range(2)]


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("revoke_sessions", *arguments, stdout=out)
    return out.getvalue()


def test_every_session_ends_and_nobody_elses(api: Api, alice: User, hers: list[Tokens], bob: User) -> None:
    bobs = api.login(bob.email).data

    said = run("alice@example.org")

    assert said == "Live sessions of alice@example.org that were ended: 2.\n"
    for tokens in hers:
        assert refused(api.me(tokens["accessToken"])) == "invalid_token"
        assert refused(api.refresh(tokens["refreshToken"])) == "invalid_token"
        assert row(tokens)["end_reason"] == "staff"
    assert api.me(bobs["accessToken"]).status == HTTPStatus.OK
    assert api.login(alice.email).status == HTTPStatus.OK


def test_the_admin_site_asks_anew_too(admin: User) -> None:
    before = admin.get_session_auth_hash()

    run(admin.email)

    assert User.objects.get().get_session_auth_hash() != before


@pytest.mark.parametrize("address", ["Alice@Example.ORG", " alice@example.org "])
def test_an_address_is_found_however_it_is_written(api: Api, hers: list[Tokens], address: str) -> None:
    run(address)

    assert refused(api.me(hers[0]["accessToken"])) == "invalid_token"


def test_the_log_tells_which_command_did_it(alice: User, hers: list[Tokens]) -> None:
    run(alice.email)

    event = Event.objects.get(action="session.all_ended")
    assert (event.subject, event.actor, event.user_agent) == (alice.audit_key, None, "revoke_sessions")
    assert event.metadata == {"reason": "staff", "sessions": 2}


def test_json_tells_how_many_and_repeating_it_is_safe(alice: User, hers: list[Tokens]) -> None:
    said = [json.loads(run(alice.email, "--json")) for _ in range(2)]

    assert said == [{"email": "alice@example.org", "sessions": count, "dryRun": False} for count in (2, 0)]


def test_a_dry_run_counts_and_ends_nothing(api: Api, alice: User, hers: list[Tokens]) -> None:
    before = User.objects.values().get()

    assert json.loads(run(alice.email, "--json", "--dry-run")) == {
        "email": "alice@example.org",
        "sessions": 2,
        "dryRun": True,
    }
    assert run(alice.email, "--dry-run") == "Live sessions of alice@example.org that would be ended: 2.\n"

    assert User.objects.values().get() == before
    assert {api.me(tokens["accessToken"]).status for tokens in hers} == {HTTPStatus.OK}
    assert not Event.objects.filter(action="session.all_ended").exists()


@pytest.mark.parametrize("address", ["nobody@example.org", "nobody", "", "a@b@c"])
def test_an_address_of_nobody_is_a_failure(hers: list[Tokens], address: str) -> None:
    for options in ((), ("--dry-run",)):
        with pytest.raises(CommandError) as refusal:
            run(address, *options)
        assert refusal.value.returncode == 1
    assert row(hers[0])["ended_at"] is None


def test_a_database_that_refuses_is_said_in_one_line(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_values: Any) -> int:
        raise DatabaseError("no such table\nLINE 1: …")

    monkeypatch.setattr(staff, "revoke_sessions", refuse)

    with pytest.raises(CommandError, match=r"^The database refused: no such table$"):
        run(alice.email)
