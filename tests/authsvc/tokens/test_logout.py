"""Signing out: here, and everywhere."""

import time
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts.models import User
from audit.models import Event
from authsvc import crypto
from authsvc.tokens.models import Session
from tests.cast import V1, Answer, Api
from tests.lineage import Tokens, change, refused, row, session_events

pytestmark = pytest.mark.django_db

LOGOUT = f"{V1}/auth/logout"
LOGOUT_ALL = f"{V1}/auth/logout-all"


@pytest.fixture
def laptop(api: Api, alice: User) -> Tokens:
    tokens: Tokens = api.login(alice.email, deviceName="laptop").data
    return tokens


@pytest.fixture
def phone(api: Api, alice: User) -> Tokens:
    tokens: Tokens = api.login(alice.email, deviceName="phone").data
    return tokens


@pytest.fixture
def bobs(api: Api, bob: User) -> Tokens:
    tokens: Tokens = api.login(bob.email).data
    return tokens


def works(api: Api, tokens: Tokens) -> bool:
    """Whether both tokens open what they should, without using one up."""
    before = row(tokens)
    answers = [api.me(tokens["accessToken"]), api.refresh(tokens["refreshToken"])]
    change(tokens, **{name: before[name] for name in ("refresh_generation", "refresh_hash", "refreshed_at")})
    if {answer.status for answer in answers} == {HTTPStatus.OK}:
        return True
    assert [refused(answer) for answer in answers] == ["invalid_token", "invalid_token"]
    return False


def signed_out(answer: Answer) -> bool:
    return (answer.status, answer.data, answer.body["success"]) == (HTTPStatus.OK, None, True)


def test_the_bearer_ends_the_own_session_and_no_other(
    api: Api, alice: User, laptop: Tokens, phone: Tokens, bobs: Tokens
) -> None:
    assert signed_out(api.post(LOGOUT, token=laptop["accessToken"]))

    assert (row(laptop)["end_reason"], row(laptop)["ended_at"] is None) == ("logout", False)
    assert [works(api, tokens) for tokens in (laptop, phone, bobs)] == [False, True, True]
    event = Event.objects.get(action="session.ended")
    assert (event.outcome, event.actor, event.subject) == ("success", alice.audit_key, alice.audit_key)
    assert (str(event.session_id), event.metadata) == (laptop["session"]["id"], {"reason": "logout"})


def test_a_refresh_token_ends_its_session_and_no_other(
    api: Api, alice: User, laptop: Tokens, phone: Tokens, bobs: Tokens
) -> None:
    assert signed_out(api.post(LOGOUT, {"refreshToken": laptop["refreshToken"]}))

    assert row(laptop)["end_reason"] == "logout"
    assert [works(api, tokens) for tokens in (laptop, phone, bobs)] == [False, True, True]
    event = Event.objects.get(action="session.ended")
    assert (event.actor, event.subject) == (alice.audit_key, alice.audit_key)


def test_both_tokens_of_one_session_end_it_once(api: Api, laptop: Tokens) -> None:
    answer = api.post(LOGOUT, {"refreshToken": laptop["refreshToken"]}, token=laptop["accessToken"])

    assert signed_out(answer)
    assert row(laptop)["end_reason"] == "logout"
    assert session_events() == ["session.ended"]


def test_of_two_sessions_the_bearers_ends(api: Api, laptop: Tokens, phone: Tokens) -> None:
    assert signed_out(api.post(LOGOUT, {"refreshToken": phone["refreshToken"]}, token=laptop["accessToken"]))

    assert [works(api, tokens) for tokens in (laptop, phone)] == [False, True]


@pytest.mark.parametrize("body", [None, {}])
def test_without_a_token_nothing_ends(api: Api, laptop: Tokens, body: object) -> None:
    before = row(laptop)

    assert refused(api.post(LOGOUT, body)) == "not_authenticated"

    assert row(laptop) == before


@pytest.mark.parametrize("how", ["bearer", "refresh token"])
def test_signing_out_twice_is_signing_out_once(api: Api, laptop: Tokens, how: str) -> None:
    def sign_out() -> Answer:
        if how == "bearer":
            return api.post(LOGOUT, token=laptop["accessToken"])
        return api.post(LOGOUT, {"refreshToken": laptop["refreshToken"]})

    assert signed_out(sign_out())
    ended = row(laptop)

    assert signed_out(sign_out())

    assert row(laptop) == ended
    assert session_events() == ["session.ended"]


@pytest.mark.parametrize("reason", ["staff", "reuse", "logout_all"])
def test_a_session_that_ended_otherwise_keeps_its_reason(api: Api, laptop: Tokens, reason: str) -> None:
    change(laptop, ended_at=timezone.now() - timedelta(hours=1), end_reason=reason)
    before = row(laptop)

    assert signed_out(api.post(LOGOUT, token=laptop["accessToken"]))
    assert signed_out(api.post(LOGOUT, {"refreshToken": laptop["refreshToken"]}))

    assert row(laptop) == before
    assert session_events() == []


