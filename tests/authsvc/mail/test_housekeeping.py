"""The sweep and the purge."""

from datetime import timedelta

import pytest
import time_machine
from celery import Celery
from django.utils import timezone

from authsvc.mail import delivery, tasks
from authsvc.mail.models import OutgoingMail
from config.celery import app
from tests.authsvc.mail.conftest import Queue
from tests.scripted_smtp import Script

pytestmark = pytest.mark.django_db


def test_the_sweep_announces_what_is_due_and_nothing_else(queued: Queue) -> None:
    """As after a lost announcement: the row is all that there is."""
    lost, waiting, _sent = queued(), queued(), queued()
    OutgoingMail.objects.filter(pk=waiting.pk).update(next_attempt_at=timezone.now() + timedelta(minutes=1))
    OutgoingMail.objects.filter(pk=_sent.pk).update(state="sent", sealed=b"", sent_at=timezone.now())
    broker = Celery("sweep", broker="memory://")
    try:
        with broker.connection() as connection, connection.SimpleQueue("celery") as announced:
            announced.clear()

            tasks.sweep(something_newer=1)

            message = announced.get(timeout=1)
            assert message.payload[1] == {"mail_id": str(lost.pk)}
            assert message.headers["expires"] is not None
            with pytest.raises(announced.Empty):
                announced.get(timeout=0.1)
    finally:
        app.set_current()


def test_the_longest_waiting_are_swept_first_in_bounded_numbers(queued: Queue) -> None:
    mails = [queued() for _ in range(4)]
    now = timezone.now()
    for hours, mail in enumerate(mails):
        OutgoingMail.objects.filter(pk=mail.pk).update(next_attempt_at=now - timedelta(hours=hours))

    assert delivery.due(3) == [mails[3].pk, mails[2].pk, mails[1].pk]


def test_finished_mails_go_after_thirty_days(smtp: Script, queued: Queue) -> None:
    sent, given_up, waiting = queued(), queued(), queued()
    delivery.deliver(mail_id=sent.pk)
    smtp.answers = {"RCPT": "550 no"}
    delivery.deliver(mail_id=given_up.pk)

    with time_machine.travel(timezone.now() + timedelta(days=29, hours=23)):
        tasks.purge()
    assert set(_ids()) == {sent.pk, given_up.pk, waiting.pk}
    with time_machine.travel(timezone.now() + timedelta(days=30, hours=1)):
        tasks.purge()
    assert set(_ids()) == {given_up.pk, waiting.pk}
    with time_machine.travel(timezone.now() + timedelta(days=33, hours=1)):
        tasks.purge()
    assert _ids() == [waiting.pk]


@pytest.mark.usefixtures("embedded")
def test_rendered_mails_are_wiped_after_seven_days(queued: Queue) -> None:
    mail = queued()
    delivery.deliver(mail_id=mail.pk)

    with time_machine.travel(timezone.now() + timedelta(days=6, hours=23)):
        tasks.purge()
    assert bytes(OutgoingMail.objects.get(pk=mail.pk).rendered) != b""
    with time_machine.travel(timezone.now() + timedelta(days=7, hours=1)):
        tasks.purge()

    wiped = OutgoingMail.objects.get(pk=mail.pk)
    assert (wiped.state, bytes(wiped.rendered)) == ("sent", b"")


def test_a_purge_takes_bounded_bites(queued: Queue) -> None:
    old = timezone.now() - timedelta(days=40)
    for _ in range(3):
        queued()
    OutgoingMail.objects.update(state="sent", sealed=b"", sent_at=old)

    assert [delivery.purge(2), delivery.purge(2), delivery.purge(2)] == [2, 1, 0]


def _ids() -> list[object]:
    return list(OutgoingMail.objects.order_by("pk").values_list("pk", flat=True))
