"""Calls that start in the same moment, each in a thread of its own."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import TypeVar

from django.db import connection, connections

from config.databases import POOL_MAX

T = TypeVar("T")
PATIENCE_SECONDS = 30


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Run the calls in as many threads as a process of the service may have; return what each gave.

    All threads of a wave start together, and every call ends with its connection closed, as a
    request does.
    """
    connection.close()  # the pool is for the threads
    results: list[T] = []
    with _patient_pool():
        for start in range(0, len(calls), POOL_MAX):
            wave = calls[start : start + POOL_MAX]
            barrier = Barrier(len(wave))
            with ThreadPoolExecutor(len(wave)) as threads:
                results += threads.map(lambda call, barrier=barrier: _released(call, barrier), wave)
    return results


@contextmanager
def _patient_pool() -> Iterator[None]:
    """Let nobody be refused because a busy machine is slow to open connections."""
    pool = getattr(connection, "pool", None)
    if pool is None:  # SQLite
        yield
        return
    usual, pool.timeout = pool.timeout, PATIENCE_SECONDS
    try:
        yield
    finally:
        pool.timeout = usual


def _released(call: Callable[[], T], barrier: Barrier) -> T:
    barrier.wait(PATIENCE_SECONDS)
    try:
        return call()
    finally:
        connections.close_all()