def test_an_older_refresh_token_still_signs_out(api: Api, laptop: Tokens) -> None:
    newer = api.refresh(laptop["refreshToken"]).data

    assert signed_out(api.post(LOGOUT, {"refreshToken": laptop["refreshToken"]}))

    assert row(laptop)["end_reason"] == "logout"
    assert refused(api.refresh(newer["refreshToken"])) == "invalid_token"


def test_with_an_access_token_that_is_over_the_refresh_token_signs_out(api: Api, laptop: Tokens, phone: Tokens) -> None:
    with time_machine.travel(time.time() + 901, tick=False):
        assert refused(api.post(LOGOUT, token=laptop["accessToken"])) == "invalid_token"
        assert row(laptop)["ended_at"] is None

        answer = api.post(LOGOUT, {"refreshToken": laptop["refreshToken"]}, token=laptop["accessToken"])

    assert signed_out(answer)
    assert [works(api, tokens) for tokens in (laptop, phone)] == [False, True]


@pytest.mark.parametrize("header", ["Basic x", "Bearer", "Bearer forged", ""])
def test_a_bad_authorization_header_ends_nothing_by_itself(api: Api, laptop: Tokens, header: str) -> None:
    before = row(laptop)

    assert refused(api.post(LOGOUT, authorization=header)) == "invalid_token"

    assert row(laptop) == before


def test_a_forged_refresh_token_ends_nothing(api: Api, laptop: Tokens) -> None:
    before = row(laptop)
    data = bytearray(crypto.b64decode(laptop["refreshToken"]))
    data[-1] ^= 1

    for token in (crypto.b64encode(bytes(data)), laptop["refreshToken"][:-1], laptop["accessToken"]):
        assert refused(api.post(LOGOUT, {"refreshToken": token})) == "invalid_token"

    assert row(laptop) == before


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({"refreshToken": None}, {"refreshToken": "invalid_type"}),
        ({"refreshToken": ["{token}"]}, {"refreshToken": "invalid_type"}),
        ({"refreshToken": ""}, {"refreshToken": "too_short"}),
        ({"all": True}, {"all": "unknown_field"}),
        ([], {None: "invalid_type"}),
    ],
)
def test_a_malformed_body_ends_nothing_even_with_a_good_bearer(
    api: Api, laptop: Tokens, body: object, problems: dict[str | None, str]
) -> None:
    before = row(laptop)

    answer = api.post(LOGOUT, body, token=laptop["accessToken"])

    assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, problems)
    assert row(laptop) == before


def test_who_signs_out_and_in_again_gets_another_session(api: Api, alice: User, laptop: Tokens) -> None:
    api.post(LOGOUT, token=laptop["accessToken"])

    again = api.login(alice.email).data

    assert again["session"]["id"] != laptop["session"]["id"]
    assert [works(api, tokens) for tokens in (laptop, again)] == [False, True]


def test_a_session_id_that_the_client_brings_is_not_taken(api: Api, alice: User, laptop: Tokens) -> None:
    wish = laptop["session"]["id"]

    answer = api.post(
        f"{V1}/auth/login",
        {"email": alice.email, "password": "correct-Horse-7-battery"},
        token=laptop["accessToken"],
        cookie=f"sid={wish}; sessionid={wish}; refreshToken={laptop['refreshToken']}",
    )

    assert answer.data["session"]["id"] != wish
    assert "Set-Cookie" not in answer.headers


def test_signing_out_everywhere_ends_all_of_mine_and_none_of_others(
    api: Api, alice: User, laptop: Tokens, phone: Tokens, bobs: Tokens
) -> None:
    over: dict[str, Any] = api.login(alice.email).data
    api.post(LOGOUT, token=over["accessToken"])

    assert signed_out(api.post(LOGOUT_ALL, token=phone["accessToken"]))

    assert [works(api, tokens) for tokens in (laptop, phone, over, bobs)] == [False, False, False, True]
    assert [row(tokens)["end_reason"] for tokens in (laptop, phone, over)] == ["logout_all", "logout_all", "logout"]
    event = Event.objects.get(action="session.all_ended")
    assert (event.outcome, event.actor, event.subject) == ("success", alice.audit_key, alice.audit_key)
    assert event.metadata == {"reason": "logout_all", "sessions": 2}


def test_signing_out_everywhere_takes_a_live_session(api: Api, laptop: Tokens, phone: Tokens) -> None:
    api.post(LOGOUT, token=phone["accessToken"])

    assert refused(api.post(LOGOUT_ALL, token=phone["accessToken"])) == "invalid_token"
    assert refused(api.post(LOGOUT_ALL)) == "not_authenticated"
    assert refused(api.post(LOGOUT_ALL, token=phone["refreshToken"])) == "invalid_token"

    assert works(api, laptop)
    assert Session.objects.filter(ended_at__isnull=False).count() == 1
