"""`SESSIONS_PER_USER`: who signs in once too often loses the oldest session."""

from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from accounts.services import signin
from audit.models import Event
from audit.origin import Origin
from authsvc.tokens.models import Session
from authsvc.tokens.services import sessions
from authsvc.tokens.services.known_devices import Presented
from tests.cast import OTHER_PASSWORD, Api
from tests.crowd import at_once
from tests.lineage import Tokens, change, refused, row, session_events

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture
def _three(settings: Settings) -> None:
    settings.SESSIONS_PER_USER = 3


def sign_in(api: Api, user: User) -> Tokens:
    tokens: Tokens = api.login(user.email).data
    return tokens


def alive(api: Api, *everything: Tokens) -> list[bool]:
    return [api.me(tokens["accessToken"]).status == HTTPStatus.OK for tokens in everything]


def test_without_the_setting_there_is_no_end_to_them(api: Api, alice: User) -> None:
    signed_in = [sign_in(api, alice) for _ in range(6)]

    assert all(alive(api, *signed_in))


@pytest.mark.usefixtures("_three")
def test_the_oldest_goes_when_one_too_many_comes(api: Api, alice: User, bob: User) -> None:
    bobs = sign_in(api, bob)
    first, second, third = (sign_in(api, alice) for _ in range(3))
    assert alive(api, first, second, third) == [True] * 3

    fourth = sign_in(api, alice)

    assert alive(api, first, second, third, fourth, bobs) == [False, True, True, True, True]
    assert refused(api.refresh(first["refreshToken"])) == "invalid_token"
    assert row(first)["end_reason"] == "cap"
    (event,) = Event.objects.filter(action="session.ended")
    assert (str(event.session_id), event.metadata) == (first["session"]["id"], {"reason": "cap"})
    assert (event.actor, event.subject) == (alice.audit_key, alice.audit_key)


@pytest.mark.usefixtures("_three")
def test_the_oldest_by_its_beginning_not_by_its_use(api: Api, alice: User) -> None:
    first, second, _third = (sign_in(api, alice) for _ in range(3))
    first = api.refresh(first["refreshToken"]).data

    sign_in(api, alice)

    assert alive(api, first, second) == [False, True]


@pytest.mark.usefixtures("_three")
def test_what_is_over_takes_no_place(api: Api, alice: User) -> None:
    first, ended, idle = (sign_in(api, alice) for _ in range(3))
    change(ended, ended_at=timezone.now(), end_reason="logout")
    change(idle, refreshed_at="2026-01-01T00:00:00Z")

    more = [sign_in(api, alice) for _ in range(2)]

    assert alive(api, first, *more) == [True] * 3
    assert row(ended)["end_reason"] == "logout"


def test_a_lower_setting_is_reached_at_the_next_sign_in(api: Api, alice: User, settings: Settings) -> None:
    before = [sign_in(api, alice) for _ in range(5)]
    settings.SESSIONS_PER_USER = 2

    newest = sign_in(api, alice)

    assert alive(api, *before, newest) == [False] * 4 + [True] * 2
    assert session_events() == ["session.ended"] * 4


def test_one_is_enough_for_some(api: Api, alice: User, settings: Settings) -> None:
    settings.SESSIONS_PER_USER = 1

    first, second = sign_in(api, alice), sign_in(api, alice)

    assert alive(api, first, second) == [False, True]


@pytest.mark.usefixtures("_three")
def test_a_failed_sign_in_ends_nothing(api: Api, alice: User) -> None:
    signed_in = [sign_in(api, alice) for _ in range(3)]

    assert refused(api.login(alice.email, OTHER_PASSWORD)) == "invalid_credentials"

    assert alive(api, *signed_in) == [True] * 3


@pytest.mark.usefixtures("_three")
def test_a_sign_in_that_fails_at_its_end_ends_nothing(api: Api, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    signed_in = [sign_in(api, alice) for _ in range(3)]

    def broken(*_args: Any, **_more: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(sessions, "insert", broken)
        assert api.login(alice.email).status == HTTPStatus.INTERNAL_SERVER_ERROR

    assert alive(api, *signed_in) == [True] * 3
    assert session_events() == []


@pytest.mark.usefixtures("_three")
@pytest.mark.django_db(transaction=True)
def test_twenty_sign_ins_at_once_leave_three(api: Api, alice: User) -> None:
    def grant() -> str:
        user = User.objects.get(pk=alice.pk)
        origin = Origin(ip="192.0.2.10", user_agent="tests", request_id=str(uuid4()), actor_id=None)
        issued = signin.grant(user, amr=["pwd"], device=Presented(), origin=origin, password_hash=user.password)
        return issued.access_token

    granted = at_once([grant] * 20)

    assert Session.objects.live_of(alice).count() == 3
    assert sum(api.me(token).status == HTTPStatus.OK for token in granted) == 3
    assert Session.objects.filter(end_reason="cap").count() == 17
    assert session_events() == ["session.ended"] * 17
    assert Event.objects.filter(action="account.signin.succeeded").count() == 20


@pytest.mark.usefixtures("_three")
@pytest.mark.django_db(transaction=True)
def test_signing_in_and_out_everywhere_at_once_ends_in_no_failure(api: Api, alice: User) -> None:
    for _ in range(3):
        signed_in = [sign_in(api, alice) for _ in range(3)]
        signing_out = [partial(Api().post, "/api/v1/auth/logout-all", token=each["accessToken"]) for each in signed_in]

        answers = at_once([*(partial(Api().login, alice.email) for _ in range(4)), *signing_out])

        assert {answer.status for answer in answers} <= {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}
        assert Session.objects.live_of(alice).count() <= 3
