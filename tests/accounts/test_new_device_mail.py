"""The mail about a sign-in on a device that was not known."""

import re
from datetime import datetime, timedelta
from datetime import timezone as zones

import pytest
from pytest_django.fixtures import Settings

from accounts import emails
from accounts.models import User
from audit.origin import Origin
from authsvc.mail.models import OutgoingMail
from authsvc.tokens.models import OneTimeToken, Purpose, Session
from config.values import Rate
from tests.cast import OTHER_PASSWORD, Api, enrol, post_round
from tests.ledger import mails, stored

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


def browser(user_agent: str = FIREFOX) -> Api:
    return Api(REMOTE_ADDR="203.0.113.9", HTTP_USER_AGENT=user_agent)


def test_it_tells_when_where_and_on_what_somebody_signed_in(alice: User) -> None:
    browser().login(alice.email, deviceName="Ada's laptop")

    (letter,) = post_round()
    began = Session.objects.get().created_at
    assert (letter.to, letter.subject) == (alice.email, "New sign-in to your account")
    for body in (letter.text, letter.html.replace("&#x27;", "'")):
        for line in (
            "Device name: Ada's laptop",
            "Device: Firefox, Linux",
            f"Time: {began:%Y-%m-%d %H:%M} UTC",
            "IP address: 203.0.113.9",
        ):
            assert line in body
    assert re.findall(r'href="([^"]+)"', letter.html) == [f"http://127.0.0.1:8000/not-me#token={letter.token}"] * 2
    assert f"\nhttp://127.0.0.1:8000/not-me#token={letter.token}\n" in letter.text
    assert "72 hours" in letter.text


def test_what_is_not_known_of_the_device_is_called_so(alice: User) -> None:
    Api(REMOTE_ADDR="", HTTP_USER_AGENT="").login(alice.email)

    (letter,) = post_round()
    assert "Device name" not in letter.text
    assert "\nDevice: unknown\n" in letter.text
    assert "\nIP address: unknown\n" in letter.text


def test_the_time_is_in_utc(alice: User) -> None:
    origin = Origin(ip=None, user_agent="", request_id="", actor_id=None)
    at = datetime(2026, 11, 25, 1, 30, tzinfo=zones(timedelta(hours=2)))

    mail = emails.new_device(user=alice, token="x", origin=origin, device_name="", at=at)

    assert mail.open_context()["time"] == "2026-11-24 23:30 UTC"


@pytest.mark.parametrize("name", ["Call 0800 123456", "visit evil.example", "<b>You won</b>", "x" * 41])
def test_a_device_name_that_could_carry_a_message_is_left_out(alice: User, name: str) -> None:
    browser().login(alice.email, deviceName=name)

    (letter,) = post_round()
    assert "Device name" not in letter.text
    assert name not in letter.text + letter.html
    assert "Device: Firefox, Linux" in letter.text


def test_a_sign_in_on_a_known_device_is_not_mailed(api: Api, alice: User) -> None:
    token = api.login(alice.email).data["deviceToken"]

    api.login(alice.email, deviceToken=token)

    assert mails() == [("new_device", alice.email)]


def test_neither_is_one_that_fails(api: Api, alice: User) -> None:
    enrol("inactive@example.org", is_active=False)

    api.login(alice.email, OTHER_PASSWORD)
    api.login("inactive@example.org")
    api.login("nobody@example.org")

    assert mails() == []


def test_no_limit_withholds_it(api: Api, alice: User, settings: Settings) -> None:
    settings.LIMIT_MAIL = Rate(1, 3600)

    for _ in range(3):
        api.login(alice.email)

    assert mails() == [("new_device", alice.email)] * 3
    assert len({letter.token for letter in post_round()}) == 3


def test_it_is_in_the_language_of_the_account_and_leads_to_the_front_end(
    api: Api, alice: User, settings: Settings
) -> None:
    settings.FRONTEND_URL = "https://app.example.com"
    User.objects.update(locale="de")

    api.login(alice.email)

    mail = OutgoingMail.objects.get()
    assert mail.language == "de"
    assert mail.open_context()["link"].startswith("https://app.example.com/not-me#token=")


def test_its_link_is_kept_as_a_digest_bound_to_the_address(api: Api, alice: User) -> None:
    api.login(alice.email)
    token = OutgoingMail.objects.get().open_context()["link"].partition("#token=")[2]

    link = OneTimeToken.objects.get()
    assert (link.purpose, link.address, link.lifetime) == (Purpose.NOT_ME, alice.email, timedelta(hours=72))
    assert link.stamp is None
    assert token not in repr(stored())
