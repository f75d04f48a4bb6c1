"""The rendered mails of embedded mode, as they would have arrived."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson
from django.utils import timezone

from authsvc import crypto
from authsvc.mail.delivery import KEEP_RENDERED
from authsvc.mail.models import MailState, OutgoingMail, OutgoingMailQuerySet


@dataclass(frozen=True, slots=True)
class ArrivedMail:
    """One mail of the mailbox."""

    id: UUID
    to: str
    language: str
    subject: str
    text: str
    html: str
    created_at: datetime


def mails() -> list[ArrivedMail]:
    """Return the mails of the last seven days, newest first."""
    return list(_opened(_kept().order_by("-created_at", "-id")))


def mail(mail_id: UUID) -> ArrivedMail | None:
    """Return one mail of the last seven days."""
    return next(_opened(_kept().filter(pk=mail_id)), None)


def _kept() -> OutgoingMailQuerySet:
    return OutgoingMail.objects.filter(state=MailState.SENT, sent_at__gte=timezone.now() - KEEP_RENDERED).exclude(
        rendered=b""
    )


def _opened(rows: OutgoingMailQuerySet) -> Iterator[ArrivedMail]:
    """Open what can be opened: mails sealed with a key that is gone must not hide the others."""
    for row in rows:
        try:
            plain = crypto.unseal(bytes(row.rendered), context=row.rendered_seal())
        except (crypto.Tampered, crypto.KeyUnavailable):
            continue
        yield ArrivedMail(
            id=row.pk, to=row.recipient, language=row.language, created_at=row.created_at, **orjson.loads(plain)
        )
