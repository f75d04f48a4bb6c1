"""What a process remembers of sessions, and why it may trust that.

Reading session and user from the database costs a request as much as all the rest of its work. So a
web process remembers them, and proves twice a second that nothing changed: it asks the database
for every change of the last minute, and whatever it remembers of those accounts is forgotten. What
it knows is trusted until one second after the start of the last such question that was answered.
After that, because the database is slow, frozen or away, every request asks the database again.
Redis has no part in this.

An account has a slot in a table of marks that the processes of one server share. Each change sets
another mark; what is remembered holds the one from before it was read, and is void as soon as the two
differ. So a change made through one process of a server is seen by its siblings at once, one made
anywhere else within a second.
"""

import logging
import mmap
import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from threading import Thread
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection, models, transaction
from django.db.models.base import ModelState

from authsvc.tokens.models import AccountChange, Session

M = TypeVar("M", bound=models.Model)

TRUSTED_SECONDS = 1.0
ASK_EVERY_SECONDS = 0.5
# Longer than anything is remembered: so the first answer after a pause tells of every change since that was read.
_ASK_ABOUT = timedelta(seconds=60)
_REMEMBERED_SECONDS = 30.0
# More than that is somebody who changes the whole table: then it is cheaper to read for every request.
_CHANGES_MAX = 20_000
_CAPACITY = 2048
_SLOTS = 1 << 14

_log = logging.getLogger(__name__)
# Anonymous and shared: processes that are forked from the one that made it see the same marks.
_marks = memoryview(mmap.mmap(-1, _SLOTS * 8)).cast("Q")


def _clock() -> float:
    """Return seconds of a clock that goes on while the machine sleeps and never steps back."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, slots=True)
class Before:
    """What was so before a session was read: the mark of its user, and the time of this process."""

    mark: int
    at: float


@dataclass(frozen=True, slots=True)
class _Remembered:
    session: Session
    mark: int
    until: float


class Memory:
    """Sessions with their users, by the id of the session."""

    def __init__(self) -> None:
        """Know nothing, and trust nothing until `trust` is called."""
        self._sessions: dict[UUID, _Remembered] = {}
        self._trusted_until = 0.0

    def recall(self, *, session_id: UUID, user_id: UUID) -> Session | None:
        """Return a copy of what is remembered, if that is proved to be of the last second."""
        remembered = self._sessions.get(session_id)
        if remembered is None or remembered.session.user_id != user_id:
            return None
        now = _clock()
        if now >= self._trusted_until:
            return None
        if remembered.mark != mark(user_id) or now >= remembered.until:
            self._sessions.pop(session_id, None)
            return None
        return _copied(remembered.session)

    def keep(self, session: Session, before: Before, *, db_now: datetime) -> None:
        """Remember a live session. `before` is from before it was read, `db_now` is the time of the database then."""
        if _clock() >= self._trusted_until:
            return
        if len(self._sessions) >= _CAPACITY:
            self._sessions.clear()
        left = min((session.expires_at - db_now).total_seconds(), _REMEMBERED_SECONDS)
        self._sessions[session.pk] = _Remembered(_copied(session), before.mark, before.at + left)

    def trust(self, *, until: float) -> None:
        """Let what is remembered count until then."""
        self._trusted_until = until

    def forget(self) -> None:
        """Know nothing, and trust nothing."""
        self._sessions.clear()
        self._trusted_until = 0.0


memory = Memory()


def before_reading(user_id: UUID) -> Before:
    """Return what `Memory.keep` must know of the moment before a session of this user is read."""
    return Before(mark(user_id), _clock())


def mark(user_id: UUID) -> int:
    """Return the mark of an account: another one after each change that was seen in this server."""
    return _marks[_slot(user_id)]


def changed(user_id: UUID) -> None:
    """Void what this server remembers of an account, once the caller's transaction is committed."""
    transaction.on_commit(partial(_void, user_id))


class Watch:
    """Asks the database for changes, and lets `memory` be trusted as long as there are answers."""

    def __init__(self) -> None:
        """Have asked nothing yet."""
        self._seen: frozenset[tuple[int, UUID, datetime]] = frozenset()

    def start(self) -> None:
        """Go on asking, on a thread of this process, until it ends."""
        Thread(target=self._run, name="account-changes", daemon=True).start()

    def ask(self) -> None:
        """Ask once. Whatever the database raises is passed on.

        Where more changed than can be looked through, nothing is trusted until that minute is over.
        """
        started = _clock()
        changes = frozenset(AccountChange.objects.of_the_last(_ASK_ABOUT, most=_CHANGES_MAX))
        if len(changes) == _CHANGES_MAX:
            memory.forget()
            return
        for user_id in {user_id for _id, user_id, _at in changes - self._seen}:
            _void(user_id)
        self._seen = changes
        memory.trust(until=started + TRUSTED_SECONDS)

    def _run(self) -> None:
        answered = True
        while True:
            try:
                self.ask()
                answered = True
            except Exception as failure:  # noqa: BLE001 - the thread outlives whatever the database does
                if answered:
                    _log.warning("changes of accounts not read, every request reads: %s", type(failure).__name__)
                answered = False
                connection.close()
            time.sleep(ASK_EVERY_SECONDS)


def watch() -> None:
    """Remember sessions in this process from now on. For web processes on PostgreSQL."""
    Watch().start()


def _slot(user_id: UUID) -> int:
    return int(user_id) % _SLOTS  # the end of a UUID version 7 is random


def _void(user_id: UUID) -> None:
    # Never one that was there before: a process that is stopped just before it writes brings nothing back.
    _marks[_slot(user_id)] = secrets.randbits(64)


def _copied(session: Session) -> Session:
    """Return a copy of a session with its user, without Django's signals: a view may change what it was given."""
    copied = _bare_copy(session)
    copied._state.fields_cache["user"] = _bare_copy(session.user)  # noqa: SLF001 - what assigning the relation does
    return copied


def _bare_copy(instance: M) -> M:
    copied = instance.__class__.__new__(instance.__class__)
    values: dict[str, Any] = {**instance.__dict__, "_state": ModelState()}
    copied.__dict__ = values
    copied._state.adding, copied._state.db = False, instance._state.db  # noqa: SLF001 - as a row that was read
    return copied
