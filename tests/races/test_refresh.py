"""Refreshing at the same moment: the database lets one successor be born, whoever asks, however many."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any

import pytest

from accounts.models import User
from audit.models import Event
from authsvc.tokens.models import Session
from tests.cast import V1, Answer, Api
from tests.crowd import at_once
from tests.lineage import Tokens, refreshed, refused, row, session_events

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


@pytest.fixture
def first(api: Api, alice: User) -> Tokens:
    tokens: Tokens = api.login(alice.email).data
    return tokens


def refreshing(token: str) -> Callable[[], Answer]:
    return partial(Api(REMOTE_ADDR="192.0.2.10").refresh, token)


def statuses(answers: list[Answer]) -> set[HTTPStatus]:
    return {answer.status for answer in answers}


def test_fifty_at_once_get_one_successor(api: Api, first: Tokens) -> None:
    answers = at_once(refreshing(first["refreshToken"]) for _ in range(50))

    assert statuses(answers) == {HTTPStatus.OK}
    (successor,) = {answer.data["refreshToken"] for answer in answers}
    assert row(first)["refresh_generation"] == 1
    assert session_events() == []
    assert {api.me(answer.data["accessToken"]).status for answer in answers[::10]} == {HTTPStatus.OK}
    assert api.refresh(successor).status == HTTPStatus.OK


def test_round_after_round_there_is_one_successor(first: Tokens) -> None:
    token = first["refreshToken"]
    for generation in range(1, 11):
        answers = at_once(refreshing(token) for _ in range(6))

        assert statuses(answers) == {HTTPStatus.OK}
        (token,) = {answer.data["refreshToken"] for answer in answers}
        assert row(first)["refresh_generation"] == generation
    assert Session.objects.count() == 1
    assert session_events() == []


def test_nothing_works_after_signing_out_whatever_was_under_way(api: Api, alice: User) -> None:
    for _ in range(5):
        tokens: dict[str, Any] = api.login(alice.email).data
        sign_out: Callable[[], Answer] = partial(Api().post, f"{V1}/auth/logout", token=tokens["accessToken"])

        *answers, signed_out = at_once([*(refreshing(tokens["refreshToken"]) for _ in range(6)), sign_out])

        assert signed_out.status == HTTPStatus.OK
        assert statuses(answers) <= {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}
        born = [answer.data for answer in answers if answer.status == HTTPStatus.OK]
        for survivor in (tokens, *born):
            assert refused(api.me(survivor["accessToken"])) == "invalid_token"
            assert refused(api.refresh(survivor["refreshToken"])) == "invalid_token"
        assert row(tokens)["end_reason"] == "logout"


def test_nothing_works_after_signing_out_everywhere_whatever_was_under_way(api: Api, alice: User) -> None:
    devices: list[dict[str, Any]] = [api.login(alice.email).data for _ in range(4)]
    sign_out: Callable[[], Answer] = partial(Api().post, f"{V1}/auth/logout-all", token=devices[0]["accessToken"])

    *answers, signed_out = at_once([*(refreshing(tokens["refreshToken"]) for tokens in devices), sign_out])

    assert signed_out.status == HTTPStatus.OK
    assert statuses(answers) <= {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}
    born = [answer.data for answer in answers if answer.status == HTTPStatus.OK]
    for survivor in (*devices, *born):
        assert refused(api.me(survivor["accessToken"])) == "invalid_token"
        assert refused(api.refresh(survivor["refreshToken"])) == "invalid_token"


def test_a_token_used_again_by_many_ends_the_session_once(api: Api, first: Tokens) -> None:
    second = api.refresh(first["refreshToken"]).data
    refreshed(first, timedelta(seconds=11))

    answers = at_once(refreshing(first["refreshToken"]) for _ in range(10))

    assert {refused(answer) for answer in answers} == {"invalid_token"}
    assert row(first)["end_reason"] == "reuse"
    assert Event.objects.filter(action="session.refresh.reused").count() == 1
    assert refused(api.refresh(second["refreshToken"])) == "invalid_token"


def test_an_old_token_and_a_new_one_at_once_leave_nothing_alive(api: Api, first: Tokens) -> None:
    second = api.refresh(first["refreshToken"]).data
    third = api.refresh(second["refreshToken"]).data

    thief, owner = at_once([refreshing(first["refreshToken"]), refreshing(third["refreshToken"])])

    assert refused(thief) == "invalid_token"
    assert owner.status in {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}
    assert row(first)["end_reason"] == "reuse"
    assert Event.objects.filter(action="session.refresh.reused").count() == 1
    assert refused(api.refresh(third["refreshToken"])) == "invalid_token"


def test_signing_out_at_once_is_noted_once(first: Tokens) -> None:
    answers = at_once(
        partial(Api().post, f"{V1}/auth/logout", {"refreshToken": first["refreshToken"]}) for _ in range(8)
    )

    assert statuses(answers) == {HTTPStatus.OK}
    assert session_events() == ["session.ended"]
