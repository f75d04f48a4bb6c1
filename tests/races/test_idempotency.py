"""Requests with one key that arrive in the same moment."""

from collections import Counter
from functools import partial
from http import HTTPStatus

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import User
from authsvc.idempotency.models import Reservation
from tests.cast import V1, Answer, Api, enrol
from tests.crowd import at_once
from tests.ledger import events, mails

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

ADA = "ada@example.org"
CROWD = 50


@pytest.fixture(autouse=True)
def _patient(settings: Settings) -> None:
    """What is measured is who wins, not how fast this machine hashes."""
    settings.HASH_WAIT_SECONDS = 30


def register_at_once(api: Api) -> list[Answer]:
    return at_once([partial(api.register, ADA, Idempotency_Key="one-key")] * CROWD)


def assert_one_did_it(api: Api, answers: list[Answer], status: HTTPStatus) -> None:
    """One did the work; who came later heard the same, who came meanwhile was told to wait."""
    heard = Counter(answer.status for answer in answers)
    assert heard[status] >= 1
    assert heard[status] + heard[HTTPStatus.CONFLICT] == len(answers)
    assert {tuple(a.codes) for a in answers if a.status == HTTPStatus.CONFLICT} <= {("idempotency_in_progress",)}
    assert len({str(answer.data) for answer in answers if answer.status == status}) == 1


def test_fifty_registrations_with_one_key_open_one_account_and_send_one_mail(api: Api) -> None:
    answers = register_at_once(api)

    assert_one_did_it(api, answers, HTTPStatus.CREATED)
    assert User.objects.count() == 1
    assert events() == ["account.registration.created"]
    assert mails() == [("verify_email", ADA)]
    assert api.register(ADA, Idempotency_Key="one-key").data["id"] == str(User.objects.get().id)


def test_fifty_registrations_of_a_taken_address_tell_its_owner_once(api: Api) -> None:
    enrol(ADA)

    answers = register_at_once(api)

    assert_one_did_it(api, answers, HTTPStatus.CREATED)
    assert events() == ["account.registration.refused"]
    assert mails() == [("already_registered", ADA)]


def test_fifty_take_over_a_dead_process_and_one_gets_it(api: Api) -> None:
    api.register(ADA, Idempotency_Key="one-key")
    User.objects.all().delete()
    Reservation.objects.update(sealed_answer=b"", expires_at=timezone.now())

    answers = register_at_once(api)

    assert_one_did_it(api, answers, HTTPStatus.CREATED)
    assert User.objects.count() == 1
    assert Counter(events()) == {"account.registration.created": 2}


def test_fifty_requests_for_a_reset_with_one_key_send_one_link(api: Api) -> None:
    enrol(ADA)

    answers = at_once([partial(api.post, f"{V1}/auth/password/forgot", {"email": ADA}, Idempotency_Key="k")] * CROWD)

    assert_one_did_it(api, answers, HTTPStatus.ACCEPTED)
    assert mails() == [("reset_password", ADA)]


@pytest.mark.parametrize("_round", range(3))
def test_twenty_deletions_with_one_key_are_one_though_the_first_signs_out_the_others(
    api: Api, alice: User, _round: int
) -> None:
    token = api.login(alice.email).data["accessToken"]

    answers = at_once([partial(api.delete, f"{V1}/users/me", token=token, Idempotency_Key="k")] * 20)

    assert_one_did_it(api, answers, HTTPStatus.ACCEPTED)
    assert events().count("account.erasure.requested") == 1
    assert mails().count(("deletion_scheduled", alice.email)) == 1
