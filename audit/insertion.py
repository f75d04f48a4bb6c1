"""One row by one statement that is put together once.

Django compiles an INSERT each time, which costs more than the database takes to run it. Sign-ins
and registrations write several rows each; here only the values are prepared anew.
"""

from functools import lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import Model
from django.db.models.constants import OnConflict
from django.db.models.sql import InsertQuery


def insert(row: Model, *, unless_known: bool = False) -> bool:
    """Insert a row as it stands, without signals; tell whether it was.

    With `unless_known` a row that breaks a unique constraint is left out, otherwise `IntegrityError`
    is raised.
    """
    connection = connections[DEFAULT_DB_ALIAS]  # looked up once: behind its usual name it is looked up for every use
    sql = _statement(connection.vendor, row.__class__, unless_known)
    values = [
        field.get_db_prep_save(field.pre_save(row, add=True), connection=connection)
        for field in row._meta.concrete_fields  # noqa: SLF001 - Django's documented model API
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        inserted: bool = cursor.rowcount == 1
    row._state.adding, row._state.db = not inserted, connection.alias  # noqa: SLF001 - as `save` does
    return inserted


@lru_cache(maxsize=64)
def _statement(_vendor: str, model: type[Model], unless_known: bool) -> str:  # noqa: FBT001 - a key of the cache
    query = InsertQuery(model, on_conflict=OnConflict.IGNORE if unless_known else None)
    query.insert_values(model._meta.concrete_fields, [model()])  # noqa: SLF001
    compiler: Any = query.get_compiler(connection=connection)
    ((sql, _values),) = compiler.as_sql()
    return str(sql)
