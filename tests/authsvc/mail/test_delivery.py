"""Claim, send, mark: what becomes of one mail."""

import logging
import smtplib
from datetime import timedelta
from threading import Barrier, Thread
from uuid import uuid4

import pytest
import time_machine
from celery.exceptions import SoftTimeLimitExceeded
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from authsvc.mail import delivery, tasks
from authsvc.mail.models import OutgoingMail
from tests.authsvc.mail.conftest import LINK, Queue
from tests.scripted_smtp import Script

pytestmark = pytest.mark.django_db


def fresh(mail: OutgoingMail) -> OutgoingMail:
    """Read a mail again."""
    return OutgoingMail.objects.get(pk=mail.pk)


def test_a_mail_is_sent_once_and_its_secret_wiped(smtp: Script, queued: Queue) -> None:
    mail = queued()

    tasks.deliver(mail_id=str(mail.pk), something_newer=1)
    tasks.deliver(mail_id=str(mail.pk))

    (arrived,) = smtp.mails()
    assert smtp.recipients == ["alice@example.com"]
    assert arrived["To"] == "alice@example.com"
    assert arrived["Message-ID"].startswith(f"<{mail.pk}@")
    assert [part.get_content_type() for part in arrived.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    sent = fresh(mail)
    assert (sent.state, sent.attempts, bytes(sent.sealed), sent.last_error) == ("sent", 1, b"", "")
    assert sent.sent_at is not None
    assert (sent.claim, sent.claimed_until, bytes(sent.rendered)) == (None, None, b"")


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_of_eight_workers_one_delivers(smtp: Script, queued: Queue) -> None:
    mail = queued()
    together = Barrier(8)

    def work() -> None:
        together.wait()
        delivery.deliver(mail_id=mail.pk)
        connection.close()

    workers = [Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert len(smtp.contents) == 1
    assert (fresh(mail).state, fresh(mail).attempts) == ("sent", 1)


@pytest.mark.parametrize("answers", [{"RCPT": "550 5.1.1 no such user alice"}, {".": "554 5.7.1 spam: alice"}])
def test_a_refusal_for_good_ends_the_mail_at_once(answers: dict[str, str], smtp: Script, queued: Queue) -> None:
    smtp.answers = answers
    mail = queued()

    delivery.deliver(mail_id=mail.pk)

    ended = fresh(mail)
    assert (ended.state, ended.attempts, bytes(ended.sealed), ended.sent_at) == ("given_up", 1, b"", None)
    assert ended.last_error in {"SMTPRecipientsRefused 550", "SMTPDataError 554"}


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"RCPT": "451 4.7.1 greylisted"}, "SMTPRecipientsRefused 451"),
        ({".": "452 4.3.1 disk full"}, "SMTPDataError 452"),
        ({"MAIL": "530 5.7.0 sign in first"}, "SMTPSenderRefused 530"),
        ({"EHLO": "421 later", "HELO": "421 later"}, "SMTPHeloError 421"),
    ],
)
def test_a_refusal_that_can_heal_puts_the_mail_back(
    answers: dict[str, str], error: str, smtp: Script, queued: Queue
) -> None:
    smtp.answers = answers
    mail = queued()
    with time_machine.travel(timezone.now(), tick=False):
        now = timezone.now()

        delivery.deliver(mail_id=mail.pk)

        back = fresh(mail)
    assert (back.state, back.attempts, back.claim, back.claimed_until) == ("queued", 1, None, None)
    assert back.last_error == error
    assert timedelta(seconds=3) <= back.next_attempt_at - now <= timedelta(seconds=4)
    assert back.open_context()["link"] == LINK


def test_a_server_that_hangs_up_after_the_content_gets_the_mail_again(smtp: Script, queued: Queue) -> None:
    smtp.hangs_up_after_content = True
    mail = queued()

    delivery.deliver(mail_id=mail.pk)
    assert (fresh(mail).state, fresh(mail).last_error) == ("queued", "SMTPServerDisconnected")
    smtp.hangs_up_after_content = False
    with time_machine.travel(timezone.now() + timedelta(seconds=6)):
        delivery.deliver(mail_id=mail.pk)

    assert fresh(mail).state == "sent"
    first, second = smtp.mails()
    assert first["Message-ID"] == second["Message-ID"]


@pytest.mark.usefixtures("smtp")
def test_no_server_at_all_puts_the_mail_back(settings: Settings, queued: Queue) -> None:
    settings.EMAIL_PORT = 1
    mail = queued()

    delivery.deliver(mail_id=mail.pk)

    assert (fresh(mail).state, fresh(mail).last_error) == ("queued", "ConnectionRefusedError")


def test_a_mail_that_waits_is_left_alone(smtp: Script, queued: Queue) -> None:
    mail = queued()
    OutgoingMail.objects.update(next_attempt_at=timezone.now() + timedelta(seconds=1))

    delivery.deliver(mail_id=mail.pk)

    assert (fresh(mail).state, fresh(mail).attempts) == ("queued", 0)
    assert smtp.contents == []


@pytest.mark.both_databases
def test_a_claim_holds_for_a_minute_and_then_ends_by_itself(smtp: Script, queued: Queue) -> None:
    mail = queued()
    now = timezone.now()
    dead = uuid4()
    assert OutgoingMail.objects.claim(mail.pk, claim=dead, now=now, until=now + delivery.LEASE)

    with time_machine.travel(now + timedelta(seconds=59), tick=False):
        delivery.deliver(mail_id=mail.pk)
        assert delivery.due(10) == []
    assert smtp.contents == []
    with time_machine.travel(now + timedelta(seconds=61), tick=False):
        assert delivery.due(10) == [mail.pk]
        delivery.deliver(mail_id=mail.pk)

    assert len(smtp.contents) == 1
    assert (fresh(mail).state, fresh(mail).attempts) == ("sent", 2)


