"""Turns at heavy work: so many at once in a process, and an idle process lends its turns to its siblings.

Connections spread unevenly over the processes of a server: one has all the work, and the CPUs of the
others stay idle. So a process that is out of turns borrows from those that want none. What its owner
wants goes back after one piece of work, so nobody has less than its own share for longer than that.

A turn has two locks on files in memory: its owner holds `wanted` from wanting it until it is done, and
whoever is at work holds `taken`. The kernel frees the locks of a process that dies.
"""

import fcntl
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from itertools import chain
from threading import Lock

_RETRY_SECONDS = 0.001
_LOOK_AROUND_SECONDS = 0.01
# Of each process that `share` knew of: the file that says it lives, and two for each of its turns.
_shared: list[list[int]] = []


class NoTurn(Exception):
    """Nothing became free in time."""


class _FileLock:
    """A lock between processes."""

    def __init__(self, file: int) -> None:
        # Opened anew: the one that a child inherits is its parent's, and so are the locks on it.
        self._file = os.open(f"/proc/self/fd/{file}", os.O_RDWR)

    def lock(self, *, until: float = 0.0) -> bool:
        """Lock, by `until` of the monotonic clock where somebody else has it; tell whether that went well."""
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    return False
                time.sleep(_RETRY_SECONDS)
            else:
                return True

    def unlock(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)


class Turn:
    """A turn of this process that no other knows of."""

    is_borrowed = False

    def begin(self, *, until: float) -> bool:
        """Take the turn, by `until` of the monotonic clock; tell whether that went well."""
        return True

    def may_go_on(self) -> bool:
        """Tell whether this process may keep the turn for its next piece of work."""
        return True

    def end(self) -> None:
        """Give the turn back."""


class _Lent(Turn):
    """A turn of this process that its siblings may borrow."""

    def __init__(self, wanted: _FileLock, taken: _FileLock) -> None:
        self._wanted, self._taken = wanted, taken

    def begin(self, *, until: float) -> bool:
        if not self._wanted.lock(until=until):
            return False
        if self._taken.lock(until=until):
            return True
        self._wanted.unlock()
        return False

    def end(self) -> None:
        self._taken.unlock()
        self._wanted.unlock()


class _Borrowed(Turn):
    """A turn of a sibling, which may want it itself. Nobody waits for it."""

    is_borrowed = True

    def __init__(self, wanted: _FileLock, taken: _FileLock) -> None:
        self._wanted, self._taken = wanted, taken

    def begin(self, *, until: float) -> bool:
        return self.may_go_on() and self._taken.lock()

    def may_go_on(self) -> bool:
        if not self._wanted.lock():
            return False
        self._wanted.unlock()
        return True

    def end(self) -> None:
        self._taken.unlock()


class Turns:
    """The turns of a process, and those that it may borrow. Who comes first is served first."""

    def __init__(self, own: Iterable[Turn], borrowed: Iterable[Turn] = ()) -> None:
        """Start with none of them taken."""
        self._lock = Lock()
        self._own, self._borrowed = deque(own), deque(borrowed)
        self._waiting: deque[Future[Turn]] = deque()

    @contextmanager
    def one(self, *, within: float) -> Iterator[None]:
        """Hold a turn for the block. Raises `NoTurn` where none becomes free within that many seconds."""
        turn = self._take(until=time.monotonic() + within)
        try:
            yield
        finally:
            self._pass_on(turn)

    def _take(self, *, until: float) -> Turn:
        with self._lock:
            turn = self._own.popleft() if self._own else None
            if turn is None:
                place: Future[Turn] = Future()
                self._waiting.append(place)
                self._borrow()
        if turn is None:
            return self._wait(place, until=until)
        if turn.begin(until=until):
            return turn
        with self._lock:
            self._own.append(turn)
        raise NoTurn

    def _wait(self, place: Future[Turn], *, until: float) -> Turn:
        while True:
            left = until - time.monotonic()
            try:
                return place.result(min(max(left, 0.0), _LOOK_AROUND_SECONDS))
            except TimeoutError:
                if left <= 0 and place.cancel():
                    raise NoTurn from None
            with self._lock:
                self._borrow()  # no sibling tells when it is done

    def _pass_on(self, turn: Turn) -> None:
        with self._lock:
            if not (turn.may_go_on() and self._hand_over(turn)):
                turn.end()
                (self._borrowed if turn.is_borrowed else self._own).append(turn)
            self._borrow()

    def _borrow(self) -> None:
        """Serve those who wait from what siblings want not. The lock is held."""
        for _ in range(len(self._borrowed)):
            if not self._waiting:
                return
            turn = self._borrowed.popleft()
            if turn.begin(until=0.0):
                if self._hand_over(turn):
                    continue
                turn.end()
            self._borrowed.append(turn)

    def _hand_over(self, turn: Turn) -> bool:
        """Give a turn to who waits longest; tell whether anybody did. The lock is held."""
        while self._waiting:
            place = self._waiting.popleft()
            if place.set_running_or_notify_cancel():  # or they gave up
                place.set_result(turn)
                return True
        return False


def share(*, processes: int, turns: int) -> None:
    """Let the processes forked from this one lend each other their turns, so many each.

    Where the system has no files in memory, nobody lends.
    """
    if processes > 1 and sys.platform == "linux":
        with suppress(OSError):
            _shared[:] = [[os.memfd_create("turns") for _ in range(1 + 2 * turns)] for _ in range(processes)]


def of_this_process(number: int) -> Turns:
    """Return the turns of this process, `number` where it shares none, and those of its siblings."""
    places = [[_FileLock(file) for file in files] for files in _shared]
    for mine, (alive, *_locks) in enumerate(places):
        if alive.lock():  # until this process ends
            siblings = places[mine + 1 :] + places[:mine]
            return Turns(_pairs(_Lent, places[mine]), chain.from_iterable(_pairs(_Borrowed, one) for one in siblings))
    return Turns(Turn() for _ in range(number))


def _pairs(kind: Callable[[_FileLock, _FileLock], Turn], place: Sequence[_FileLock]) -> Iterator[Turn]:
    _alive, *locks = place
    return map(kind, locks[::2], locks[1::2])
