"""The way into the outbox: `enqueue`."""

import logging
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache, partial
from queue import Empty, Full, Queue
from threading import Lock, Thread
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from audit.insertion import insert
from authsvc.compiled import CompiledValues
from authsvc.mail import tasks
from authsvc.mail.models import OutgoingMail

_log = logging.getLogger(__name__)


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


class Announcements:
    """Tells the broker about new mails from a thread of its own, and forgets when it cannot.

    A request must not wait for the broker, be it dead, slow or frozen. Whatever is dropped here
    is found by the sweep within seconds. What comes together is announced together: a connection
    costs more than many mails.
    """

    def __init__(self, *, capacity: int = 1000, pause_seconds: float = 0.2) -> None:
        """Hold up to `capacity` ids for the thread; more are dropped. Each lot is collected for `pause_seconds`."""
        self._capacity = capacity
        self._pause_seconds = pause_seconds
        self.reset()

    def reset(self) -> None:
        """Start afresh, as a forked child must: it inherits the locks but not the thread."""
        self._waiting: Queue[UUID] = Queue(self._capacity)
        self._starting = Lock()
        self._thread: Thread | None = None

    def add(self, mail_id: UUID) -> None:
        """Have a mail announced soon. Never waits, never raises for the broker's sake."""
        with suppress(Full):
            self._waiting.put_nowait(mail_id)
        if self._thread is None or not self._thread.is_alive():
            self._start()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._run, name="mail-announcements", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            lot = [self._waiting.get()]
            time.sleep(self._pause_seconds)
            with suppress(Empty):
                while True:
                    lot.append(self._waiting.get_nowait())
            try:
                tasks.announce(lot)
            except Exception as failure:  # noqa: BLE001 - the thread outlives whatever the broker does
                _log.warning("%d mails left to the sweep: %s", len(lot), type(failure).__name__)


_announcements = Announcements()
os.register_at_fork(after_in_child=_announcements.reset)
