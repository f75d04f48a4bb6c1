"""Trying whether mails arrive."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from time import monotonic, sleep

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from authsvc.mail import delivery
from authsvc.mail.models import OutgoingMail
from tests.cast import post_round
from tests.scripted_smtp import Script

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

ADA = "ada@example.org"


def send(*arguments: str) -> str:
    out = io.StringIO()
    call_command("send_test_mail", *arguments, stdout=out)
    return out.getvalue()


def test_a_mail_is_queued_and_says_that_mails_arrive() -> None:
    said = send("Ada@Example.org", "--wait=0")

    mail = OutgoingMail.objects.get()
    assert said == f"Mail {mail.pk} to {ADA} is queued; no worker took it within 0 seconds.\n"
    (letter,) = post_round()
    assert (letter.to, letter.subject) == (ADA, "Test mail")
    assert "to test whether its mails arrive. They do." in letter.text
    assert "because its operator asked for it." in letter.text
    assert f"{mail.created_at:%Y-%m-%d %H:%M} UTC" in letter.text


@pytest.mark.parametrize("language", ["en", "de", "es", "fr"])
def test_the_language_can_be_chosen(language: str) -> None:
    send(ADA, "--wait=0", f"--language={language}")

    assert OutgoingMail.objects.get().language == language


def test_every_run_sends_one() -> None:
    send(ADA, "--wait=0")
    send(ADA, "--wait=0")

    assert OutgoingMail.objects.count() == 2


@pytest.mark.parametrize(
    "address", ["nonsense", "", "a@b", "two@example.org, three@example.org", "x" * 250 + "@example.org"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(CommandError, match=r"^This is no email address: ") as refused:
        send(address)

    assert refused.value.returncode == 1
    assert OutgoingMail.objects.count() == 0


def test_json_tells_the_same() -> None:
    said = json.loads(send(ADA, "--wait=0", "--json"))

    mail = OutgoingMail.objects.get()
    assert said == {"id": str(mail.pk), "to": ADA, "state": "queued", "attempts": 0, "lastError": ""}


@contextmanager
def worker() -> Iterator[None]:
    """Make one attempt at the mail as soon as it is there, as a worker does."""

    def work() -> None:
        try:
            while not (due := delivery.due(1)):
                sleep(0.02)
            delivery.deliver(mail_id=due[0])
        finally:
            connections.close_all()

    thread = Thread(target=work)
    thread.start()
    yield
    thread.join()


@pytest.mark.django_db(transaction=True)
def test_the_command_waits_no_longer_than_the_worker_takes(smtp: Script) -> None:
    start = monotonic()

    with worker():
        said = send(ADA)

    assert said == f"Mail {OutgoingMail.objects.get().pk} to {ADA} was sent: accepted by the mail server.\n"
    assert smtp.recipients == [ADA]
    assert monotonic() - start < 8


@pytest.mark.django_db(transaction=True)
def test_a_mail_that_will_be_tried_again_says_what_befell_it(smtp: Script) -> None:
    smtp.answers["DATA"] = "451 later"

    with worker():
        said = send(ADA, "--wait=1")

    assert said.endswith(" is queued; attempts: 1, the last: SMTPDataError 451.\n")


@pytest.mark.django_db(transaction=True)
def test_a_mail_that_the_server_refuses_for_good_is_an_error(smtp: Script) -> None:
    smtp.answers["DATA"] = "554 no"

    with worker(), pytest.raises(CommandError, match=r"^Given up: SMTPDataError 554\.$"):
        send(ADA)


@pytest.mark.django_db(transaction=True)
def test_in_embedded_mode_it_says_where_the_mail_is(embedded: None) -> None:
    with worker():
        assert send(ADA).endswith(" was sent: shown at /mailbox.\n")
