"""Many who ask for mails to one address in the same moment."""

from functools import partial
from http import HTTPStatus

import pytest

from accounts.services import registration
from audit.origin import Origin
from authsvc.tokens.models import OneTimeToken
from tests.cast import V1, Api, enrol, post_round
from tests.crowd import at_once
from tests.ledger import mails, spoken

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

CROWD = [Api(REMOTE_ADDR=f"198.51.100.{number}", HTTP_USER_AGENT="tests") for number in range(100)]


@pytest.mark.parametrize("email", ["ada@example.org", "eve@example.org", "zoe@example.org"])  # one round may be lucky
def test_a_hundred_requests_from_a_hundred_addresses_send_three_mails(email: str) -> None:
    user, body = enrol(email), {"email": email}

    asks = [partial(api.post, f"{V1}/auth/password/forgot", body) for api in CROWD]
    # In tens: who waits for the account's row longer than a lock may take is told to come back, and asks for nothing.
    answers = [answer for first in range(0, len(asks), 10) for answer in at_once(asks[first : first + 10])]

    assert {answer.status for answer in answers} == {HTTPStatus.ACCEPTED}
    assert len({repr(spoken(answer)) for answer in answers}) == 1
    assert mails() == [("reset_password", email)] * 3
    assert OneTimeToken.objects.filter(user=user).count() == 3
    tokens = [letter.token for letter in post_round()]
    works = [CROWD[0].post(f"{V1}/auth/password/reset", {"token": token, "newPassword": "x"}) for token in tokens]
    assert sorted(tuple(answer.problems) for answer in works) == [("newPassword",), ("token",), ("token",)]


@pytest.mark.parametrize("email", ["ada@example.org", "eve@example.org", "zoe@example.org"])  # as above
def test_a_hundred_registrations_of_a_taken_address_send_its_owner_three_mails(email: str) -> None:
    user = enrol(email)
    again = partial(registration._repeat, user, same_password=False, keep=lambda: None)

    # Behind the hash, which lets few of them through at a time.
    at_once([partial(again, origin=Origin.system("race"))] * 100)

    assert mails() == [("already_registered", email)] * 3


def test_a_hundred_registrations_of_an_address_that_may_come_back_send_three_mails() -> None:
    holder = enrol("moved@example.org")
    refuse = partial(registration._refuse_held, "ada@example.org", holder=holder.pk, locale="en", keep=lambda: None)

    at_once([partial(refuse, origin=Origin.system("race"))] * 100)

    assert mails() == [("already_registered", "ada@example.org")] * 3
