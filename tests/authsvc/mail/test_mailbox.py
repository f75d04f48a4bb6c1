"""The mailbox of embedded mode: what it shows, and to whom."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from uuid import uuid4

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from authsvc.mail import delivery
from authsvc.mail.models import OutgoingMail
from tests.authsvc.mail.conftest import LINK, Queue

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("embedded"),
    pytest.mark.urls("tests.authsvc.mail.mailbox_urls"),
]


@pytest.fixture
def browser(settings: Settings) -> Client:
    """Return a browser on the same machine."""
    settings.ALLOWED_HOSTS = ["*"]
    return Client(headers={"host": "127.0.0.1:8000"}, REMOTE_ADDR="127.0.0.1")


@pytest.fixture
def arrived(queued: Queue) -> OutgoingMail:
    """Deliver one mail to the mailbox."""
    mail = queued()
    delivery.deliver(mail_id=mail.pk)
    return mail


def test_the_list_names_the_mails_newest_first(browser: Client, arrived: OutgoingMail, queued: Queue) -> None:
    later = queued(language="de", to="bob@example.com")
    delivery.deliver(mail_id=later.pk)

    page = browser.get("/mailbox")

    text = page.content.decode()
    assert page.status_code == HTTPStatus.OK
    assert page["Cache-Control"] == "no-store"
    assert page["Content-Type"].startswith("text/html")
    assert text.index("bob@example.com") < text.index("alice@example.com")
    assert f'<td lang="de"><a href="/mailbox/{later.pk}">Bestätige deine E-Mail-Adresse</a>' in text
    assert f'<td lang="en"><a href="/mailbox/{arrived.pk}">Confirm your email address</a>' in text


def test_an_empty_mailbox_says_so(browser: Client) -> None:
    assert b"No mail yet." in browser.get("/mailbox").content


def test_scripts_get_a_plain_list(browser: Client, arrived: OutgoingMail) -> None:
    answer = browser.get("/mailbox", headers={"accept": "application/json"})

    (entry,) = answer.json()
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"
    assert "Accept" in answer["Vary"]
    assert list(entry) == ["id", "to", "subject", "text", "html", "createdAt"]
    assert (entry["id"], entry["to"]) == (str(arrived.pk), "alice@example.com")
    assert entry["subject"] == "Confirm your email address"
    assert LINK in entry["text"]
    assert f'href="{LINK}"' in entry["html"]
    assert datetime.fromisoformat(entry["createdAt"]).astimezone(UTC) == arrived.created_at
    assert entry["createdAt"].endswith("Z")


def test_one_mail_is_shown_with_its_html_in_a_sandboxed_frame(browser: Client, arrived: OutgoingMail) -> None:
    page = browser.get(f"/mailbox/{arrived.pk}")

    text = page.content.decode()
    assert page.status_code == HTTPStatus.OK
    assert f'src="/mailbox/{arrived.pk}/body"' in text
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"' in text
    assert "prefers-color-scheme" not in text
    assert page["Cache-Control"] == "no-store"


def test_the_frame_runs_nothing_loads_nothing_and_leads_out_of_itself(browser: Client, arrived: OutgoingMail) -> None:
    body = browser.get(f"/mailbox/{arrived.pk}/body")

    policy = [directive.strip() for directive in body["Content-Security-Policy"].split(";")]
    assert policy == [
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "frame-ancestors 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation",
    ]
    assert body["X-Frame-Options"] == "SAMEORIGIN"
    assert body["Cache-Control"] == "no-store"
    assert '<head><base target="_top">' in body.content.decode()
    assert f'href="{LINK}"' in body.content.decode()


@pytest.mark.parametrize("path", ["/mailbox", "/mailbox/{id}", "/mailbox/{id}/body"])
@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("192.0.2.7", "127.0.0.1:8000"),
        ("::ffff:192.0.2.7", "localhost"),
        ("", "localhost"),
        ("127.0.0.1", "evil.example:8000"),
        ("127.0.0.1", "127.0.0.1.evil.example"),
        ("127.0.0.1", "localhost.evil.example"),
        ("127.0.0.1", "[::1]:8000"),
    ],
)
def test_strangers_find_no_mailbox(peer: str, host: str, path: str, browser: Client, arrived: OutgoingMail) -> None:
    answer = browser.get(path.format(id=arrived.pk), headers={"host": host}, REMOTE_ADDR=peer)

    assert answer.status_code == HTTPStatus.NOT_FOUND
    assert "s3cr3t" not in answer.content.decode()


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("127.0.0.1", "localhost"),
        ("::1", "localhost:8123"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("127.0.0.2", "LOCALHOST"),
    ],
)
def test_the_machine_itself_finds_it_under_both_names(peer: str, host: str, browser: Client) -> None:
    assert browser.get("/mailbox", headers={"host": host}, REMOTE_ADDR=peer).status_code == HTTPStatus.OK


@pytest.mark.parametrize("path", ["/mailbox", "/mailbox/{id}", "/mailbox/{id}/body"])
def test_other_modes_have_no_mailbox(path: str, browser: Client, arrived: OutgoingMail, settings: Settings) -> None:
    settings.EMBEDDED = False

    assert browser.get(path.format(id=arrived.pk)).status_code == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("path", ["/mailbox/{id}", "/mailbox/{id}/body", "/mailbox/1", "/mailbox/"])
def test_unknown_mails_are_not_found(path: str, browser: Client) -> None:
    assert browser.get(path.format(id=uuid4())).status_code == HTTPStatus.NOT_FOUND


def test_mails_older_than_seven_days_are_not_shown(browser: Client, arrived: OutgoingMail) -> None:
    with time_machine.travel(timezone.now() + timedelta(days=7, seconds=1)):
        listed = browser.get("/mailbox", headers={"accept": "application/json"})
        shown = browser.get(f"/mailbox/{arrived.pk}")

    assert listed.json() == []
    assert shown.status_code == HTTPStatus.NOT_FOUND


def test_a_mail_that_cannot_be_opened_hides_no_other(browser: Client, arrived: OutgoingMail, queued: Queue) -> None:
    other = queued()
    delivery.deliver(mail_id=other.pk)
    swapped = OutgoingMail.objects.get(pk=arrived.pk).rendered
    OutgoingMail.objects.filter(pk=other.pk).update(rendered=swapped)

    listed = browser.get("/mailbox", headers={"accept": "application/json"}).json()

    assert [entry["id"] for entry in listed] == [str(arrived.pk)]


def test_only_reading_is_possible(browser: Client) -> None:
    assert browser.post("/mailbox").status_code == HTTPStatus.METHOD_NOT_ALLOWED
