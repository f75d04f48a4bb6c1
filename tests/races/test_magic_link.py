"""Mailed links and codes that are tried in the same moment."""

import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from http import HTTPStatus

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from authsvc.tokens.models import OneTimeToken, Session
from authsvc.tokens.services import one_time
from tests.cast import V1, Answer, Api, enrol, post_round
from tests.crowd import at_once
from tests.ledger import events

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

VERIFY = f"{V1}/auth/magic-link/verify"
WRONG = "00000000"
REFUSED = (HTTPStatus.BAD_REQUEST, ("invalid_code",))


def mailed(api: Api, user: User) -> tuple[str, str]:
    """Return link token and code of a fresh mail."""
    api.post(f"{V1}/auth/magic-link", {"email": user.email})
    (letter,) = post_round()
    found = re.search(r"^(\d{4}) (\d{4})$", letter.text, re.MULTILINE)
    assert found is not None
    return letter.token, found[1] + found[2]


def by_token(api: Api, token: str) -> Answer:
    return api.post(VERIFY, {"token": token})


def by_code(api: Api, user: User, code: str) -> Answer:
    return api.post(VERIFY, {"email": user.email, "code": code})


def link_row() -> OneTimeToken:
    return OneTimeToken.objects.get(purpose="magic_link")


def outcomes(answers: list[Answer]) -> Counter[tuple[HTTPStatus, tuple[str, ...]]]:
    return Counter((a.status, () if a.status == HTTPStatus.OK else tuple(a.codes)) for a in answers)


@pytest.fixture(autouse=True)
def _front_end(settings: Settings) -> None:
    settings.FRONTEND_URL = "https://app.example.org"


@pytest.mark.parametrize("verified", [True, False], ids=["verified", "unverified"])
def test_fifty_uses_of_one_link_start_one_session(api: Api, verified: bool) -> None:  # noqa: FBT001
    user = enrol("ada@example.org") if verified else enrol("ada@example.org", verified_at=None)
    token, _code = mailed(api, user)

    answers = at_once([partial(by_token, api, token)] * 50)

    assert outcomes(answers) == {(HTTPStatus.OK, ()): 1, (HTTPStatus.BAD_REQUEST, ("invalid_token",)): 49}
    assert Session.objects.count() == 1
    assert events().count("account.signin.succeeded") == 1
    assert events().count("account.email.verified") == int(not verified)


def test_fifty_uses_of_one_code_start_one_session(api: Api, alice: User) -> None:
    _token, code = mailed(api, alice)

    answers = at_once([partial(by_code, api, alice, code)] * 50)

    assert outcomes(answers) == {(HTTPStatus.OK, ()): 1, REFUSED: 49}
    assert Session.objects.count() == 1
    assert link_row().wrong_codes == 0


def test_link_and_code_together_start_one_session(api: Api, alice: User) -> None:
    token, code = mailed(api, alice)

    answers = at_once([partial(by_token, api, token), partial(by_code, api, alice, code)] * 10)

    assert sum(answer.status == HTTPStatus.OK for answer in answers) == 1
    assert Session.objects.count() == 1


def test_of_two_hundred_wrong_codes_five_are_looked_at(api: Api, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    token, code = mailed(api, alice)
    compared: list[str] = []
    compare = one_time.code_fits

    def noted(row: OneTimeToken, presented: str) -> bool:
        compared.append(presented)
        return compare(row, presented)

    monkeypatch.setattr(one_time, "code_fits", noted)

    answers = at_once([partial(by_code, api, alice, WRONG)] * 200)

    assert outcomes(answers) == {REFUSED: 200}
    assert len(compared) == 5
    row = link_row()
    assert (row.wrong_codes, row.consumed_at is not None) == (5, True)
    assert by_code(api, alice, code).codes == ["invalid_code"]
    assert by_token(api, token).codes == ["invalid_token"]
    assert Session.objects.count() == 0


@pytest.mark.parametrize("_round", range(5))
def test_the_right_code_among_many_wrong_ones_wins_or_comes_too_late_and_never_twice(
    api: Api, alice: User, _round: int
) -> None:
    _token, code = mailed(api, alice)

    answers = at_once([partial(by_code, api, alice, guess) for guess in [WRONG] * 10 + [code] * 2 + [WRONG] * 8])

    row = link_row()
    succeeded = sum(answer.status == HTTPStatus.OK for answer in answers)
    assert succeeded == Session.objects.count()
    assert row.consumed_at is not None
    assert (succeeded, row.wrong_codes < 5) in {(1, True), (0, False)}


def test_four_wrong_codes_of_the_same_moment_never_cost_the_right_one_its_turn(api: Api, alice: User) -> None:
    _token, code = mailed(api, alice)

    answers = at_once([partial(by_code, api, alice, guess) for guess in [WRONG] * 4 + [code]])

    assert answers[-1].status == HTTPStatus.OK
    assert link_row().wrong_codes <= 4


@pytest.mark.parametrize("_round", range(3))
def test_requests_of_the_same_moment_leave_one_mail_that_counts(api: Api, alice: User, _round: int) -> None:
    answers = at_once([partial(api.post, f"{V1}/auth/magic-link", {"email": alice.email})] * 10)

    assert {answer.status for answer in answers} == {HTTPStatus.ACCEPTED}
    tokens = [letter.token for letter in post_round()]
    assert len(tokens) == 3
    assert OneTimeToken.objects.filter(consumed_at__isnull=True).count() == 1
    assert sum(by_token(api, token).status == HTTPStatus.OK for token in tokens) == 1


@pytest.mark.parametrize("_round", range(5))
def test_a_deactivation_of_the_same_moment_leaves_no_live_session(api: Api, alice: User, _round: int) -> None:
    token, _code = mailed(api, alice)

    def switch_off() -> Answer | None:
        User.objects.filter(pk=alice.pk).update(is_active=False)
        return None

    deeds: list[Callable[[], Answer | None]] = [partial(by_token, api, token), switch_off]
    answer = at_once(deeds)[0]

    assert answer is not None
    if answer.status == HTTPStatus.OK:
        assert api.me(answer.data["accessToken"]).status == HTTPStatus.UNAUTHORIZED
    else:
        assert answer.codes == ["invalid_token"]
        assert Session.objects.count() == 0
