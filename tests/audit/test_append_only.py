"""The database itself keeps the log append-only."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import ConnectionHandler
from django.utils import timezone

from audit import triggers
from audit.models import Event

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]

OTHER_VALUES: dict[str, Any] = {
    "id": uuid4(),
    "action": "account.signin.failed",
    "outcome": "failure",
    "actor": uuid4(),
    "subject": None,
    "resource": "session:2",
    "ip": "203.0.113.9",
    "user_agent": "another",
    "request_id": "request-2",
    "session_id": None,
    "created_at": timezone.now(),
    "metadata": {"reason": "another"},
}
INSERT = """
INSERT INTO audit_event (id, action, outcome, resource, user_agent, request_id, created_at, metadata)
VALUES ('1', 'account.signin.failed', 'failure', '', 'browser', '', '2026-01-01', '{}')
"""
BLANK: dict[str, Any] = {"ip": None, "user_agent": "", "metadata": {}}


@pytest.fixture(autouse=True)
def whole_guard() -> None:
    """Put back the trigger that the run drops for SQLite's flush; the rollback of the test drops it again."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(triggers.SQLITE_DELETE_TRIGGER)


@pytest.fixture
def event() -> Event:
    return Event.objects.create(
        action="account.signin.succeeded",
        outcome="success",
        actor=uuid4(),
        subject=uuid4(),
        resource="session:1",
        ip="203.0.113.1",
        user_agent="browser",
        request_id="request-1",
        session_id=uuid4(),
        metadata={"via": "admin"},
    )


def row(event: Event) -> dict[str, Any]:
    return {**Event.objects.values().get(pk=event.pk)}


def test_an_entry_can_not_be_deleted(event: Event) -> None:
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Event.objects.filter(pk=event.pk).delete()

    assert Event.objects.count() == 1


def test_entries_can_not_be_deleted_by_a_statement_of_ones_own(event: Event) -> None:
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_event")

    assert Event.objects.get() == event


@pytest.mark.parametrize("column", OTHER_VALUES)
def test_no_column_can_be_given_another_value(event: Event, column: str) -> None:
    before = row(event)

    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Event.objects.filter(pk=event.pk).update(**{column: OTHER_VALUES[column]})

    assert row(event) == before


@pytest.mark.parametrize("column", OTHER_VALUES.keys() - BLANK.keys())
def test_nothing_else_changes_under_cover_of_an_erasure(event: Event, column: str) -> None:
    before = row(event)

    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Event.objects.filter(pk=event.pk).update(**BLANK, **{column: OTHER_VALUES[column]})

    assert row(event) == before


def test_erasing_a_person_blanks_address_user_agent_and_metadata(event: Event) -> None:
    before = row(event)

    erased = Event.objects.filter(subject=event.subject).update(**BLANK)

    assert erased == 1
    assert row(event) == before | BLANK


def test_an_entry_can_not_be_replaced_by_one_with_its_id(event: Event) -> None:
    before = row(event)
    forged = Event(pk=event.pk, action="account.signin.failed", outcome="failure")

    with pytest.raises(IntegrityError), transaction.atomic():
        Event.objects.bulk_create([forged], update_conflicts=True, unique_fields=["id"], update_fields=["action"])

    assert row(event) == before


@pytest.fixture
def embedded_database() -> Iterator[BaseDatabaseWrapper]:
    """A new SQLite database as the migrations leave it, whatever the run's own database is."""
    fresh = ConnectionHandler({"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})["default"]
    executor = MigrationExecutor(fresh)
    executor.migrate([node for node in executor.loader.graph.leaf_nodes() if node[0] == "audit"])
    with fresh.cursor() as cursor:
        cursor.execute(INSERT)
    yield fresh
    fresh.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_event",
        "UPDATE audit_event SET outcome = 'success'",
        INSERT.replace("INSERT", "REPLACE").replace("failed", "succeeded"),
    ],
)
def test_the_migrations_alone_close_sqlite(embedded_database: BaseDatabaseWrapper, statement: str) -> None:
    with pytest.raises(IntegrityError, match="append-only"), embedded_database.cursor() as cursor:
        cursor.execute(statement)

    with embedded_database.cursor() as cursor:
        cursor.execute("SELECT action, outcome FROM audit_event")
        assert cursor.fetchall() == [("account.signin.failed", "failure")]
