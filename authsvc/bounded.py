"""A PostgreSQL connection that does not wait for ever.

The server's own time limits end with the server: one that is frozen, or lost behind a network that
still acknowledges, answers nothing, and the kernel sees nothing wrong. So the client counts too.
"""

from typing import Any, ClassVar, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.errors import _WaitTimeout

R = TypeVar("R")

_POLL_SECONDS = 0.1


class BoundedConnection(psycopg.Connection[Any]):
    """Gives up on an answer after `wait_seconds` (`None`: never) and closes, so that nobody waits on it again."""

    wait_seconds: ClassVar[float | None] = 4.0

    def wait(self, gen: PQGen[R], interval: float = _POLL_SECONDS, timeout: float | None = None) -> R:
        """Wait for one exchange with the server. Raises `psycopg.OperationalError` when it takes too long."""
        try:
            return super().wait(gen, interval, self.wait_seconds if timeout is None else timeout)
        except _WaitTimeout as late:
            self.close()
            raise psycopg.OperationalError("the database does not answer") from late
