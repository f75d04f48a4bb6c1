"""The way into the outbox: `enqueue`."""

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from queue import Full, Queue
from threading import Lock, Thread
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from authsvc.mail import tasks
from authsvc.mail.models import OutgoingMail

_log = logging.getLogger(__name__)


def enqueue(
    *, template: str, to: str, language: str, context: Mapping[str, str], dedupe_key: str, lane: str = ""
) -> OutgoingMail:
    """Write a mail into the outbox, within the caller's transaction; delivery starts when that commits.

    `template` names `<template>.subject.txt`, `.txt` and `.html`; `context` may hold a live token.
    Where the key is known already, its row is returned and nothing is queued. `lane` is counted by
    `within_limit`.
    """
    mail = OutgoingMail(template=template, recipient=to, language=language, dedupe_key=dedupe_key, lane=lane)
    mail.seal_context(context)
    OutgoingMail.objects.bulk_create([mail], ignore_conflicts=True)
    queued = OutgoingMail.objects.get(dedupe_key=dedupe_key)
    if queued.pk == mail.pk:
        transaction.on_commit(partial(_announcements.add, mail.pk), robust=True)
    return queued


def within_limit(mail: OutgoingMail) -> bool:
    """Tell whether a mail just queued is within `LIMIT_MAIL` for its kind, recipient and lane.

    For mails that anybody can ask for: the caller holds the row of the addressee's account, so that
    requests of the same moment count one after the other, and takes back what is too much.
    """
    since = timezone.now() - timedelta(seconds=settings.LIMIT_MAIL.seconds)
    recent = OutgoingMail.objects.filter(
        recipient=mail.recipient, template=mail.template, lane=mail.lane, created_at__gt=since
    )
    return recent.count() <= settings.LIMIT_MAIL.count


class Announcements:
    """Tells the broker about new mails from a thread of its own, and forgets when it cannot.

    A request must not wait for the broker, be it dead, slow or frozen. Whatever is dropped here
    is found by the sweep within seconds.
    """

    def __init__(self, *, capacity: int = 1000) -> None:
        """Hold up to `capacity` ids for the thread; more are dropped."""
        self._capacity = capacity
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
            mail_id = self._waiting.get()
            try:
                tasks.announce([mail_id])
            except Exception as failure:  # noqa: BLE001 - the thread outlives whatever the broker does
                _log.warning("mail %s left to the sweep: %s", mail_id, type(failure).__name__)


_announcements = Announcements()
os.register_at_fork(after_in_child=_announcements.reset)
