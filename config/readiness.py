"""What the readiness probe asks of each part that this profile has. Each check returns, or raises anything."""

from collections.abc import Callable

from django.conf import settings
from django.db import connection
from django_redis import get_redis_connection

from config.celery import app

# Just under the probe's own second, so that a dead part's thread ends by itself soon after.
_BROKER_TIMEOUT_SECONDS = 0.8


def database() -> None:
    """Ask the database through the pool that requests use, so that a dead pool shows."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


def redis() -> None:
    """Ask the cache's Redis."""
    get_redis_connection("default").ping()


def email_queue() -> None:
    """Open a connection to the broker that wakes mail delivery."""
    timeouts = {"socket_timeout": _BROKER_TIMEOUT_SECONDS, "socket_connect_timeout": _BROKER_TIMEOUT_SECONDS}
    with app.connection_for_write(connect_timeout=_BROKER_TIMEOUT_SECONDS, transport_options=timeouts) as broker:
        broker.ensure_connection(max_retries=0)


# By the names that READINESS_GATES uses.
CHECKS: dict[str, Callable[[], None]] = {
    "database": database,
    **({"redis": redis} if settings.HAS_REDIS else {}),
    "emailQueue": email_queue,
}
