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
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from threading import Condition, Lock, Thread
from typing import Any, TypeVar

R = TypeVar("R")

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
                self._do(fcntl.F_OFD_SETLK, fcntl.F_WRLCK, byte)
            except OSError:  # taken, or no memory for it
                if time.monotonic() >= until:
                    return False
                time.sleep(_RETRY_SECONDS)
            else:
                return True

    def unlock(self, byte: int) -> None:
        self._do(fcntl.F_OFD_SETLK, fcntl.F_UNLCK, byte)

    def is_another_s(self, byte: int) -> bool:
        """Tell whether another process has it."""
        return struct.unpack_from("h", self._do(fcntl.F_OFD_GETLK, fcntl.F_WRLCK, byte)) != (fcntl.F_UNLCK,)

    def _do(self, command: int, kind: int, byte: int) -> bytes:
        # C's `struct flock`. These locks belong to what was opened, others to the process and any file it closes.
        return fcntl.fcntl(self._file, command, struct.pack("hhqqi", kind, os.SEEK_SET, byte, 1, 0))


class Turn:
    """A turn of this process that no other knows of."""

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
    """A turn of a sibling, which may want it itself. Nobody waits for it, and one without an owner is nobody's."""

    def __init__(self, locks: _Locks, alive: int, wanted: int) -> None:
        self._locks, self._alive, self._wanted, self._taken = locks, alive, wanted, wanted + 1

    def begin(self, *, until: float) -> bool:
        del until
        return self._locks.is_another_s(self._alive) and self.may_go_on() and self._locks.lock(self._taken)

    def may_go_on(self) -> bool:
        if not self._locks.lock(self._wanted):
            return False
        self._locks.unlock(self._wanted)
        return True

    def end(self) -> None:
        self._locks.unlock(self._taken)


class Turns:
    """Threads that do heavy work, one for each turn that there can be. Who comes first is served first."""

    def __init__(self, own: Iterable[Turn], borrowed: Iterable[Turn] = ()) -> None:
        """Start the threads."""
        self._lock = Lock()
        self._works: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._for_own, self._for_borrowed = Condition(self._lock), Condition(self._lock)
        self._idle = 0  # threads of own turns that wait for work
        for do, turns in ((self._use, own), (self._borrow, borrowed)):
            for turn in turns:
                Thread(target=do, args=(turn,), name="turn", daemon=True).start()

    def run(self, work: Callable[[], R], *, within: float) -> R:
        """Return what the work returns, or raise what it raises.

        Raises `NoTurn` where it could not begin within that many seconds.
        """
        future: Future[R] = Future()
        asked = (future, work)
        with self._lock:
            self._works.append(asked)
            self._for_own.notify()
            if len(self._works) > self._idle:
                self._for_borrowed.notify()
        try:
            return future.result(within)
        except TimeoutError:  # perhaps the work's own
            if not future.cancel():
                return future.result()
            with self._lock, suppress(ValueError):  # one that is taking it lets go of it
                self._works.remove(asked)
            raise NoTurn from None

    def _use(self, turn: Turn) -> None:
        """Work by a turn of this process, for ever."""
        while True:
            with self._lock:
                self._idle += 1
                while not self._works:
                    self._for_own.wait()
                self._idle -= 1
            if turn.begin(until=time.monotonic() + _LOOK_AROUND_SECONDS):
                self._work(turn)
            else:
                with self._lock:
                    self._for_borrowed.notify()

    def _borrow(self, turn: Turn) -> None:
        """Work by the turn of a sibling whenever there is more to do than threads of own turns to do it, for ever."""
        while True:
            with self._lock:
                while len(self._works) <= self._idle:
                    self._for_borrowed.wait()
            if turn.begin(until=0.0):
                self._work(turn)
            else:
                with self._lock:
                    self._for_borrowed.notify()  # another sibling's may be free
                time.sleep(_LOOK_AROUND_SECONDS)  # no sibling tells when it is done

    def _work(self, turn: Turn) -> None:
        """Do what waits, one work after the other without a pause, as long as the turn may be kept; then end it."""
        try:
            while self._works and turn.may_go_on():
                self._do_next()
        finally:
            turn.end()

    def _do_next(self) -> None:
        with self._lock:
            if not self._works:
                return
            future, work = self._works.popleft()
        try:
            if future.set_running_or_notify_cancel():  # or nobody waits any more
                future.set_result(work())
        except BaseException as reason:  # noqa: BLE001 - it is raised where the work was asked for
            future.set_exception(reason)
        finally:
            del future, work  # a failure holds this frame, and would hold what they hold


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
            claimed = _claim_place(shared)
            if claimed is not None:
                return claimed
    return Turns(Turn() for _ in range(number))


def _claim_place(shared: _Shared) -> Turns | None:
    locks = _Locks(shared.file)
    free = (place for place in range(shared.processes) if locks.lock(shared.alive_at(place)))
    mine = next(free, None)
    if mine is None:
        return None
    others = [place % shared.processes for place in range(mine + 1, mine + shared.processes)]
    return Turns(
        [_Lent(locks, wanted) for wanted in shared.turns_at(mine)],
        [_Borrowed(locks, shared.alive_at(place), wanted) for place in others for wanted in shared.turns_at(place)],
    )
