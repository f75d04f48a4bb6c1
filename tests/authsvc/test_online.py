"""An index that is added to a live table."""

from collections.abc import Iterator
from threading import Timer

import psycopg
import pytest
from django.db import connection, models
from django.db.migrations.loader import MigrationLoader

from authsvc.online import AddIndexOnline

# By no transaction of the test: an index is made beside those of others.
pytestmark = pytest.mark.django_db(transaction=True)


class Adding:
    """The operation, on the table of mails."""

    def __init__(self) -> None:
        index = models.Index(fields=["recipient"], name="added_online")
        self.operation = AddIndexOnline(model_name="outgoingmail", index=index)
        self.state = MigrationLoader(connection).project_state()

    def run(self) -> None:
        with connection.schema_editor(atomic=False) as editor:
            self.operation.database_forwards("mail", editor, self.state, self.state)

    def take_back(self) -> None:
        with connection.schema_editor(atomic=False) as editor:
            self.operation.database_backwards("mail", editor, self.state, self.state)


@pytest.fixture
def adding() -> Iterator[Adding]:
    adding = Adding()
    yield adding
    adding.take_back()


def told(statement: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def test_what_an_interrupted_run_left_is_made_anew(adding: Adding) -> None:
    told("CREATE INDEX added_online ON mail_outgoingmail (template)")

    adding.run()

    assert "(recipient)" in str(told("SELECT indexdef FROM pg_indexes WHERE indexname = 'added_online'"))


def test_it_waits_for_a_transaction_however_long_others_may_wait(adding: Adding) -> None:
    told("SET lock_timeout = '50ms'")
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as other:
        other.execute("LOCK TABLE mail_outgoingmail IN ROW EXCLUSIVE MODE")
        end = Timer(0.5, other.rollback)
        end.start()

        adding.run()

        end.join()
    assert told("SELECT indisvalid FROM pg_index WHERE indexrelid = 'added_online'::regclass") is True
    assert told("SHOW lock_timeout") != "0"
