"""Sign-ins on known devices, and what voids those, in the same moment."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from http import HTTPStatus

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from authsvc.tokens.models import KnownDevice, Session
from tests.cast import V1, Answer, Api, enrol, post_round
from tests.crowd import at_once
from tests.ledger import events, mails

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


@pytest.fixture(autouse=True)
def _patient(settings: Settings) -> None:
    """What is measured is who wins, not how fast this machine hashes."""
    settings.HASH_WAIT_SECONDS = 30


@pytest.fixture
def alice() -> User:
    return enrol("alice@example.org", name="Alice")


def live() -> int:
    return Session.objects.filter(ended_at__isnull=True).count()


def test_twenty_sign_ins_on_one_known_device_all_succeed_and_it_stays_one(api: Api, alice: User) -> None:
    token = api.login(alice.email).data["deviceToken"]

    answers = at_once([partial(api.login, alice.email, deviceToken=token)] * 20)

    assert {answer.status for answer in answers} == {HTTPStatus.OK}
    assert [answer for answer in answers if "deviceToken" in answer.data] == []
    assert set(Session.objects.values_list("known_device_id", flat=True)) == {KnownDevice.objects.get().pk}
    assert mails() == [("new_device", alice.email)]
    assert live() == 21


def test_twenty_sign_ins_on_unknown_devices_are_twenty_devices_and_twenty_mails(api: Api, alice: User) -> None:
    answers = at_once([partial(api.login, alice.email)] * 20)

    assert {answer.status for answer in answers} == {HTTPStatus.OK}
    assert len({answer.data["deviceToken"] for answer in answers}) == KnownDevice.objects.count() == 20
    assert mails() == [("new_device", alice.email)] * 20


def test_sign_ins_while_their_device_is_removed_all_succeed(api: Api, alice: User) -> None:
    first = api.login(alice.email).data
    remove: Callable[[], Answer] = partial(
        api.delete, f"{V1}/users/me/devices/{KnownDevice.objects.get().pk}", token=first["accessToken"]
    )
    sign_in: Callable[[], Answer] = partial(api.login, alice.email, deviceToken=first["deviceToken"])

    answers = at_once([*[sign_in] * 5, remove, remove, *[sign_in] * 5])

    assert Counter(answer.status for answer in answers) == {HTTPStatus.OK: 11, HTTPStatus.NOT_FOUND: 1}
    assert "deviceToken" in api.login(alice.email, deviceToken=first["deviceToken"]).data


def test_of_ten_uses_of_one_link_one_counts(api: Api, alice: User) -> None:
    api.login(alice.email)
    token = post_round()[0].token

    answers = at_once([partial(api.post, f"{V1}/auth/not-me", {"token": token})] * 10)

    assert Counter(answer.status for answer in answers) == {HTTPStatus.OK: 1, HTTPStatus.BAD_REQUEST: 9}
    assert Counter(events())["account.signin.disowned"] == 1
    assert mails() == [("new_device", alice.email), ("reset_password", alice.email)]


def test_two_links_of_one_account_at_once_secure_it_once(api: Api, alice: User) -> None:
    api.login(alice.email)
    api.login(alice.email)
    links = [letter.token for letter in post_round()]

    answers = at_once([partial(api.post, f"{V1}/auth/not-me", {"token": token}) for token in links])

    assert Counter(answer.status for answer in answers) == {HTTPStatus.OK: 1, HTTPStatus.BAD_REQUEST: 1}
    assert mails().count(("reset_password", alice.email)) == 1


def test_no_sign_in_of_the_same_moment_outlives_what_the_owner_disowns(api: Api, alice: User) -> None:
    known = api.login(alice.email).data["deviceToken"]
    token = post_round()[0].token
    sign_ins = [partial(api.login, alice.email), partial(api.login, alice.email, deviceToken=known)] * 4

    *answers, disowned = at_once([*sign_ins, partial(api.post, f"{V1}/auth/not-me", {"token": token})])

    assert disowned.status == HTTPStatus.OK
    assert {answer.status for answer in answers} <= {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}
    assert live() == KnownDevice.objects.count() == 0
