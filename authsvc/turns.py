"""Turns at heavy work: so many at once in a process, and an idle process lends its turns to its siblings.

Connections spread unevenly over the processes of a server: one has all the work, and the CPUs of the
others stay idle. So a process that is out of turns borrows from those that want none. What its owner
wants goes back after one piece of work, so nobody has less than its own share for longer than that.

A turn has two locks in a file that is only memory: its owner holds `wanted` from wanting it until it is
done, and whoever is at work holds `taken`. The kernel frees the locks of a process that dies.
"""

import fcntl
import os
import struct
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock

_RETRY_SECONDS = 0.001
_LOOK_AROUND_SECONDS = 0.01


class NoTurn(Exception):
    """Nothing became free in time."""


class _Locks:
    """The locks of a file, each a byte of it."""

    def __init__(self, file: int) -> None:
        # Opened anew: the one that a child inherits is its parent's, and so are the locks on it.
        self._file = os.open(f"/proc/self/fd/{file}", os.O_RDWR)

    def lock(self, byte: int, *, until: float = 0.0) -> bool:
        """Lock, by `until` of the monotonic clock where another process has it; tell whether that went well."""
        while True:
            try:
                self._set(fcntl.F_WRLCK, byte)
            except BlockingIOError:
                if time.monotonic() >= until:
                    return False
                time.sleep(_RETRY_SECONDS)
            else:
                return True

    def unlock(self, byte: int) -> None:
        self._set(fcntl.F_UNLCK, byte)

    def _set(self, kind: int, byte: int) -> None:
        # C's `struct flock`. These locks belong to what was opened, others to the process and any file it closes.
        fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, struct.pack("hhqqi", kind, os.SEEK_SET, byte, 1, 0))


class Turn:
    """A turn of this process that no other knows of."""

    is_borrowed = False

    def begin(self, *, until: float) -> bool:
        """Take the turn, by `until` of the monotonic clock; tell whether that went well."""
        del until  # others must wait
        return True

    def may_go_on(self) -> bool:
        """Tell whether this process may keep the turn for its next piece of work."""
        return True

    def end(self) -> None:
        """Give the turn back."""


class _Lent(Turn):
    """A turn of this process that its siblings may borrow."""

    def __init__(self, locks: _Locks, wanted: int) -> None:
        self._locks, self._wanted, self._taken = locks, wanted, wanted + 1

    def begin(self, *, until: float) -> bool:
        if not self._locks.lock(self._wanted, until=until):
            return False
        if self._locks.lock(self._taken, until=until):
            return True
        self._locks.unlock(self._wanted)
        return False

    def end(self) -> None:
        self._locks.unlock(self._taken)
        self._locks.unlock(self._wanted)


class _Borrowed(Turn):
    """A turn of a sibling, which may want it itself. Nobody waits for it."""

    is_borrowed = True

    def __init__(self, locks: _Locks, wanted: int) -> None:
        self._locks, self._wanted, self._taken = locks, wanted, wanted + 1

    def begin(self, *, until: float) -> bool:
        del until
        return self.may_go_on() and self._locks.lock(self._taken)

    def may_go_on(self) -> bool:
        if not self._locks.lock(self._wanted):
            return False
        self._locks.unlock(self._wanted)
        return True

    def end(self) -> None:
        self._locks.unlock(self._taken)


class Turns:
    """The turns of a process, and those that it may borrow. Who comes first is served first."""

    def __init__(self, own: Iterable[Turn], borrowed: Iterable[Turn] = ()) -> None:
        """Start with none of them taken."""
        self._lock = Lock()
        self._own, self._borrowed = deque(own), deque(borrowed)
        self.most = len(self._own) + len(self._borrowed)  # that can be taken at once
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
                self._serve()
        if turn is None:
            return self._wait(place, until=until)
        if turn.begin(until=until):
            return turn
        with self._lock:
            self._own.append(turn)
        raise NoTurn

    def _wait(self, place: Future[Turn], *, until: float) -> Turn:
        try:
            while True:
                left = until - time.monotonic()
                try:
                    return place.result(min(max(left, 0.0), _LOOK_AROUND_SECONDS))
                except TimeoutError:
                    if left <= 0 and place.cancel():
                        raise NoTurn from None
                with self._lock:
                    self._serve()  # no sibling tells when it is done
        except (KeyboardInterrupt, SystemExit):
            if not place.cancel():
                self._pass_on(place.result())
            raise

    def _pass_on(self, turn: Turn) -> None:
        with self._lock:
            if not (turn.may_go_on() and self._hand_over(turn)):
                turn.end()
                (self._borrowed if turn.is_borrowed else self._own).append(turn)
            self._serve()

    def _serve(self) -> None:
        """Give those who wait what is free, of this process and of its siblings. The lock is held."""
        for turns in (self._own, self._borrowed):
            for _ in range(len(turns)):
                if not self._waiting:
                    return
                turn = turns.popleft()
                if turn.begin(until=0.0):
                    if self._hand_over(turn):
                        continue
                    turn.end()
                turns.append(turn)

    def _hand_over(self, turn: Turn) -> bool:
        """Give a turn to who waits longest; tell whether anybody did. The lock is held."""
        while self._waiting:
            place = self._waiting.popleft()
            if place.set_running_or_notify_cancel():  # or they gave up
                place.set_result(turn)
                return True
        return False


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the processes of a server inherit: a file with a place for each, one byte for its life and two a turn."""

    file: int
    processes: int
    turns: int

    def turns_at(self, place: int) -> Iterator[int]:
        """Yield the first byte of each turn of a place."""
        alive = self.alive_at(place)
        yield from range(alive + 1, alive + 1 + 2 * self.turns, 2)

    def alive_at(self, place: int) -> int:
        return place * (1 + 2 * self.turns)


_shared: list[_Shared] = []


def share(*, processes: int, turns: int) -> None:
    """Let the processes forked from this one lend each other their turns, so many each.

    Where the system has no files in memory, nobody lends.
    """
    if processes > 1 and sys.platform == "linux":
        with suppress(OSError):
            _shared[:] = [_Shared(os.memfd_create("turns"), processes, turns)]


def of_this_process(number: int) -> Turns:
    """Return the turns of this process, `number` where it shares none, and those of its siblings.

    To be called once in a process: it takes a place until its process ends.
    """
    for shared in _shared:
        with suppress(OSError):  # no /proc
            locks = _Locks(shared.file)
            for mine in range(shared.processes):
                if locks.lock(shared.alive_at(mine)):
                    others = [place % shared.processes for place in range(mine + 1, mine + shared.processes)]
                    return Turns(
                        [_Lent(locks, wanted) for wanted in shared.turns_at(mine)],
                        [_Borrowed(locks, wanted) for place in others for wanted in shared.turns_at(place)],
                    )
    return Turns(Turn() for _ in range(number))
