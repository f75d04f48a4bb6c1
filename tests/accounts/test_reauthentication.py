"""Step-up: proving again who one is, and what that is good for."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import jwt
import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from audit.models import Event
from authsvc import hashing
from authsvc.errors import Unavailable
from authsvc.tokens.models import Session
from authsvc.tokens.services import step_up
from authsvc.tokens.services.access import InvalidToken
from tests.cast import OTHER_PASSWORD, PASSWORD, V1, Answer, Api
from tests.lineage import Tokens, change, refused, row

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases, pytest.mark.urls("tests.accounts.step_up_urls")]

REAUTHENTICATE = f"{V1}/auth/reauthenticate"
VAULT = f"{V1}/vault"
SECOND = timedelta(seconds=1)
STEP_UP = timedelta(minutes=10)


@pytest.fixture
def hers(api: Api, alice: User) -> Tokens:
    """Alice signed in on one device."""
    tokens: Tokens = api.login(alice.email).data
    return tokens


def prove(api: Api, tokens: Tokens, password: str = PASSWORD) -> Answer:
    return api.post(REAUTHENTICATE, {"password": password}, token=tokens["accessToken"])


def proved(tokens: Tokens, ago: timedelta) -> None:
    """Let the last full proof have been so long ago."""
    change(tokens, authenticated_at=timezone.now() - ago)


def vault(api: Api, tokens: Tokens) -> HTTPStatus:
    answer = api.get(VAULT, token=tokens["accessToken"])
    if answer.status != HTTPStatus.OK:
        assert (answer.status, answer.codes) == (HTTPStatus.FORBIDDEN, ["reauthentication_required"])
        assert "/auth/reauthenticate" in answer.body["message"]
    return answer.status


def events() -> list[tuple[str, str, dict[str, Any]]]:
    found = Event.objects.filter(action__startswith="account.reauthentication").order_by("id")
    return [(event.action, event.outcome, event.metadata) for event in found]


def auth_time(tokens: Tokens) -> int:
    claims = jwt.decode(tokens["accessToken"], options={"verify_signature": False})
    return int(claims["auth_time"])


# When a proof counts


def test_signing_in_counts_for_ten_minutes_and_no_longer(api: Api, hers: Tokens) -> None:
    assert vault(api, hers) == HTTPStatus.OK

    proved(hers, STEP_UP - 5 * SECOND)
    assert vault(api, hers) == HTTPStatus.OK

    proved(hers, STEP_UP + SECOND)
    assert vault(api, hers) == HTTPStatus.FORBIDDEN


def test_the_right_password_counts_for_ten_minutes_from_now(api: Api, hers: Tokens) -> None:
    proved(hers, timedelta(days=3))
    assert vault(api, hers) == HTTPStatus.FORBIDDEN

    answer = prove(api, hers)

    assert answer.status == HTTPStatus.OK
    assert list(answer.data) == ["reauthenticatedUntil"]
    until = datetime.fromisoformat(answer.data["reauthenticatedUntil"])
    assert abs(until - timezone.now() - STEP_UP) < 5 * SECOND
    assert until == row(hers)["authenticated_at"] + STEP_UP
    assert vault(api, hers) == HTTPStatus.OK
    proved(hers, STEP_UP + SECOND)
    assert vault(api, hers) == HTTPStatus.FORBIDDEN


def test_how_long_is_a_setting_that_binds_proofs_of_before(api: Api, hers: Tokens, settings: Settings) -> None:
    proved(hers, timedelta(minutes=2))
    settings.STEP_UP = timedelta(minutes=1)
    assert vault(api, hers) == HTTPStatus.FORBIDDEN

    settings.STEP_UP = timedelta(minutes=3)
    assert vault(api, hers) == HTTPStatus.OK


def test_a_refresh_is_no_proof(api: Api, hers: Tokens) -> None:
    proved(hers, STEP_UP + SECOND)

    second = api.refresh(hers["refreshToken"]).data

    assert vault(api, second) == HTTPStatus.FORBIDDEN


def test_it_counts_for_this_session_alone(api: Api, alice: User, hers: Tokens) -> None:
    elsewhere = api.login(alice.email).data
    for tokens in (hers, elsewhere):
        proved(tokens, STEP_UP + SECOND)

    prove(api, hers)

    assert [vault(api, tokens) for tokens in (hers, elsewhere)] == [HTTPStatus.OK, HTTPStatus.FORBIDDEN]


def test_tokens_refreshed_later_tell_of_it(api: Api, hers: Tokens) -> None:
    proved(hers, timedelta(days=1))
    second = api.refresh(hers["refreshToken"]).data
    prove(api, second)

    third = api.refresh(second["refreshToken"]).data

    assert auth_time(second) < auth_time(hers)
    assert auth_time(third) == int(row(third)["authenticated_at"].timestamp()) > auth_time(second)


def test_nobody_gets_anywhere_without_signing_in(api: Api, hers: Tokens) -> None:
    assert refused(api.get(VAULT)) == "not_authenticated"
    assert refused(api.get(VAULT, token="a.b.c")) == "invalid_token"
    assert refused(api.post(REAUTHENTICATE, {"password": PASSWORD})) == "not_authenticated"


# What is written


def test_a_proof_changes_that_time_and_nothing_else(api: Api, hers: Tokens) -> None:
    before = row(hers)

    prove(api, hers)

    after = row(hers)
    assert {name for name, value in after.items() if before[name] != value} == {"authenticated_at"}


def test_the_log_tells_of_both_outcomes(api: Api, alice: User, hers: Tokens) -> None:
    prove(api, hers, OTHER_PASSWORD)
    prove(api, hers)

    assert events() == [
        ("account.reauthentication.failed", "failure", {"reason": "password"}),
        ("account.reauthentication.succeeded", "success", {}),
    ]
    for event in Event.objects.filter(action__startswith="account.reauthentication"):
        assert (event.actor, event.subject, str(event.session_id)) == (
            alice.audit_key,
            alice.audit_key,
            hers["session"]["id"],
        )


# What is no proof


@pytest.mark.parametrize("password", [OTHER_PASSWORD, PASSWORD + " ", PASSWORD.upper(), "x"])
def test_a_wrong_password_is_said_and_changes_nothing(api: Api, hers: Tokens, password: str) -> None:
    proved(hers, STEP_UP + SECOND)
    before = row(hers)

    answer = prove(api, hers, password)

    assert answer.status == HTTPStatus.BAD_REQUEST
    assert answer.problems == {"password": "password_incorrect"}
    assert row(hers) == before
    assert vault(api, hers) == HTTPStatus.FORBIDDEN
    assert api.me(hers["accessToken"]).status == HTTPStatus.OK


def test_a_wrong_password_takes_no_proof_back(api: Api, hers: Tokens) -> None:
    prove(api, hers, OTHER_PASSWORD)

    assert vault(api, hers) == HTTPStatus.OK


def test_somebody_elses_password_is_a_wrong_one(api: Api, hers: Tokens, bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(password=hashing.make(OTHER_PASSWORD))

    assert prove(api, hers, OTHER_PASSWORD).problems == {"password": "password_incorrect"}


def test_an_account_without_a_password_has_no_right_one(api: Api, alice: User, hers: Tokens) -> None:
    alice.set_unusable_password()
    alice.save(update_fields=["password"])

    for password in (PASSWORD, alice.password, "!"):
        assert prove(api, hers, password).problems == {"password": "password_incorrect"}


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"password": "required"}),
        ({"password": ""}, {"password": "too_short"}),
        ({"password": 1}, {"password": "invalid_type"}),
        ({"password": None}, {"password": "invalid_type"}),
        ({"password": PASSWORD, "sessionId": "x"}, {"sessionId": "unknown_field"}),
        ({"password": "x" * 1025}, {"password": "too_long"}),
    ],
)
def test_a_body_that_can_not_be_is_refused_before_any_work(
    api: Api, hers: Tokens, body: dict[str, object], problems: dict[str, str]
) -> None:
    answer = api.post(REAUTHENTICATE, body, token=hers["accessToken"])

    assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, problems)
    assert events() == []


# What happens meanwhile


@pytest.mark.parametrize(
    "meanwhile", [{"ended_at": "2026-01-01T00:00:00Z"}, {"stamp": uuid4()}, {"refreshed_at": "2026-01-01T00:00:00Z"}]
)
def test_a_session_that_ends_while_the_password_is_checked_gets_nothing(
    api: Api, hers: Tokens, monkeypatch: pytest.MonkeyPatch, meanwhile: dict[str, object]
) -> None:
    verify = hashing.verify

    def slowly(*args: Any) -> bool:
        change(hers, **meanwhile)
        return verify(*args)

    monkeypatch.setattr(hashing, "verify", slowly)
    before = row(hers)["authenticated_at"]

    assert refused(prove(api, hers)) == "invalid_token"

    assert row(hers)["authenticated_at"] == before
    assert events() == [("account.reauthentication.failed", "failure", {"reason": "changed"})]


def test_a_session_that_is_gone_by_then_gets_nothing(api: Api, hers: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    verify = hashing.verify

    def slowly(*args: Any) -> bool:
        Session.objects.all().delete()
        return verify(*args)

    monkeypatch.setattr(hashing, "verify", slowly)

    assert refused(prove(api, hers)) == "invalid_token"


def test_where_hashing_is_busy_it_can_be_tried_again(api: Api, hers: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_args: Any) -> bool:
        raise Unavailable

    monkeypatch.setattr(hashing, "verify", busy)

    answer = prove(api, hers)

    assert (answer.status, answer.headers["Retry-After"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "1")
    assert events() == []


@pytest.mark.django_db(transaction=True)
def test_no_transaction_waits_for_the_hash(api: Api, hers: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    verify, waiting = hashing.verify, []

    def watched(*args: Any) -> bool:
        waiting.append(connection.in_atomic_block)
        return verify(*args)

    monkeypatch.setattr(hashing, "verify", watched)

    assert prove(api, hers).status == HTTPStatus.OK
    assert waiting == [False]


def test_a_session_that_ended_since_its_caller_was_let_in_is_over_and_not_merely_stale(
    api: Api, alice: User, hers: Tokens
) -> None:
    session = Session.objects.get()
    step_up.require(session)
    api.post(f"{V1}/auth/logout", token=hers["accessToken"])

    with pytest.raises(InvalidToken):
        step_up.require(session)