def test_a_lost_claim_changes_nothing(queued: Queue) -> None:
    mail = queued()
    now = timezone.now()
    lost, held = uuid4(), uuid4()
    OutgoingMail.objects.claim(mail.pk, claim=lost, now=now, until=now)
    assert OutgoingMail.objects.claim(mail.pk, claim=held, now=now, until=now + delivery.LEASE)

    outcomes = [
        OutgoingMail.objects.mark_sent(mail.pk, claim=lost, now=now),
        OutgoingMail.objects.give_up(mail.pk, claim=lost, last_error="X"),
        OutgoingMail.objects.put_back(mail.pk, claim=lost, next_attempt_at=now, last_error="X"),
    ]

    assert outcomes == [False, False, False]
    assert (fresh(mail).state, fresh(mail).claim, fresh(mail).last_error) == ("queued", held, "")


@pytest.mark.usefixtures("smtp")
def test_a_poison_mail_blocks_no_other(queued: Queue) -> None:
    unreadable, unknown, good = queued(), queued(template="accounts/email/no_such_mail"), queued()
    OutgoingMail.objects.filter(pk=unreadable.pk).update(sealed=bytes(good.sealed))

    for mail_id in delivery.due(10):
        delivery.deliver(mail_id=mail_id)

    assert [fresh(mail).state for mail in (unreadable, unknown, good)] == ["queued", "queued", "sent"]
    assert [fresh(mail).last_error for mail in (unreadable, unknown)] == ["Tampered", "TemplateDoesNotExist"]


def test_waits_grow_to_a_minute_then_with_age_to_a_quarter_of_an_hour() -> None:
    young = [delivery.wait(attempts=n, age=timedelta(minutes=1)).total_seconds() for n in range(1, 8)]
    older = [
        delivery.wait(attempts=30, age=age).total_seconds()
        for age in (timedelta(minutes=15), timedelta(hours=1), timedelta(days=2))
    ]

    for seconds, most in zip(young, [5, 10, 20, 40, 60, 60, 60], strict=True):
        assert most * 0.6 <= seconds <= most * 0.8
    for seconds, most in zip(older, [60, 240, 900], strict=True):
        assert most * 0.6 <= seconds <= most * 0.8


def test_waits_differ_so_that_mails_do_not_come_back_in_step() -> None:
    assert len({delivery.wait(attempts=5, age=timedelta(minutes=1)) for _ in range(20)}) > 10


def test_after_three_days_a_mail_is_given_up(smtp: Script, queued: Queue) -> None:
    smtp.answers = {"RCPT": "451 later"}
    mail = queued()

    with time_machine.travel(mail.created_at + timedelta(days=3, seconds=-1), tick=False):
        delivery.deliver(mail_id=mail.pk)
    assert fresh(mail).state == "queued"
    with time_machine.travel(mail.created_at + timedelta(days=3, hours=1), tick=False):
        delivery.deliver(mail_id=mail.pk)

    ended = fresh(mail)
    assert (ended.state, bytes(ended.sealed), ended.last_error) == ("given_up", b"", "SMTPRecipientsRefused 451")


def test_failures_are_told_without_address_or_secret(
    smtp: Script, queued: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    smtp.answers = {"RCPT": f"550 5.1.1 alice@example.com {LINK}"}
    mail = queued()

    with caplog.at_level(logging.DEBUG):
        delivery.deliver(mail_id=mail.pk)

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", f"mail {mail.pk} given up: SMTPRecipientsRefused 550")
    ]
    assert "alice" not in caplog.text + fresh(mail).last_error


@pytest.mark.usefixtures("smtp")
def test_a_task_that_runs_into_its_time_limit_puts_the_mail_back(
    queued: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = queued()
    monkeypatch.setattr(smtplib.SMTP, "ehlo", _time_is_up)

    delivery.deliver(mail_id=mail.pk)

    assert (fresh(mail).state, fresh(mail).last_error) == ("queued", "SoftTimeLimitExceeded")


def _time_is_up(*_arguments: object) -> None:
    raise SoftTimeLimitExceeded


def test_the_database_refuses_a_finished_mail_that_keeps_its_secret(queued: Queue) -> None:
    mail = queued()

    with pytest.raises(IntegrityError, match="mail_wiped_when_finished"), transaction.atomic():
        OutgoingMail.objects.filter(pk=mail.pk).update(state="given_up")
    with pytest.raises(IntegrityError, match="mail_"), transaction.atomic():
        OutgoingMail.objects.filter(pk=mail.pk).update(state="lost", sealed=b"")


def test_embedded_mode_keeps_the_mail_sealed_and_sends_nothing(smtp: Script, settings: Settings, queued: Queue) -> None:
    settings.EMBEDDED = True
    mail = queued()

    delivery.deliver(mail_id=mail.pk)

    kept = fresh(mail)
    assert smtp.contents == []
    assert (kept.state, bytes(kept.sealed)) == ("sent", b"")
    assert len(bytes(kept.rendered)) > 1000
    assert b"s3cr3t" not in bytes(kept.rendered)


@pytest.mark.usefixtures("smtp")
def test_a_mail_backend_that_is_not_there_puts_the_mail_back(settings: Settings, queued: Queue) -> None:
    settings.EMAIL_BACKEND = "no.such.Backend"
    mail = queued()

    delivery.deliver(mail_id=mail.pk)

    assert fresh(mail).last_error == "ModuleNotFoundError"
    assert fresh(mail).state == "queued"
