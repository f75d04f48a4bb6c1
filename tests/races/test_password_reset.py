"""Resets and changes of one password that happen in the same moment."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from authsvc.tokens.models import OneTimeToken, Session
from config.values import Rate
from tests.cast import OTHER_PASSWORD, PASSWORD, V1, Answer, Api, post_round
from tests.crowd import at_once
from tests.ledger import events, mails

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

FORGOT, RESET, CHANGE = (f"{V1}/auth/password/{deed}" for deed in ("forgot", "reset", "change"))


@pytest.fixture(autouse=True)
def _patient(settings: Settings) -> None:
    """What is measured is who wins, not how fast this machine hashes."""
    settings.HASH_WAIT_SECONDS = 60


def passwords(count: int) -> list[str]:
    return [f"the-Horse-of-number-{number}-7-B" for number in range(count)]


def forget(api: Api, email: str) -> Answer:
    return api.post(FORGOT, {"email": email})


def reset(api: Api, token: str, password: str) -> Answer:
    return api.post(RESET, {"token": token, "newPassword": password})


def change(api: Api, access_token: str, password: str) -> Answer:
    return api.post(CHANGE, {"currentPassword": PASSWORD, "newPassword": password}, token=access_token)


def links() -> list[str]:
    return [letter.token for letter in post_round() if "/reset-password#" in letter.text]


@pytest.fixture
def token(api: Api, alice: User) -> str:
    """The token of the link that Alice was mailed."""
    forget(api, alice.email)
    (token,) = links()
    return token


def works(api: Api, user: User, chosen: Sequence[str]) -> list[str]:
    """Return which of the passwords sign in."""
    return [password for password in chosen if api.login(user.email, password).status == HTTPStatus.OK]


def winners(answers: Sequence[Answer], chosen: Sequence[str]) -> list[str]:
    return [password for password, answer in zip(chosen, answers, strict=True) if answer.status == HTTPStatus.OK]


def test_of_fifty_passwords_set_at_once_by_one_link_one_is_taken_and_works(api: Api, alice: User, token: str) -> None:
    chosen = passwords(50)

    answers = at_once([partial(reset, api, token, password) for password in chosen])

    assert Counter(answer.status for answer in answers) == {HTTPStatus.OK: 1, HTTPStatus.BAD_REQUEST: 49}
    assert {code for answer in answers if answer.status != HTTPStatus.OK for code in answer.codes} == {"invalid_token"}
    assert events().count("account.password.reset") == 1
    assert mails().count(("password_changed", alice.email)) == 1
    won = winners(answers, chosen)
    assert works(api, alice, won) == won
    others = [password for password in chosen if password not in won]
    assert works(api, alice, [PASSWORD, *others[:5]]) == []


def test_links_asked_for_at_once_leave_one_that_works(api: Api, alice: User, settings: Settings) -> None:
    settings.LIMIT_MAIL = Rate(10, 3600)

    answers = at_once([partial(forget, api, alice.email)] * 10)

    assert {answer.status for answer in answers} == {HTTPStatus.ACCEPTED}
    assert OneTimeToken.objects.filter(consumed_at__isnull=True).count() == 1
    tokens = links()
    chosen = passwords(len(tokens))
    answers = at_once([partial(reset, api, *pair) for pair in zip(tokens, chosen, strict=True)])
    assert len(tokens) == 10
    assert works(api, alice, chosen) == winners(answers, chosen)
    assert len(winners(answers, chosen)) == 1


@pytest.mark.parametrize("_round", range(5))
def test_no_session_that_starts_during_a_reset_outlives_it(api: Api, alice: User, token: str, _round: int) -> None:
    api.login(alice.email)

    *signed_in, answer = at_once(
        [partial(api.login, alice.email), partial(api.login, alice.email), partial(reset, api, token, OTHER_PASSWORD)]
    )

    assert answer.status == HTTPStatus.OK
    assert {attempt.status for attempt in signed_in} <= {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}
    for attempt in signed_in:
        if attempt.status == HTTPStatus.OK:
            assert api.me(attempt.data["accessToken"]).codes == ["invalid_token"]
            assert api.refresh(attempt.data["refreshToken"]).codes == ["invalid_token"]
    assert not Session.objects.filter(ended_at__isnull=True).exists()


@pytest.mark.parametrize("_round", range(3))
def test_of_changes_by_several_sessions_one_is_taken_and_its_session_goes_on(
    api: Api, alice: User, _round: int
) -> None:
    sessions = [api.login(alice.email).data for _ in range(6)]
    chosen = passwords(6)

    answers = at_once(
        [
            partial(change, api, tokens["accessToken"], password)
            for tokens, password in zip(sessions, chosen, strict=True)
        ]
    )

    (won,) = winners(answers, chosen)
    assert {answer.status for answer in answers} <= {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED, HTTPStatus.BAD_REQUEST}
    assert works(api, alice, [*chosen, PASSWORD]) == [won]
    for tokens, password in zip(sessions, chosen, strict=True):
        good = password == won
        assert (api.me(tokens["accessToken"]).status == HTTPStatus.OK) is good
        assert (api.refresh(tokens["refreshToken"]).status == HTTPStatus.OK) is good


def test_of_changes_by_one_session_one_is_taken(api: Api, alice: User) -> None:
    tokens = api.login(alice.email).data
    chosen = passwords(6)

    answers = at_once([partial(change, api, tokens["accessToken"], password) for password in chosen])

    (won,) = winners(answers, chosen)
    assert {code for answer in answers if answer.status != HTTPStatus.OK for code in answer.codes} == {
        "password_incorrect"
    }
    assert works(api, alice, [*chosen, PASSWORD]) == [won]
    assert api.me(tokens["accessToken"]).status == HTTPStatus.OK
    assert events().count("account.password.changed") == 1


@pytest.mark.parametrize("_round", range(5))
def test_the_calling_session_is_refreshed_whatever_happens_first(api: Api, alice: User, _round: int) -> None:
    tokens = api.login(alice.email).data

    changed, *refreshed = at_once(
        [
            partial(change, api, tokens["accessToken"], OTHER_PASSWORD),
            *[partial(api.refresh, tokens["refreshToken"])] * 4,
        ]
    )

    assert [answer.status for answer in (changed, *refreshed)] == [HTTPStatus.OK] * 5
    assert len({answer.data["refreshToken"] for answer in refreshed}) == 1
    assert api.refresh(refreshed[0].data["refreshToken"]).status == HTTPStatus.OK


@pytest.mark.parametrize("_round", range(5))
def test_of_a_reset_and_a_change_one_is_taken(api: Api, alice: User, token: str, _round: int) -> None:
    tokens = api.login(alice.email).data
    chosen = passwords(2)

    was_reset, changed = answers = at_once(
        [partial(reset, api, token, chosen[0]), partial(change, api, tokens["accessToken"], chosen[1])]
    )

    assert len(winners(answers, chosen)) == 1
    assert works(api, alice, [*chosen, PASSWORD]) == winners(answers, chosen)
    assert (api.me(tokens["accessToken"]).status == HTTPStatus.OK) is (changed.status == HTTPStatus.OK)
    assert was_reset.status in {HTTPStatus.OK, HTTPStatus.BAD_REQUEST}
