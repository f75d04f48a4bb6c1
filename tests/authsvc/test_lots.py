"""Work off the path of requests, and work that begins after an answer."""

import os
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Event, Thread, get_ident

import pytest

from authsvc import afterwards
from authsvc.lots import Lots

PATIENCE_SECONDS = 10.0


@pytest.fixture
def done() -> SimpleQueue[list[int]]:
    """The lots that were done, in this order."""
    return SimpleQueue()


def test_what_comes_together_is_done_together_once_each(done: SimpleQueue[list[int]]) -> None:
    lots = Lots(done.put, name="test", pause_seconds=0.2)

    for number in (1, 2, 1, 3):
        lots.add(number)

    assert done.get(timeout=PATIENCE_SECONDS) == [1, 2, 3]
    assert done.empty()
    lots.add(1)
    assert done.get(timeout=PATIENCE_SECONDS) == [1]


def test_what_is_too_much_is_forgotten(done: SimpleQueue[list[int]]) -> None:
    lots = Lots(done.put, name="test", pause_seconds=0.2, capacity=2)

    for number in range(5):
        lots.add(number)

    assert done.get(timeout=PATIENCE_SECONDS) == [0, 1]


def test_a_flush_does_what_waits_and_waits_for_what_is_being_done() -> None:
    begun, go_on, ended = Event(), Event(), list[int]()

    def do(lot: list[int]) -> None:
        begun.set()
        assert go_on.wait(PATIENCE_SECONDS)
        ended.extend(lot)

    lots = Lots(do, name="test", pause_seconds=0.0)
    lots.add(1)
    assert begun.wait(PATIENCE_SECONDS)
    flushing = Thread(target=lots.flush)
    flushing.start()
    flushing.join(0.2)
    assert flushing.is_alive()

    go_on.set()

    flushing.join(PATIENCE_SECONDS)
    assert ended == [1]


def test_the_thread_outlives_a_failure() -> None:
    threads: SimpleQueue[int] = SimpleQueue()

    def fail(_lot: list[int]) -> None:
        threads.put(get_ident())
        raise OSError("gone")

    lots = Lots(fail, name="test", pause_seconds=0.0)
    lots.add(1)
    first = threads.get(timeout=PATIENCE_SECONDS)
    lots.add(2)

    assert threads.get(timeout=PATIENCE_SECONDS) == first


@pytest.mark.django_db(transaction=True)
def test_what_begins_after_an_answer_is_done_on_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(afterwards, "_begun", Lots(afterwards._do, name="test", pause_seconds=0.01))
    threads: SimpleQueue[int] = SimpleQueue()

    def fail() -> None:
        raise OSError("gone")

    afterwards.begin(fail)
    afterwards.begin(lambda: threads.put(get_ident()))

    assert threads.get(timeout=PATIENCE_SECONDS) != get_ident()


def test_the_end_of_a_process_waits_for_it() -> None:
    done = list[Callable[[], object]]()
    afterwards.begin(partial(done.append, os.getpid))

    afterwards.finish()

    assert done == [os.getpid]
