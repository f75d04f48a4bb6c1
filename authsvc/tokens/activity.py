"""When a session was last used: noted by a thread, off the path of any request, and at most once a minute.

What is not written yet when the process ends is lost; so is what the database would not take.
"""

import logging
import os
import time
from datetime import timedelta
from threading import Event, Lock, Thread
from uuid import UUID

from django.db import connection
from django.utils import timezone

from authsvc.tokens.models import Session

RESOLUTION = timedelta(minutes=1)

_log = logging.getLogger(__name__)


class Notes:
    """Remembers which sessions were used, and writes that down now and then."""

    def __init__(self, *, capacity: int = 1000, pause_seconds: float = 3.0) -> None:
        """Hold up to `capacity` ids; more are dropped. Each lot is collected for `pause_seconds`."""
        self._capacity = capacity
        self._pause_seconds = pause_seconds
        self.reset()

    def reset(self) -> None:
        """Start afresh, as a forked child must: it inherits the locks but not the thread."""
        self._lock = Lock()
        self._any = Event()
        self._used: set[UUID] = set()
        self._thread: Thread | None = None

    def add(self, session_id: UUID) -> None:
        """Have a session's activity noted soon. Never waits for a database."""
        with self._lock:
            if len(self._used) < self._capacity:
                self._used.add(session_id)
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._run, name="session-activity", daemon=True)
                self._thread.start()
        self._any.set()

    def flush(self) -> None:
        """Write down what was collected, by one statement."""
        with self._lock:
            used, self._used = self._used, set()
            self._any.clear()
        if used:
            Session.objects.note_activity(used, older_than=RESOLUTION)

    def _run(self) -> None:
        while self._any.wait():
            time.sleep(self._pause_seconds)
            try:
                self.flush()
            except Exception as failure:  # noqa: BLE001 - the thread outlives whatever the database does
                _log.warning("last activity of some sessions not noted: %s", type(failure).__name__)
            finally:
                connection.close()  # the thread may wait long for the next lot


_notes = Notes()
os.register_at_fork(after_in_child=_notes.reset)


def touch(session: Session) -> None:
    """Note that a session is used, where what its row says is older than a minute."""
    if timezone.now() - session.last_activity_at >= RESOLUTION:
        _notes.add(session.pk)
