"""The way into the outbox: `enqueue`."""

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache, partial
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from audit.insertion import insert
from authsvc.compiled import CompiledValues
from authsvc.lots import Lots
from authsvc.mail import tasks
from authsvc.mail.models import OutgoingMail


def enqueue(
    *, template: str, to: str, language: str, context: Mapping[str, str], dedupe_key: str | None = None, lane: str = ""
) -> OutgoingMail:
    """Write a mail into the outbox, within the caller's transaction; delivery starts when that commits.

    `template` names `<template>.subject.txt`, `.txt` and `.html`; `context` may hold a live token.
    Where the key is known already, its row is returned and nothing is queued; without a key every
    call queues a mail, by one statement. `lane` is counted by `within_limit`.
    """
    mail = OutgoingMail(template=template, recipient=to, language=language, lane=lane)
    mail.dedupe_key = dedupe_key or str(mail.pk)
    mail.seal_context(context)
    if not insert(mail, unless_known=dedupe_key is not None):
        return OutgoingMail.objects.get(dedupe_key=dedupe_key)
    transaction.on_commit(partial(_announcements.add, mail.pk), robust=True)
    return mail


def within_limit(mail: OutgoingMail) -> bool:
    """Tell whether a mail just queued is within `LIMIT_MAIL` for its kind, recipient and lane.

    For mails that anybody can ask for: the caller holds the row of the addressee's account, so that
    requests of the same moment count one after the other, and takes back what is too much.
    """
    limit = settings.LIMIT_MAIL
    recent = _recent(connection.vendor, limit.count, limit.seconds).run(mail.recipient, mail.template, mail.lane)
    return len(recent) <= limit.count


@lru_cache(maxsize=4)
def _recent(_vendor: str, count: int, seconds: int) -> CompiledValues:
    """Return the mails that count for a limit, one more than it allows at most."""
    recipient, template, lane = "recipient", "template", "lane"
    recent = OutgoingMail.objects.filter(
        recipient=recipient, template=template, lane=lane, created_at__gt=Now() - timedelta(seconds=seconds)
    )
    return CompiledValues(recent.values_list("pk")[: count + 1], placeholders=(recipient, template, lane))


# A request must not wait for the broker, be it dead, slow or frozen; what is not announced is found by the sweep within
# seconds. What comes together is announced together: a connection costs more than many mails.
_announcements: Lots[UUID] = Lots(tasks.announce_lot, name="mail-announcements", pause_seconds=0.5)
