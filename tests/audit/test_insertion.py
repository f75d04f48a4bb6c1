"""Rows that are written by one statement."""

from contextlib import suppress

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from audit import services as audit
from audit.events import EventType
from audit.insertion import insert, together
from audit.models import Event
from audit.origin import Origin

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

ORIGIN = Origin.system("test")


def person(email: str) -> User:
    return User(email=email, name="Ada", password="!")


def record() -> None:
    audit.record(EventType.ACCOUNT_REGISTRATION_CREATED, origin=ORIGIN)


def write(*people: User) -> None:
    """Write an entry and these people."""
    with transaction.atomic(), together():
        record()
        for each in people:
            insert(each)


def test_rows_of_a_block_are_stored_at_its_end_and_at_once_where_the_database_can() -> None:
    ada, bob = person("ada@example.org"), person("bob@example.org")
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        with together():
            insert(ada)
            record()
            insert(bob)
            assert User.objects.count() == 0
        assert set(User.objects.all()) == {ada, bob}

    inserts = [query["sql"] for query in queries.captured_queries if "INSERT" in query["sql"]]
    assert len(inserts) == (1 if connection.vendor == "postgresql" else 3)
    assert Event.objects.count() == 1
    assert not ada._state.adding
    assert ada._state.db == bob._state.db == "default"
    assert User.objects.get(pk=ada.pk).created_at == ada.created_at


def test_the_same_rows_again_are_other_values() -> None:
    write(person("ada@example.org"))
    write(person("bob@example.org"))

    assert set(User.objects.values_list("email", flat=True)) == {"ada@example.org", "bob@example.org"}
    assert Event.objects.count() == 2


def test_many_rows_are_written_by_several_statements() -> None:
    with CaptureQueriesContext(connection) as queries:
        write(*(person(f"{number}@example.org") for number in range(20)))

    inserts = [query["sql"] for query in queries.captured_queries if "INSERT" in query["sql"]]
    assert len(inserts) == (3 if connection.vendor == "postgresql" else 21)
    assert User.objects.count() == 20
    assert Event.objects.count() == 1


def test_all_or_none() -> None:
    insert(person("ada@example.org"))
    with pytest.raises(IntegrityError):
        write(person("bob@example.org"), person("ada@example.org"))

    assert User.objects.count() == 1
    assert Event.objects.count() == 0


def test_nothing_is_stored_of_a_block_that_fails_and_nothing_is_left_for_the_next() -> None:
    with suppress(ZeroDivisionError), together():
        record()
        raise ZeroDivisionError
    with together():
        pass
    record()

    assert Event.objects.count() == 1


def test_what_must_be_known_at_once_does_not_wait() -> None:
    ada = person("ada@example.org")
    with transaction.atomic(), together():
        assert insert(ada, unless_known=True)
        assert not insert(person("ada@example.org"), unless_known=True)
        assert User.objects.get() == ada
