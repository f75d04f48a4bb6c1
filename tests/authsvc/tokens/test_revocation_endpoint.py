"""A service ends what a token belongs to (RFC 7009): for good, at once, and without telling what it was."""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from pytest_django import Settings

from accounts.models import User
from audit.models import Event
from authsvc.tokens.models import Session
from tests.cast import Answer, Api
from tests.lineage import Tokens, change, refreshed, refused, row
from tests.signing import FORM, REVOKE, Service

pytestmark = pytest.mark.django_db

NEW_KEY = b"another key for the tests, 32 by"
KINDS = ["accessToken", "refreshToken"]


@pytest.fixture
def service(db: None) -> Service:
    return Service.created("billing", "ed25519")


@pytest.fixture
def tokens(api: Api, alice: User) -> Tokens:
    data: Tokens = api.login(alice.email).data
    return data


def done(answer: Answer) -> bool:
    assert answer.status == HTTPStatus.OK, answer.body
    assert answer.headers["Cache-Control"] == "no-store"
    return bool(answer.raw == b"{}")


def dead(api: Api, tokens: Tokens) -> bool:
    answers = (api.me(tokens["accessToken"]), api.refresh(tokens["refreshToken"]))
    return {refused(answer) for answer in answers} == {"invalid_token"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hint", [{}, {"token_type_hint": "access_token"}, {"token_type_hint": "refresh_token"}])
def test_either_token_ends_the_session_whatever_the_hint(
    service: Service, api: Api, tokens: Tokens, kind: str, hint: dict[str, str]
) -> None:
    assert done(service.revoke(tokens[kind], **hint))

    assert row(tokens)["end_reason"] == "client"
    assert dead(api, tokens)
    assert service.introspect(tokens[kind]).body == {"active": False}


def test_other_sessions_go_on(service: Service, api: Api, alice: User, tokens: Tokens) -> None:
    other = api.login(alice.email).data

    assert done(service.revoke(tokens["accessToken"]))

    assert api.me(other["accessToken"]).status == HTTPStatus.OK
    assert api.refresh(other["refreshToken"]).status == HTTPStatus.OK


def test_the_log_tells_which_service_did_it(service: Service, alice: User, tokens: Tokens) -> None:
    service.revoke(tokens["accessToken"])

    event = Event.objects.get(action="session.revoked_by_client")
    assert (event.subject, event.actor, event.outcome) == (alice.audit_key, None, "success")
    assert (event.resource, str(event.session_id)) == (f"session:{tokens['session']['id']}", tokens["session"]["id"])
    assert event.metadata == {"reason": "client", "client": "billing", "clientId": service.client_id}
    assert event.ip == "192.0.2.77"


@pytest.mark.parametrize("kind", KINDS)
def test_once_more_changes_nothing(service: Service, tokens: Tokens, kind: str) -> None:
    service.revoke(tokens[kind])
    before, events = row(tokens), Event.objects.count()

    assert done(service.revoke(tokens[kind]))

    assert (row(tokens), Event.objects.count()) == (before, events)


def test_a_refresh_token_of_an_earlier_generation_will_do(service: Service, api: Api, tokens: Tokens) -> None:
    latest = api.refresh(api.refresh(tokens["refreshToken"]).data["refreshToken"]).data
    refreshed(tokens, timedelta(minutes=1))

    assert done(service.revoke(tokens["refreshToken"]))

    assert row(tokens)["end_reason"] == "client"
    assert dead(api, latest)


def test_a_session_that_is_over_keeps_its_reason(service: Service, tokens: Tokens) -> None:
    change(tokens, ended_at="2026-01-01T00:00:00Z", end_reason="logout")

    assert done(service.revoke(tokens["refreshToken"]))

    assert row(tokens)["end_reason"] == "logout"
    assert Event.objects.filter(action="session.revoked_by_client").count() == 0


@pytest.mark.parametrize("token", ["x", "a.b.c", "A" * 91, "é", "\0", "x" * 60_000])
def test_what_is_no_token_is_done_with(service: Service, tokens: Tokens, token: str) -> None:
    before, events = row(tokens), Event.objects.count()

    assert done(service.revoke(token))

    assert (row(tokens), Event.objects.count()) == (before, events)


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_with_one_character_changed_ends_nothing(service: Service, api: Api, tokens: Tokens, kind: str) -> None:
    token = tokens[kind]
    changed = token[:-12] + ("A" if token[-12] != "A" else "B") + token[-11:]

    assert done(service.revoke(changed))
    assert done(service.revoke(token[:-1]))

    assert api.me(tokens["accessToken"]).status == HTTPStatus.OK


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        (b"", {"token": "required"}),
        (b"token=a&token=b", {"token": "duplicate_field"}),
    ],
)
def test_a_form_that_is_not_as_it_should_be(service: Service, body: bytes, problems: dict[str, str]) -> None:
    answer = service.post(REVOKE, body)

    assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, problems)


