"""Many at once: real threads, released together, each with a database connection of its own."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import TypeVar

from django.db import connection, connections

T = TypeVar("T")
_PATIENCE_SECONDS = 30


def at_once(deeds: Iterable[Callable[[], T]]) -> list[T]:
    """Do all of it at the same moment; return the results in order. Raises what the first of them raised."""
    everyone = list(deeds)
    gate = Barrier(len(everyone))

    def do(deed: Callable[[], T]) -> T:
        gate.wait(_PATIENCE_SECONDS)
        try:
            return deed()
        finally:
            connections.close_all()

    with _patient_pool(), ThreadPoolExecutor(len(everyone)) as threads:
        return list(threads.map(do, everyone))


@contextmanager
def _patient_pool() -> Iterator[None]:
    """Let threads wait for a connection: a web process never has more of them than connections, a test may.

    None is made here: before the database of the tests is, it would lead all of them to another one.
    """
    pool = getattr(connection, "_connection_pools", {}).get(connection.alias)
    if pool is None:
        yield
        return
    usual, pool.timeout = pool.timeout, _PATIENCE_SECONDS
    try:
        yield
    finally:
        pool.timeout = usual
