"""Nobody waits for a database that does not answer."""

from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection

from authsvc.bounded import BoundedConnection


@pytest.fixture
def bounded(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[BoundedConnection]:
    monkeypatch.setattr(BoundedConnection, "wait_seconds", 0.3)
    parameters = connection.get_connection_params()
    for name in ("pool", "server_side_binding", "prepare_threshold", "cursor_factory", "context"):
        parameters.pop(name, None)
    with BoundedConnection.connect(**parameters, autocommit=True) as opened:
        yield opened


def test_an_answer_in_time_is_an_answer(bounded: BoundedConnection) -> None:
    assert bounded.execute("SELECT 1").fetchone() == (1,)
    assert not bounded.closed


def test_without_an_answer_the_connection_is_given_up(bounded: BoundedConnection) -> None:
    with pytest.raises(psycopg.OperationalError, match="does not answer"):
        bounded.execute("SELECT pg_sleep(2)")

    assert bounded.closed
    with pytest.raises(psycopg.OperationalError):
        bounded.execute("SELECT 1")


def test_the_service_connects_so(db: None) -> None:
    connection.ensure_connection()

    assert isinstance(connection.connection, BoundedConnection)
