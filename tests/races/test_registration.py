"""Registrations and verifications that happen in the same moment."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.services import verification
from accounts.services.links import InvalidLink
from audit.origin import Origin
from authsvc.tokens.models import OneTimeToken
from config.values import Rate
from tests.cast import PASSWORD, Answer, Api, enrol, post_round
from tests.crowd import at_once
from tests.ledger import events, mails, spoken

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

ADA = "ada@example.org"
OWN_PASSWORD = "a-third-Horse-9-paperclip"
ORIGIN = Origin(ip="192.0.2.7", user_agent="tests", request_id="", actor_id=None)


@pytest.fixture(autouse=True)
def _patient(settings: Settings) -> None:
    """What is measured is who wins, not how fast this machine hashes."""
    settings.HASH_WAIT_SECONDS = 30


def passwords(count: int) -> list[str]:
    return [f"the-Horse-of-number-{number}-7" for number in range(count)]


def register_at_once(api: Api, chosen: Sequence[str]) -> list[Answer]:
    return at_once([partial(api.register, ADA, password) for password in chosen])


def works(api: Api, chosen: Sequence[str]) -> list[str]:
    """Return which of the passwords sign in."""
    return [password for password in chosen if api.login(ADA, password).status == HTTPStatus.OK]


def test_twenty_registrations_with_one_password_open_one_account(api: Api, settings: Settings) -> None:
    answers = register_at_once(api, [PASSWORD] * 20)

    heard = {repr(spoken(answer, answer.data["id"], answer.data["createdAt"])) for answer in answers}
    assert len(heard) == 1
    assert answers[0].status == HTTPStatus.CREATED
    user = User.objects.get()
    assert [answer.data["id"] for answer in answers].count(str(user.id)) == 1
    assert Counter(events()) == {"account.registration.created": 1, "account.registration.repeated": 19}
    assert mails() == [("verify_email", ADA)] * settings.LIMIT_MAIL.count
    assert api.verify(post_round()[0].token).status == HTTPStatus.OK
    assert works(api, [PASSWORD]) == [PASSWORD]


def test_twenty_registrations_with_different_passwords_leave_none_of_them(api: Api, settings: Settings) -> None:
    chosen = passwords(20)

    answers = register_at_once(api, chosen)

    assert {answer.status for answer in answers} == {HTTPStatus.CREATED}
    assert not User.objects.get().has_usable_password()
    assert Counter(events()) == {"account.registration.created": 1, "account.registration.contested": 19}
    tokens = [letter.token for letter in post_round()]
    assert len(tokens) == settings.LIMIT_MAIL.count
    assert {tuple(api.verify(token).problems.items()) for token in tokens} == {(("password", "required"),)}
    assert api.verify(tokens[0], OWN_PASSWORD).status == HTTPStatus.OK
    assert works(api, [*chosen, OWN_PASSWORD]) == [OWN_PASSWORD]


def test_one_odd_password_among_many_equal_ones_contests_them_all(api: Api) -> None:
    odd = "the-odd-Horse-of-them-7"

    answers = register_at_once(api, [PASSWORD] * 5 + [odd] + [PASSWORD] * 4)

    assert {answer.status for answer in answers} == {HTTPStatus.CREATED}
    assert not User.objects.get().has_usable_password()
    assert api.verify(post_round()[0].token).problems == {"password": "required"}


def test_registrations_of_a_lapsed_account_open_one_new_one(api: Api, settings: Settings) -> None:
    old = enrol(ADA, verified_at=None, created_at=timezone.now() - settings.UNVERIFIED_TTL)

    answers = register_at_once(api, [PASSWORD] * 10)

    assert {answer.status for answer in answers} == {HTTPStatus.CREATED}
    assert User.objects.get().id != old.id
    assert Counter(events()) == {
        "account.registration.expired": 1,
        "account.registration.created": 1,
        "account.registration.repeated": 9,
    }


def test_one_link_followed_twenty_times_at_once_verifies_once(api: Api) -> None:
    api.register(ADA)
    token = post_round()[0].token

    answers = at_once([partial(api.verify, token)] * 20)

    assert {answer.status for answer in answers} == {HTTPStatus.OK}
    assert {repr(spoken(answer)) for answer in answers} == {repr(spoken(answers[0]))}
    assert answers[0].data["isVerified"] is True
    assert events() == ["account.registration.created", "account.email.verified"]


def test_of_ten_passwords_set_at_once_by_one_link_one_counts(api: Api) -> None:
    first, second, *chosen = passwords(12)
    register_at_once(api, [first, second])
    token = post_round()[0].token

    answers = at_once([partial(api.verify, token, password) for password in chosen])

    assert {answer.status for answer in answers} == {HTTPStatus.OK}
    assert events().count("account.email.verified") == 1
    assert len(works(api, [first, second, *chosen])) == 1
    assert works(api, [first, second]) == []


def test_of_ten_passwords_set_at_once_by_ten_links_one_counts(api: Api, settings: Settings) -> None:
    settings.LIMIT_MAIL = Rate(10, 3600)
    register_at_once(api, passwords(10))
    tokens = [letter.token for letter in post_round()]
    chosen = [f"{password} of the owner" for password in passwords(10)]

    answers = at_once([partial(api.verify, *pair) for pair in zip(tokens, chosen, strict=True)])

    assert {answer.status for answer in answers} == {HTTPStatus.OK}
    assert events().count("account.email.verified") == 1
    assert OneTimeToken.objects.filter(consumed_at__isnull=False).count() == 1
    assert len(works(api, chosen)) == 1


def test_a_password_set_while_others_go_on_registering_is_kept(api: Api) -> None:
    register_at_once(api, passwords(2))
    token = post_round()[0].token
    others = [partial(api.register, ADA, password) for password in passwords(8)]

    answers = at_once([*others[:4], partial(api.verify, token, OWN_PASSWORD), *others[4:]])

    assert {answer.status for answer in answers} == {HTTPStatus.CREATED, HTTPStatus.OK}
    assert answers[4].status == HTTPStatus.OK
    assert works(api, [OWN_PASSWORD, *passwords(8)]) == [OWN_PASSWORD]


@pytest.mark.parametrize("_round", range(5))
def test_a_link_followed_while_another_registers_never_verifies_a_contested_password(api: Api, _round: int) -> None:
    stranger, owner = passwords(2)
    api.register(ADA, stranger)
    token = post_round()[0].token

    verified, registered = at_once([partial(api.verify, token), partial(api.register, ADA, owner)])

    user = User.objects.get()
    assert registered.status == HTTPStatus.CREATED
    assert verified.status == (HTTPStatus.OK if user.is_verified else HTTPStatus.BAD_REQUEST)
    assert user.is_verified == user.has_usable_password()
    assert works(api, [stranger, owner]) == ([stranger] if user.is_verified else [])
    assert len([mail for mail in mails() if mail[0] != "new_device"]) == 2
    registrations = [event for event in events() if event.startswith("account.registration.")]
    assert registrations[1] in {"account.registration.contested", "account.registration.refused"}
    assert len(registrations) == 2


@pytest.mark.parametrize("_round", range(5))
def test_an_account_is_verified_or_dropped_and_never_both(api: Api, _round: int) -> None:
    api.register(ADA)
    token = post_round()[0].token

    def drop() -> bool:
        try:
            verification.drop_registration(token=token, origin=ORIGIN)
        except InvalidLink:
            return False
        return True

    verified, dropped = at_once([lambda: api.verify(token).status == HTTPStatus.OK, drop])

    assert verified is not dropped
    assert User.objects.count() == int(verified)
    happened = {"account.email.verified"} if verified else {"account.registration.dropped"}
    assert set(events()) == {"account.registration.created", *happened}
