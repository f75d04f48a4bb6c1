"""A mail that only shows whether mails arrive."""

import time
from datetime import UTC
from uuid import UUID

from django.utils import timezone

from authsvc.mail.models import MailState, OutgoingMail
from authsvc.mail.queue import enqueue
from authsvc.mail.render import Sample

_POLL_SECONDS = 0.1

SAMPLES = (Sample("authsvc/email/test", {"time": "2026-11-24 09:30 UTC"}),)


def queue(*, to: str, language: str) -> OutgoingMail:
    """Queue a mail to a canonical address."""
    now = timezone.now()
    return enqueue(
        template="authsvc/email/test",
        to=to,
        language=language,
        context={"time": f"{now.astimezone(UTC):%Y-%m-%d %H:%M} UTC"},
    )


def outcome(mail_id: UUID, *, wait_seconds: float) -> OutgoingMail:
    """Return a mail as soon as it is finished, or as it is when the wait is over."""
    until = time.monotonic() + wait_seconds
    while True:
        mail = OutgoingMail.objects.get(pk=mail_id)
        if mail.state != MailState.QUEUED or time.monotonic() >= until:
            return mail
        time.sleep(_POLL_SECONDS)
