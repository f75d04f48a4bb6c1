"""The commands that switch off, export and erase a person."""

import io
import json
from http import HTTPStatus
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from accounts.models import User
from accounts.services import lifecycle, staff
from accounts.services.links import InvalidLink
from audit.models import Event
from audit.origin import Origin
from tests.cast import Api, post_round
from tests.ledger import events, stored
from tests.lineage import Tokens, refused, row

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

ALL = [("deactivate_user",), ("export_user",), ("erase_user", "--yes")]
every_command = pytest.mark.parametrize("command", ALL, ids=[command[0] for command in ALL])


@pytest.fixture
def hers(api: Api, alice: User) -> Tokens:
    tokens: Tokens = api.login(alice.email).data
    return tokens


def run(command: str, *arguments: str) -> tuple[str, str]:
    """Run a command; return what it printed, and what it told on the way."""
    out, err = io.StringIO(), io.StringIO()
    call_command(command, *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_deactivating_ends_everything_at_once(api: Api, alice: User, hers: Tokens, bob: User) -> None:
    said, _progress = run("deactivate_user", " Alice@Example.ORG ")

    assert said == "alice@example.org was switched off.\n"
    assert refused(api.me(hers["accessToken"])) == "invalid_token"
    assert refused(api.refresh(hers["refreshToken"])) == "invalid_token"
    assert row(hers)["end_reason"] == "deactivated"
    assert api.login(bob.email).status == HTTPStatus.OK
    assert Event.objects.get(action="account.deactivated").user_agent == "deactivate_user"


def test_deactivating_again_changes_nothing(alice: User) -> None:
    first = json.loads(run("deactivate_user", alice.email, "--json")[0])
    before = stored()

    second = json.loads(run("deactivate_user", alice.email, "--json")[0])

    assert first == {"email": alice.email, "deactivated": True, "dryRun": False}
    assert second == {**first, "deactivated": False}
    assert run("deactivate_user", alice.email)[0] == "alice@example.org is off already. Nothing was changed.\n"
    assert stored() == before


def test_deactivating_closes_the_way_back_of_a_deletion(alice: User) -> None:
    lifecycle.request_erasure(user=alice, origin=Origin.system("tests"))
    (letter,) = post_round()

    assert run("deactivate_user", alice.email)[0] == "alice@example.org was switched off.\n"

    with pytest.raises(InvalidLink):
        lifecycle.restore(token=letter.token, origin=Origin.system("tests"))


@pytest.mark.parametrize("command", ["deactivate_user", "erase_user"])
def test_a_dry_run_tells_and_writes_nothing(alice: User, hers: Tokens, command: str) -> None:
    before = stored()

    said, _progress = run(command, alice.email, "--dry-run", "--json")

    assert json.loads(said)["dryRun"] is True
    assert "would be" in run(command, alice.email, "--dry-run")[0]
    assert stored() == before


def test_exporting_prints_what_the_person_gets(api: Api, alice: User, hers: Tokens) -> None:
    theirs = api.get("/api/v1/users/me/export", token=hers["accessToken"]).data

    said, progress = run("export_user", alice.email)

    printed = json.loads(said)
    assert printed.keys() == theirs.keys()
    assert printed["profile"]["email"] == alice.email
    assert printed["sessions"][0]["id"] == theirs["sessions"][0]["id"]
    assert progress == "alice@example.org: activity 2, devices 1, links 1, mails 1, sessions 1\n"
    assert events().count("account.exported") == 2
    assert Event.objects.filter(action="account.exported").latest("id").user_agent == "export_user"


def test_exported_as_json_it_is_one_line(alice: User) -> None:
    said, _progress = run("export_user", alice.email, "--json")

    assert said.count("\n") == 1
    assert json.loads(said)["profile"]["id"] == str(alice.pk)


def test_erasing_takes_a_yes(alice: User, hers: Tokens) -> None:
    before = stored()

    with pytest.raises(CommandError, match="--yes") as refusal:
        run("erase_user", alice.email)

    assert refusal.value.returncode == 1
    assert stored() == before


def test_erasing_is_at_once_and_tells_what_went(api: Api, alice: User, hers: Tokens, bob: User) -> None:
    expected = json.loads(run("erase_user", alice.email, "--dry-run", "--json")[0])

    said, progress = run("erase_user", alice.email, "--yes", "--json")

    assert json.loads(said) == {**expected, "erased": True, "dryRun": False}
    assert expected == {
        "email": alice.email,
        "erased": False,
        "sessions": 1,
        "devices": 1,
        "activity": 1,
        "mails": 1,
        "links": 1,
        "dryRun": True,
    }
    assert progress == "alice@example.org: erasing\n"
    assert list(User.objects.all()) == [bob]
    assert refused(api.me(hers["accessToken"])) == "invalid_token"
    assert Event.objects.get(action="account.erased").user_agent == "erase_user"


def test_erased_twice_the_second_time_finds_nobody(alice: User) -> None:
    said, _progress = run("erase_user", alice.email, "--yes")
    assert said.startswith("alice@example.org was erased, with\n")
    before = stored()

    with pytest.raises(CommandError, match="no account"):
        run("erase_user", alice.email, "--yes")

    assert stored() == before


@every_command
@pytest.mark.parametrize("address", ["nobody@example.org", "nobody", ""])
def test_an_address_of_nobody_is_a_failure(alice: User, command: tuple[str, ...], address: str) -> None:
    before = stored()

    with pytest.raises(CommandError) as refusal:
        run(command[0], address, *command[1:])

    assert refusal.value.returncode == 1
    assert stored() == before


@every_command
def test_a_database_that_refuses_is_said_in_one_line(
    alice: User, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    def refuse(_email: str) -> Any:
        raise DatabaseError("no such table\nLINE 1: …")

    monkeypatch.setattr(staff, "person_of", refuse)

    with pytest.raises(CommandError, match=r"^The database refused: no such table$"):
        run(command[0], alice.email, *command[1:])
