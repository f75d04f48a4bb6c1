"""One attempt to deliver one mail, and what is kept of finished ones.

At least once: a process that dies between the server's acceptance and `mark_sent` leaves a claim
that ends by itself, and the mail goes out again under the same Message-ID.
"""

import logging
import random
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from smtplib import SMTPDataError, SMTPRecipientsRefused, SMTPResponseException
from uuid import UUID, uuid4

import orjson
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db.models import Q
from django.utils import timezone

from authsvc import crypto
from authsvc.mail.models import MailState, OutgoingMail
from authsvc.mail.render import Rendered, render

LEASE = timedelta(seconds=60)
GIVE_UP_AFTER = timedelta(days=3)
KEEP_FINISHED = timedelta(days=30)
KEEP_RENDERED = timedelta(days=7)

_FIRST_WAIT = 5.0
_SHORT_WAIT = 60.0
_LONG_WAIT = 900.0
_YOUNG = timedelta(minutes=15)
_PERMANENT = range(500, 600)

_log = logging.getLogger(__name__)
_jitter = random.SystemRandom()


def deliver(*, mail_id: UUID) -> None:
    """Make one attempt at a mail that is due; do nothing where it is not, or in other hands.

    Never raises for what befell one mail: it is put back or given up, and the others go on.
    """
    claim = uuid4()
    now = timezone.now()
    if not OutgoingMail.objects.claim(mail_id, claim=claim, now=now, until=now + LEASE):
        return
    mail = OutgoingMail.objects.filter(pk=mail_id, claim=claim).first()
    if mail is None:
        return
    try:
        rendered = _send(mail)
    except Exception as failure:  # noqa: BLE001 - a poison mail must end in its own row
        _fail(mail, claim, failure)
        return
    if not OutgoingMail.objects.mark_sent(mail_id, claim=claim, now=timezone.now(), rendered=rendered):
        _log.warning("mail %s was sent, but its claim had ended: it may go out twice", mail_id)


def due(limit: int) -> list[UUID]:
    """Return the ids of mails that wait for an attempt, the longest waiting first."""
    waiting = OutgoingMail.objects.due(timezone.now()).order_by("next_attempt_at")
    return list(waiting.values_list("pk", flat=True)[:limit])


def purge(limit: int) -> int:
    """Delete mails 30 days after they were finished and wipe rendered ones after 7; return how many went.

    Where a link lives longer, as that to a deleted account may, the mail that it counts from stays.

    A row that was given up does not say when; it was within `GIVE_UP_AFTER` of its making.
    """
    now = timezone.now()
    OutgoingMail.objects.filter(state=MailState.SENT, sent_at__lt=now - KEEP_RENDERED).exclude(rendered=b"").update(
        rendered=b""
    )
    kept = max(KEEP_FINISHED, settings.DELETION_GRACE)
    over = Q(state=MailState.SENT, sent_at__lt=now - kept) | Q(
        state=MailState.GIVEN_UP, created_at__lt=now - KEEP_FINISHED - GIVE_UP_AFTER
    )
    finished = list(OutgoingMail.objects.filter(over).values_list("pk", flat=True)[:limit])
    OutgoingMail.objects.filter(pk__in=finished).delete()
    return len(finished)


def wait(*, attempts: int, age: timedelta) -> timedelta:
    """Return how long to wait after the given number of attempts.

    About 5 s, doubling to a minute while the mail is younger than 15 minutes; from then on a
    fifteenth of its age, up to 15 minutes. The jitter only shortens, so that
    everything has been tried again within a minute of a short outage, sweep included.
    """
    if age < _YOUNG:
        seconds = min(_FIRST_WAIT * 2 ** min(attempts - 1, 10), _SHORT_WAIT)
    else:
        seconds = min(age.total_seconds() / 15, _LONG_WAIT)
    return timedelta(seconds=seconds * _jitter.uniform(0.6, 0.8))


def _send(mail: OutgoingMail) -> bytes:
    """Send a mail, or seal it for the mailbox in embedded mode and return it so."""
    rendered = render(template=mail.template, language=mail.language, context=mail.open_context())
    if settings.EMBEDDED:
        return crypto.seal(orjson.dumps(asdict(rendered)), context=mail.rendered_seal())
    _message(mail, rendered).send()
    return b""


def _message(mail: OutgoingMail, rendered: Rendered) -> EmailMultiAlternatives:
    sender_domain = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip("<> ")
    headers: Mapping[str, str] = {
        "Message-ID": f"<{mail.id}@{sender_domain or 'localhost'}>",
        "Auto-Submitted": "auto-generated",  # RFC 3834: no out-of-office answers
    }
    message = EmailMultiAlternatives(
        subject=rendered.subject, body=rendered.text, to=[mail.recipient], headers=dict(headers)
    )
    message.attach_alternative(rendered.html, "text/html")
    return message


def _fail(mail: OutgoingMail, claim: UUID, failure: Exception) -> None:
    """Put a mail back, or give it up: class and code are kept of the failure, its text may quote the mail."""
    now = timezone.now()
    last_error = " ".join([type(failure).__name__, *map(str, _codes(failure))])[:100]
    if _is_permanent(failure) or now - mail.created_at >= GIVE_UP_AFTER:
        OutgoingMail.objects.give_up(mail.pk, claim=claim, last_error=last_error)
        _log.error("mail %s given up: %s", mail.pk, last_error)
        return
    again = _next_attempt(mail, now)
    OutgoingMail.objects.put_back(mail.pk, claim=claim, next_attempt_at=again, last_error=last_error)
    _log.warning("mail %s not sent, attempt %d: %s", mail.pk, mail.attempts, last_error)


def _next_attempt(mail: OutgoingMail, now: datetime) -> datetime:
    return now + wait(attempts=mail.attempts, age=now - mail.created_at)


def _is_permanent(failure: Exception) -> bool:
    """Tell whether the server refused this mail for good: its recipient or its content.

    A 5xx to greeting, sign-in or sender is about us, not about the mail. It heals when an
    operator mends a setting, so it must not cost every mail queued until then.
    """
    about_the_mail = isinstance(failure, SMTPRecipientsRefused | SMTPDataError)
    codes = _codes(failure)
    return about_the_mail and bool(codes) and all(code in _PERMANENT for code in codes)


def _codes(failure: Exception) -> list[int]:
    if isinstance(failure, SMTPRecipientsRefused):
        return [code for code, _text in failure.recipients.values()]
    return [failure.smtp_code] if isinstance(failure, SMTPResponseException) else []
