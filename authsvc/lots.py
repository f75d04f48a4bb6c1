"""Work off the path of any request: what comes together is done together, by a thread of its own."""

import logging
import os
import time
from collections.abc import Callable, Hashable
from threading import Event, Lock, Thread
from typing import Generic, TypeVar

from django.db import connection

T = TypeVar("T", bound=Hashable)

_log = logging.getLogger(__name__)


class Lots(Generic[T]):
    """Collects things for a while and hands them, each once, to a function. Never waits, and forgets what is too much.

    What is not done yet when the process ends is lost, and so is a lot that the function could not do.
    """

    def __init__(
        self, do: Callable[[list[T]], object], *, name: str, pause_seconds: float, capacity: int = 1000
    ) -> None:
        """Collect for `pause_seconds` from the first thing on, up to `capacity`; `name` is for the log."""
        self._do = do
        self._name = name
        self._pause_seconds = pause_seconds
        self._capacity = capacity
        self._waiting: dict[T, None]
        self._thread: Thread | None
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def add(self, thing: T) -> None:
        """Have a thing done soon."""
        with self._lock:
            if len(self._waiting) < self._capacity:
                self._waiting[thing] = None
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        self._any.set()

    def flush(self) -> None:
        """Do now what waits, and return once it and what was begun before is done. Raises what the function raises."""
        with self._at_work:
            with self._lock:
                lot, self._waiting = list(self._waiting), {}
                self._any.clear()
            if lot:
                self._do(lot)

    def _reset(self) -> None:
        """Start afresh, as a forked child must: it inherits the locks but not the thread."""
        self._lock, self._at_work = Lock(), Lock()
        self._any = Event()
        self._waiting = {}
        self._thread = None

    def _run(self) -> None:
        while self._any.wait():
            time.sleep(self._pause_seconds)
            try:
                self.flush()
            except Exception as failure:  # noqa: BLE001 - the thread outlives whatever the database or the broker does
                _log.warning("%s: a lot is left undone: %s", self._name, type(failure).__name__)
            finally:
                connection.close()  # the thread may wait long for the next lot
