"""Deletions, restorations and erasures that happen in the same moment."""

from collections import Counter
from datetime import timedelta
from functools import partial
from http import HTTPStatus

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import ErasureRequest, User
from accounts.services import lifecycle
from audit.origin import Origin
from authsvc.tokens.models import Session
from tests.cast import OTHER_PASSWORD, V1, Answer, Api, post_round
from tests.crowd import at_once
from tests.ledger import events, mails

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

OPERATOR = Origin.system("tests")


@pytest.fixture(autouse=True)
def _patient(settings: Settings) -> None:
    """What is measured is who wins, not how fast this machine hashes."""
    settings.HASH_WAIT_SECONDS = 30


def delete(api: Api, token: str) -> Answer:
    return api.delete(f"{V1}/users/me", token=token)


def restore(api: Api, token: str) -> Answer:
    return api.post(f"{V1}/auth/restore", {"token": token})


@pytest.fixture
def link(alice: User) -> str:
    """The link that restores Alice's account, whose deletion waits."""
    lifecycle.request_erasure(user=alice, origin=OPERATOR)
    (letter,) = post_round()
    return letter.token


def test_of_fifty_restorations_at_once_one_is_told_that_it_did(api: Api, alice: User, link: str) -> None:
    answers = at_once([partial(restore, api, link)] * 50)

    assert Counter(answer.status for answer in answers) == {HTTPStatus.OK: 1, HTTPStatus.BAD_REQUEST: 49}
    assert {tuple(answer.codes) for answer in answers if answer.status != HTTPStatus.OK} == {("invalid_token",)}
    assert User.objects.get().is_active
    assert not ErasureRequest.objects.exists()
    assert events().count("account.restored") == 1
    assert mails().count(("account_restored", alice.email)) == 1


@pytest.mark.parametrize("_round", range(5))
def test_erased_while_it_is_restored_the_account_is_gone_whoever_was_first(
    api: Api, alice: User, link: str, _round: int
) -> None:
    def erase() -> bool:
        return lifecycle.erase(user_id=alice.pk, origin=OPERATOR)

    restored, erased = at_once([lambda: restore(api, link).status, erase])

    assert erased is True
    assert restored in {HTTPStatus.OK, HTTPStatus.BAD_REQUEST}
    assert not User.objects.exists()
    assert mails() == []


@pytest.mark.parametrize("_round", range(5))
def test_when_the_time_ends_in_that_moment_it_is_restored_or_erased_and_never_both(
    api: Api, alice: User, link: str, _round: int
) -> None:
    ErasureRequest.objects.update(due_at=timezone.now() + timedelta(milliseconds=15))

    def erase() -> bool:
        return bool(lifecycle.erase_due(origin=OPERATOR))

    restored, *erased = at_once([lambda: restore(api, link).status == HTTPStatus.OK, erase, erase, erase])

    assert not (restored and any(erased))
    assert erased.count(True) <= 1
    assert User.objects.count() == int(not any(erased))
    assert (events().count("account.restored"), events().count("account.erased")) == (int(restored), int(any(erased)))


def test_many_jobs_at_once_erase_a_person_once(alice: User, bob: User, link: str) -> None:
    ErasureRequest.objects.update(due_at=timezone.now() - timedelta(seconds=1))

    erased = at_once([partial(lifecycle.erase_due, origin=OPERATOR)] * 8)

    assert sum(erased) == 1
    assert list(User.objects.all()) == [bob]
    assert events().count("account.erased") == 1


@pytest.mark.parametrize("_round", range(5))
def test_deleted_twice_at_once_it_waits_once(api: Api, alice: User, _round: int) -> None:
    tokens = [api.login(alice.email).data["accessToken"] for _ in range(2)]

    answers = at_once([partial(delete, api, token) for token in tokens])

    assert {answer.status for answer in answers} <= {HTTPStatus.ACCEPTED, HTTPStatus.UNAUTHORIZED}
    assert HTTPStatus.ACCEPTED in {answer.status for answer in answers}
    assert ErasureRequest.objects.count() == 1
    assert events().count("account.erasure.requested") == 1
    assert mails().count(("deletion_scheduled", alice.email)) == 1


@pytest.mark.parametrize("_round", range(5))
def test_a_sign_in_of_the_same_moment_leaves_no_live_session(api: Api, alice: User, _round: int) -> None:
    token = api.login(alice.email).data["accessToken"]
    sign_ins = [partial(api.login, alice.email)] * 4

    deleted, *signed_in = at_once([partial(delete, api, token), *sign_ins])

    assert deleted.status == HTTPStatus.ACCEPTED
    assert not Session.objects.filter(ended_at__isnull=True).exists()
    for answer in signed_in:
        assert answer.status in {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}
        if answer.status == HTTPStatus.OK:
            assert api.me(answer.data["accessToken"]).codes == ["invalid_token"]
            assert api.refresh(answer.data["refreshToken"]).codes == ["invalid_token"]


def test_registrations_of_a_due_account_open_one_new_one(api: Api, alice: User, link: str) -> None:
    ErasureRequest.objects.update(due_at=timezone.now() - timedelta(seconds=1))

    answers = at_once([partial(api.register, alice.email, OTHER_PASSWORD)] * 10)

    assert {answer.status for answer in answers} == {HTTPStatus.CREATED}
    assert User.objects.get().pk != alice.pk
    assert events().count("account.erased") == 1
    assert events().count("account.registration.created") == 1
