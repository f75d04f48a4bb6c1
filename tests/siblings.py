"""Processes that share turns, each told by a test what to take and to give back."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, Lock, Thread

from authsvc import turns

PATIENCE_SECONDS = 10.0
# Long enough for a thread to get what is free, short enough to be waited for.
_MOMENT_SECONDS = 0.2


class Sibling:
    """One of the processes, as the test sees it."""

    def __init__(self, line: Connection) -> None:
        """Listen to it."""
        self._line = line
        self._heard: dict[str, str] = {}
        self.pid = int(self._line.recv())

    def take(self, *names: str, within: float = PATIENCE_SECONDS) -> None:
        """Have a thread ask for a turn under each of these names, one after the other."""
        for name in names:
            self._line.send(("take", name, within))

    def give_back(self, name: str) -> None:
        """Have the thread of a name finish its work."""
        self._line.send(("give back", name, 0.0))

    def has(self, name: str) -> bool:
        """Tell whether the thread of a name gets its turn, if it is free."""
        return self._said(name, within=_MOMENT_SECONDS) == "has it"

    def comes_to_have(self, name: str) -> bool:
        """Tell whether the thread of a name gets its turn sooner or later."""
        return self._said(name, within=PATIENCE_SECONDS) == "has it"

    def is_refused(self, name: str) -> bool:
        """Tell whether the thread of a name is told that there is no turn for it."""
        return self._said(name, within=PATIENCE_SECONDS) == "refused"

    def signal(self, number: signal.Signals) -> None:
        """Stop, continue or kill the process."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process, and wait until the kernel has taken back what it had."""
        self.signal(signal.SIGKILL)
        until = time.monotonic() + PATIENCE_SECONDS
        while Path(f"/proc/{self.pid}/fd").exists() and any(Path(f"/proc/{self.pid}/fd").iterdir()):
            assert time.monotonic() < until
            time.sleep(0.01)

    def _said(self, name: str, *, within: float) -> str | None:
        while name not in self._heard and self._line.poll(within):
            who, what = self._line.recv()
            self._heard[who] = what
        return self._heard.pop(name, None)


@contextmanager
def siblings(number: int, *, turns_each: int = 1) -> Iterator[Sequence[Sibling]]:
    """Run processes forked from one that shares turns."""
    lines = [multiprocessing.Pipe() for _ in range(number)]
    start = multiprocessing.get_context("spawn").Process  # a process without threads, which may be forked
    parent = start(target=_parent, args=([theirs for _ours, theirs in lines], turns_each))
    parent.start()
    for _ours, theirs in lines:
        theirs.close()
    running: list[Sibling] = []
    try:
        running += [Sibling(ours) for ours, _theirs in lines]
        yield running
    finally:
        for sibling in running:
            with suppress(ProcessLookupError):  # the test has killed it
                sibling.signal(signal.SIGKILL)
        parent.join(PATIENCE_SECONDS)


def _parent(lines: Sequence[Connection], turns_each: int) -> None:
    turns.share(processes=len(lines), turns=turns_each)
    children = [multiprocessing.get_context("fork").Process(target=_child, args=(line,)) for line in lines]
    for child in children:
        child.start()
    for child in children:
        child.join()


def _child(line: Connection) -> None:
    mine, speaking, works = turns.of_this_process(1), Lock(), dict[str, Event]()

    def say(name: str, what: str) -> None:
        with speaking:
            line.send((name, what))

    def hold(name: str) -> None:
        say(name, "has it")
        works[name].wait()

    def work(name: str, within: float) -> None:
        try:
            mine.run(partial(hold, name), within=within)
        except turns.NoTurn:
            say(name, "refused")

    line.send(os.getpid())
    with suppress(EOFError):  # the test is over
        while True:
            what, name, within = line.recv()
            if what == "take":
                works[name] = Event()
                Thread(target=work, args=(name, within), daemon=True).start()
            else:
                works[name].set()
