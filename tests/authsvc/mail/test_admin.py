"""The outbox as staff sees it."""

from datetime import timedelta
from http import HTTPStatus

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role, User
from authsvc.mail.models import OutgoingMail
from tests.authsvc.mail.conftest import Queue

pytestmark = pytest.mark.django_db
LIST = "/admin/mail/outgoingmail/"


@pytest.fixture
def staff() -> Client:
    """Return a browser with a signed-in administrator."""
    admin = User.objects.create_user(email="admin@example.com", name="Admin", password_hash="!")
    User.objects.filter(pk=admin.pk).update(role=Role.ADMIN, verified_at=timezone.now())
    browser = Client()
    browser.force_login(User.objects.get(pk=admin.pk))
    return browser


def test_staff_finds_a_mail_by_its_recipient_and_sees_no_secret(staff: Client, queued: Queue) -> None:
    mail = queued()
    queued(to="bob@example.com")

    listed = staff.get(LIST, {"q": "alice"}).content.decode()
    shown = staff.get(reverse("admin:mail_outgoingmail_change", args=[mail.pk]))

    assert "alice@example.com" in listed
    assert "bob@example.com" not in listed
    assert shown.status_code == HTTPStatus.OK
    assert "s3cr3t" not in shown.content.decode()
    assert 'name="sealed"' not in shown.content.decode()
    assert 'name="_save"' not in shown.content.decode()


def test_staff_can_send_a_waiting_mail_now(staff: Client, queued: Queue) -> None:
    mail, finished = queued(), queued()
    later = timezone.now() + timedelta(hours=1)
    OutgoingMail.objects.update(next_attempt_at=later)
    OutgoingMail.objects.filter(pk=finished.pk).update(state="given_up", sealed=b"")

    staff.post(LIST, {"action": "send_now", "_selected_action": [str(mail.pk), str(finished.pk)]})

    assert OutgoingMail.objects.get(pk=mail.pk).next_attempt_at <= timezone.now()
    assert OutgoingMail.objects.get(pk=finished.pk).next_attempt_at == later


def test_nobody_writes_edits_or_deletes_mails(staff: Client, queued: Queue) -> None:
    mail = queued()

    answers = [
        staff.get(reverse("admin:mail_outgoingmail_add")),
        staff.post(reverse("admin:mail_outgoingmail_change", args=[mail.pk]), {"recipient": "eve@example.com"}),
        staff.post(reverse("admin:mail_outgoingmail_delete", args=[mail.pk]), {"post": "yes"}),
    ]

    assert [answer.status_code for answer in answers] == [HTTPStatus.FORBIDDEN] * 3
    assert OutgoingMail.objects.get().recipient == "alice@example.com"
