"""One row by one statement that is put together once.

Django compiles an INSERT each time, which costs more than the database takes to run it. Sign-ins
and registrations write several rows each; here only the values are prepared anew.
"""

from functools import lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import (
    BooleanField,
    CharField,
    DateTimeField,
    DurationField,
    EmailField,
    ForeignKey,
    Model,
    PositiveIntegerField,
    TextField,
    UUIDField,
)
from django.db.models.constants import OnConflict
from django.db.models.sql import InsertQuery

# Kinds whose values PostgreSQL's driver takes as a row has them.
_AS_IT_IS = (
    BooleanField,
    CharField,
    DateTimeField,
    DurationField,
    EmailField,
    PositiveIntegerField,
    TextField,
    UUIDField,
)


def insert(row: Model, *, unless_known: bool = False) -> bool:
    """Insert a row as it stands, without signals; tell whether it was.

    With `unless_known` a row that breaks a unique constraint is left out, otherwise `IntegrityError`
    is raised.
    """
    connection = connections[DEFAULT_DB_ALIAS]  # looked up once: behind its usual name it is looked up for every use
    sql, columns = _statement(connection.vendor, row.__class__, unless_known)
    values = [
        getattr(row, name)
        if field is None
        else field.get_db_prep_save(field.pre_save(row, add=True), connection=connection)
        for name, field in columns
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        inserted: bool = cursor.rowcount == 1
    row._state.adding, row._state.db = not inserted, connection.alias  # noqa: SLF001 - as `save` does
    return inserted


@lru_cache(maxsize=64)
def _statement(
    vendor: str,
    model: type[Model],
    unless_known: bool,  # noqa: FBT001 - a key of the cache
) -> tuple[str, list[tuple[str, Any]]]:
    """Return the statement, and what it stores: each attribute, with its field where that must prepare the value."""
    fields = model._meta.concrete_fields  # noqa: SLF001 - Django's documented model API
    query = InsertQuery(model, on_conflict=OnConflict.IGNORE if unless_known else None)
    query.insert_values(fields, [model()])
    compiler: Any = query.get_compiler(connection=connection)
    ((sql, _values),) = compiler.as_sql()
    as_it_is = _AS_IT_IS if vendor == "postgresql" else ()
    return str(sql), [(field.attname, None if _stored(field) in as_it_is else field) for field in fields]


def _stored(field: Any) -> type | None:
    """Return as what kind a field stores its values, or nothing where it makes them up itself."""
    if isinstance(field, ForeignKey):
        return _stored(field.target_field)
    return None if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False) else type(field)