def test_a_parameter_that_no_rfc_names_is_ignored(service: Service, api: Api, tokens: Tokens) -> None:
    assert done(service.post(REVOKE, f"token={tokens['refreshToken']}&resource=mail".encode()))

    assert api.me(tokens["accessToken"]).codes == ["invalid_token"]


def test_a_json_body(service: Service, tokens: Tokens) -> None:
    answer = service.post(REVOKE, b'{"token": "x"}', "application/json")

    assert (answer.status, answer.codes) == (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, ["unsupported_media_type"])


def test_nobody_else_revokes(api: Api, tokens: Tokens) -> None:
    body = f"token={tokens['refreshToken']}".encode()

    answer = api.raw("POST", REVOKE, body, FORM, authorization=f"Bearer {tokens['accessToken']}")

    assert (answer.status, answer.codes) == (HTTPStatus.UNAUTHORIZED, ["invalid_signature"])
    assert row(tokens)["ended_at"] is None


@pytest.mark.parametrize("kind", KINDS)
def test_where_the_state_can_not_be_written_the_answer_is_not_done(
    service: Service, api: Api, tokens: Tokens, kind: str
) -> None:
    def no_updates(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE"):
            raise OperationalError("cannot write")
        return execute(sql, *rest)

    with connection.execute_wrapper(no_updates):
        answer = service.revoke(tokens[kind])

    assert (answer.status, answer.codes) == (HTTPStatus.SERVICE_UNAVAILABLE, ["unavailable"])
    assert answer.headers["Retry-After"] == "1"
    assert api.me(tokens["accessToken"]).status == HTTPStatus.OK


def test_a_database_that_takes_no_writes(service: Service, api: Api, tokens: Tokens) -> None:
    read_only = "PRAGMA query_only = {}" if connection.vendor == "sqlite" else "SET LOCAL transaction_read_only = {}"
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute(read_only.format("on"))
        answer = service.revoke(tokens["refreshToken"])
        if connection.vendor == "sqlite":
            cursor.execute(read_only.format("off"))
        else:
            transaction.set_rollback(True)  # PostgreSQL's way back to writing

    assert (answer.status, answer.codes) == (HTTPStatus.SERVICE_UNAVAILABLE, ["unavailable"])
    assert answer.headers["Retry-After"] == "1"
    assert api.me(tokens["accessToken"]).status == HTTPStatus.OK


def test_a_node_that_lacks_the_key_of_a_refresh_token_does_not_say_done(
    service: Service, tokens: Tokens, settings: Settings
) -> None:
    (key,) = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = (NEW_KEY,)

    answer = service.revoke(tokens["refreshToken"])

    assert (answer.status, answer.headers["Retry-After"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "1")
    settings.ENCRYPTION_KEYS = (NEW_KEY, key)
    assert Session.objects.get().ended_at is None
    assert done(service.revoke(tokens["refreshToken"]))
    assert Session.objects.get().end_reason == "client"
