"""This was not me: what the link of a mail about a new device takes back."""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.services import lifecycle, not_me
from accounts.services.links import InvalidLink
from audit.models import Event
from audit.origin import Origin
from authsvc import hashing
from authsvc.mail.models import MailState, OutgoingMail
from authsvc.tokens.models import KnownDevice, OneTimeToken, Purpose, Session
from authsvc.tokens.services import known_devices
from config.values import Rate
from tests.cast import OTHER_PASSWORD, V1, Answer, Api, post_round
from tests.ledger import events, mails, stored
from tests.lineage import Tokens, refused, row

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

NOT_ME = f"{V1}/auth/not-me"
OPERATOR = Origin.system("tests")


@pytest.fixture
def hers(api: Api, alice: User) -> Tokens:
    """Alice, signed in on a device of hers; its mail was read long ago."""
    tokens: Tokens = api.login(alice.email).data
    post_round()
    return tokens


@pytest.fixture
def thief() -> Api:
    return Api(REMOTE_ADDR="203.0.113.66", HTTP_USER_AGENT="curl/8")


@pytest.fixture
def link(thief: Api, alice: User, hers: Tokens) -> str:
    """The token that the mail about a thief's sign-in brings her."""
    thief.login(alice.email)
    (letter,) = post_round()
    return letter.token


def disown(api: Api, token: str) -> Answer:
    return api.post(NOT_ME, {"token": token})


def test_it_ends_every_session_and_voids_devices_and_password(
    api: Api, thief: Api, alice: User, bob: User, hers: Tokens
) -> None:
    his = api.login(bob.email).data
    stolen = thief.login(alice.email).data
    _bobs, letter = post_round()

    answer = disown(api, letter.token)

    assert (answer.status, answer.body["data"]) == (HTTPStatus.OK, None)
    for tokens in (hers, stolen):
        assert refused(api.me(tokens["accessToken"])) == "invalid_token"
        assert refused(api.refresh(tokens["refreshToken"])) == "invalid_token"
        assert row(tokens)["end_reason"] == "disowned"
    assert KnownDevice.objects.get().user_id == bob.pk
    assert api.me(his["accessToken"]).status == HTTPStatus.OK
    assert not User.objects.get(pk=alice.pk).has_usable_password()
    assert User.objects.get(pk=alice.pk).stamp != alice.stamp
    assert refused(thief.login(alice.email, deviceToken=stolen["deviceToken"])) == "invalid_credentials"


def test_the_log_tells_of_it(api: Api, alice: User, link: str) -> None:
    Event.objects.filter(action="account.signin.succeeded").count()

    disown(api, link)

    told = [event for event in Event.objects.order_by("id") if event.action != "account.signin.succeeded"]
    assert [event.action for event in told] == ["session.all_ended", "account.signin.disowned"]
    assert told[0].metadata == {"reason": "disowned", "sessions": 2}
    assert {(event.subject, event.actor, event.ip) for event in told} == {(alice.audit_key, None, "192.0.2.10")}
    assert told[1].metadata == {}


def test_a_link_to_a_new_password_is_mailed_that_no_limit_withholds(
    api: Api, alice: User, link: str, settings: Settings
) -> None:
    settings.LIMIT_MAIL = Rate(1, 3600)
    for _ in range(3):
        api.post(f"{V1}/auth/password/forgot", {"email": alice.email})
    post_round()

    disown(api, link)

    (letter,) = post_round()
    assert mails()[-1] == ("reset_password", alice.email)
    assert api.post(
        f"{V1}/auth/password/reset", {"token": letter.token, "newPassword": OTHER_PASSWORD}
    ).status == HTTPStatus.OK  # fmt: skip
    assert api.login(alice.email, OTHER_PASSWORD).status == HTTPStatus.OK


def test_it_works_once_and_takes_the_other_links_of_its_kind_along(
    api: Api, thief: Api, alice: User, link: str
) -> None:
    thief.login(alice.email)
    (other,) = post_round()

    assert disown(api, link).status == HTTPStatus.OK
    before = stored()

    for spent in (link, other.token):
        answer = disown(api, spent)
        assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {"token": "invalid_token"})
    assert stored() == before


def test_a_new_password_does_not_take_the_link_from_the_owner(api: Api, alice: User, link: str) -> None:
    User.objects.filter(pk=alice.pk).update(stamp=uuid4(), password=hashing.make(OTHER_PASSWORD))
    known_devices.void(alice, keep=uuid4())

    assert disown(api, link).status == HTTPStatus.OK
    assert refused(api.login(alice.email, OTHER_PASSWORD)) == "invalid_credentials"


def test_it_works_again_for_an_account_that_was_off_meanwhile(api: Api, alice: User, link: str) -> None:
    lifecycle.deactivate(user_id=alice.pk, origin=OPERATOR)
    assert disown(api, link).problems == {"token": "invalid_token"}

    lifecycle.activate(user_id=alice.pk, origin=OPERATOR)
    assert disown(api, link).status == HTTPStatus.OK


def sent(ago: timedelta) -> None:
    OutgoingMail.objects.update(sent_at=timezone.now() - ago)


def test_it_works_for_72_hours_after_the_mail_was_sent(api: Api, link: str) -> None:
    sent(timedelta(hours=72))
    assert disown(api, link).problems == {"token": "invalid_token"}

    sent(timedelta(hours=71, minutes=59))
    assert disown(api, link).status == HTTPStatus.OK


OBSTACLES: dict[str, Callable[[User], object]] = {
    "another address": lambda user: User.objects.filter(pk=user.pk).update(email="new@example.org"),
    "all devices voided": known_devices.void,
    "another purpose": lambda _user: OneTimeToken.objects.update(purpose=Purpose.UNDO_EMAIL),
    "a mail that was given up": lambda _user: OutgoingMail.objects.update(state=MailState.GIVEN_UP, sent_at=None),
}


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_a_link_that_is_void_changes_nothing(api: Api, alice: User, link: str, obstacle: str) -> None:
    OBSTACLES[obstacle](alice)
    before = stored()

    answer = disown(api, link)

    assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {"token": "invalid_token"})
    assert stored() == before
    with pytest.raises(InvalidLink):
        not_me.peek(token=link)


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"token": "required"}),
        ({"token": 7}, {"token": "invalid_type"}),
        ({"token": "x" * 43}, {"token": "invalid_token"}),
        ({"token": "x", "password": "x"}, {"password": "unknown_field"}),
    ],
)
def test_a_body_that_is_wrong_is_refused(api: Api, link: str, body: object, problems: dict[str, str]) -> None:
    assert api.post(NOT_ME, body).problems == problems
    assert Session.objects.filter(ended_at__isnull=True).count() == 2


def test_looking_at_a_link_changes_nothing(alice: User, link: str) -> None:
    before = stored()

    assert not_me.peek(token=link) == alice

    assert stored() == before
    assert "account.signin.disowned" not in events()


def test_a_sign_in_afterwards_is_mailed_and_can_be_disowned_anew(api: Api, thief: Api, alice: User, link: str) -> None:
    disown(api, link)
    post_round()
    User.objects.filter(pk=alice.pk).update(password=hashing.make(OTHER_PASSWORD))

    thief.login(alice.email, OTHER_PASSWORD)

    (letter,) = post_round()
    assert disown(api, letter.token).status == HTTPStatus.OK
    assert Session.objects.filter(ended_at__isnull=True).count() == 0
