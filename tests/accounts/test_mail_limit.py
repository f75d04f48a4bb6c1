"""How many mails others can have sent to somebody, and what they never hold up."""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import User
from authsvc.mail.models import OutgoingMail
from config.values import Rate
from tests.cast import PASSWORD, V1, Answer, Api, enrol, post_round
from tests.ledger import events, mails, spoken, stored

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

ALICE = "alice@example.org"


def stranger(number: int = 1) -> Api:
    """Return a consumer on a network that nobody has signed in from."""
    return Api(REMOTE_ADDR=f"198.51.100.{number}", HTTP_USER_AGENT="tests")


def forgot(api: Api, email: str = ALICE) -> Answer:
    return api.post(f"{V1}/auth/password/forgot", {"email": email})


def resend(api: Api, email: str = ALICE) -> Answer:
    return api.post(f"{V1}/auth/verify-email/resend", {"email": email})


def magic(api: Api, email: str = ALICE) -> Answer:
    return api.post(f"{V1}/auth/magic-link", {"email": email})


def again(api: Api, email: str = ALICE) -> Answer:
    return api.register(email)


KINDS = [
    pytest.param(forgot, "reset_password", True, id="forgot"),
    pytest.param(magic, "magic_link", True, id="magic link"),
    pytest.param(resend, "verify_email", False, id="resend"),
    pytest.param(again, "verify_email", False, id="register"),
    pytest.param(again, "already_registered", True, id="register, taken"),
]


def sent(template: str) -> int:
    return [name for name, _to in mails()].count(template)


@pytest.mark.parametrize(("ask", "template", "verified"), KINDS)
def test_an_address_gets_three_mails_of_a_kind_in_an_hour(
    ask: Callable[[Api], Answer],
    template: str,
    verified: bool,  # noqa: FBT001 - a column of the table
) -> None:
    enrol(ALICE, verified_at=timezone.now() if verified else None)

    answers = [ask(stranger(number)) for number in range(6)]

    assert sent(template) == 3
    hidden = [spoken(answer, *_own(answer)) for answer in answers]
    assert hidden == [hidden[0]] * 6, "the answer tells what was withheld"


def _own(answer: Answer) -> list[str]:
    """Return what differs in every answer to a registration."""
    return [answer.data["id"], answer.data["createdAt"]] if answer.data else []


@pytest.mark.parametrize(("ask", "template", "verified"), KINDS)
def test_after_an_hour_there_are_three_more(
    ask: Callable[[Api], Answer],
    template: str,
    verified: bool,  # noqa: FBT001
) -> None:
    enrol(ALICE, verified_at=timezone.now() if verified else None)
    for number in range(4):
        ask(stranger(number))
    OutgoingMail.objects.update(created_at=timezone.now() - timedelta(hours=1))

    for number in range(4):
        ask(stranger(number))

    assert sent(template) == 6


def test_a_withheld_mail_leaves_nothing_but_its_event(alice: User) -> None:
    for number in range(3):
        forgot(stranger(number))
    before = {label: rows for label, rows in stored().items() if label != "audit.Event"}

    forgot(stranger())

    assert {label: rows for label, rows in stored().items() if label != "audit.Event"} == before
    assert events() == ["account.password.reset_requested"] * 4


def test_a_withheld_mail_voids_no_link_that_went_out(alice: User) -> None:
    for number in range(5):
        forgot(stranger(number))

    newest = post_round()[-1]

    answer = stranger().post(
        f"{V1}/auth/password/reset", {"token": newest.token, "newPassword": "another-Horse-8-stapler"}
    )
    assert answer.status == HTTPStatus.OK


def test_a_mail_that_goes_out_voids_the_link_before_it(alice: User) -> None:
    forgot(stranger())
    forgot(stranger())
    older, newest = post_round()

    answers = [
        stranger().post(f"{V1}/auth/password/reset", {"token": letter.token, "newPassword": "another-Horse-8-stapler"})
        for letter in (older, newest)
    ]

    assert [answer.status for answer in answers] == [HTTPStatus.BAD_REQUEST, HTTPStatus.OK]


def test_kinds_and_addresses_are_counted_apart(alice: User, bob: User) -> None:
    for number in range(5):
        forgot(stranger(number))
        forgot(stranger(number), bob.email)
        magic(stranger(number))

    assert sorted(set(mails())) == [("magic_link", ALICE), ("reset_password", ALICE), ("reset_password", bob.email)]
    assert len(mails()) == 9


OWNERS = [
    pytest.param("203.0.113.7", "203.0.113.7", id="the same address"),
    pytest.param("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", id="the same /64"),
]
OTHERS = [
    pytest.param("203.0.113.7", "203.0.113.8", id="the neighbour's address"),
    pytest.param("2001:db8:1:2::1", "2001:db8:1:3::1", id="the neighbour's /64"),
]


def lanes(home: str, from_where: str) -> int:
    """Sign in at home, have strangers use up the limit, ask four times from somewhere; return the mails for that."""
    assert Api(REMOTE_ADDR=home).login(ALICE).status == HTTPStatus.OK
    for number in range(5):
        forgot(stranger(number))
    assert sent("reset_password") == 3
    for _time in range(4):
        forgot(Api(REMOTE_ADDR=from_where))
    return sent("reset_password") - 3


@pytest.mark.parametrize(("home", "from_where"), OWNERS)
def test_nobody_can_use_up_the_mails_of_the_owners_network(alice: User, home: str, from_where: str) -> None:
    assert lanes(home, from_where) == 3


@pytest.mark.parametrize(("home", "from_where"), OTHERS)
def test_the_neighbours_are_strangers(alice: User, home: str, from_where: str) -> None:
    assert lanes(home, from_where) == 0


def test_the_owners_lane_is_of_no_use_to_strangers(alice: User) -> None:
    home = Api(REMOTE_ADDR="203.0.113.7")
    home.login(ALICE)
    for _time in range(5):
        forgot(home)

    for number in range(5):
        forgot(stranger(number))

    assert sent("reset_password") == 6


def test_a_network_where_a_sign_in_failed_is_no_home(alice: User) -> None:
    thief = Api(REMOTE_ADDR="198.51.100.66")
    assert thief.login(ALICE, "wrong-Horse-7-battery").status == HTTPStatus.UNAUTHORIZED

    for number in range(5):
        forgot(stranger(number))
        forgot(thief)

    assert sent("reset_password") == 3


def test_security_notices_are_never_withheld(alice: User, settings: Settings) -> None:
    settings.LIMIT_MAIL = Rate(1, 3600)
    token = stranger().login(ALICE).data["accessToken"]
    current, other = PASSWORD, "another-Horse-8-stapler"

    for _time in range(4):
        body = {"currentPassword": current, "newPassword": other}
        assert stranger().post(f"{V1}/auth/password/change", body, token=token).status == HTTPStatus.OK
        current, other = other, current

    assert sent("password_changed") == 4


def test_the_limit_is_a_setting(alice: User, settings: Settings) -> None:
    settings.LIMIT_MAIL = Rate(1, 60)
    forgot(stranger())
    forgot(stranger())
    assert sent("reset_password") == 1

    OutgoingMail.objects.update(created_at=timezone.now() - timedelta(seconds=60))
    forgot(stranger())
    assert sent("reset_password") == 2
