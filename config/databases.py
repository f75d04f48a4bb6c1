"""How the database is reached."""

from pathlib import Path
from typing import Any

from authsvc.bounded import BoundedConnection
from config.values import Database

# Per process. A process never has more threads that use the database than this: those of requests, and three:
# they watch for changes of accounts, note the activity of sessions, and do what begins after an answer.
POOL_MAX = 10
OTHER_THREADS = 3
_POOL = {"min_size": 2, "max_size": POOL_MAX, "max_idle": 30, "timeout": 1, "connection_class": BoundedConnection}
# The server's limits, in milliseconds, are below the client's own (`BoundedConnection`).
_TIMEOUTS = {"statement_timeout": 3000, "lock_timeout": 2000, "idle_in_transaction_session_timeout": 10_000}
# A dead server is noticed within seconds, also by a connection that waits for an answer.
_LIBPQ = {
    "connect_timeout": 3,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "authsvc",
    "options": " ".join(f"-c {name}={milliseconds}" for name, milliseconds in _TIMEOUTS.items()),
}
_PREPARE_AFTER = 5  # runs of the same statement on one connection
_SQLITE_WAIT_SECONDS = 10


def postgresql(address: Database) -> dict[str, Any]:
    """Return Django's settings of a PostgreSQL database behind a pool of this process.

    No server-side cursors, so that a pooler in transaction mode may stand in between. What runs often is
    prepared; `prepare_threshold=0` in the URL switches that off for a pooler that can't follow it.
    """
    parameters = dict(address.parameters)
    prepare_threshold = int(parameters.pop("prepare_threshold", _PREPARE_AFTER)) or None
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": address.name,
        "USER": address.user,
        "PASSWORD": address.password,
        "HOST": address.host,
        "PORT": address.port,
        "CONN_MAX_AGE": 0,
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": {
            "pool": dict(_POOL),
            "server_side_binding": True,
            "prepare_threshold": prepare_threshold,
            **_LIBPQ,
            **parameters,
        },
    }


def sqlite(path: Path | str) -> dict[str, Any]:
    """Return Django's settings of an SQLite database whose writers wait for each other instead of failing."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "OPTIONS": {
            "timeout": _SQLITE_WAIT_SECONDS,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
