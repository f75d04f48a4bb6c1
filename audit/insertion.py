"""Rows by a statement that is put together once.

Django compiles an INSERT each time, which costs more than the database takes to run it. Sign-ins
and registrations write several rows each; here only the values are prepared anew, and rows that
are written `together` go to the database at once.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
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


# A statement has 65,535 parameters at most, and each number of rows is another one to put together.
_ROWS_A_STATEMENT = 8
_waiting: ContextVar[list[Model] | None] = ContextVar("waiting", default=None)


def insert(row: Model, *, unless_known: bool = False) -> bool:
    """Insert a row as it stands, without signals; tell whether it was.

    With `unless_known` a row that breaks a unique constraint is left out, otherwise `IntegrityError`
    is raised. Within `together` a row that must be inserted waits for the end of that.
    """
    waiting = _waiting.get()
    if waiting is not None and not unless_known:
        waiting.append(row)
        return True
    return _insert([row], unless_known=unless_known)


@contextmanager
def together() -> Iterator[None]:
    """Insert the rows of a block at its end: on PostgreSQL by one statement, or few where they are many.

    Until then the database does not have them, so nothing in the block may read them. At the end
    `IntegrityError` is raised where one of them breaks a constraint. To be used in a transaction.
    """
    rows: list[Model] = []
    token = _waiting.set(rows)
    try:
        yield
    finally:
        _waiting.reset(token)
    most = _ROWS_A_STATEMENT if connections[DEFAULT_DB_ALIAS].vendor == "postgresql" else 1
    for first in range(0, len(rows), most):
        _insert(rows[first : first + most])


def _insert(rows: Sequence[Model], *, unless_known: bool = False) -> bool:
    """Insert rows by one statement; tell whether the last one was."""
    connection = connections[DEFAULT_DB_ALIAS]  # looked up once: behind its usual name it is looked up for every use
    sql, columns = _statement(connection.vendor, tuple(row.__class__ for row in rows), unless_known)
    values = [
        getattr(row, name)
        if field is None
        else field.get_db_prep_save(field.pre_save(row, add=True), connection=connection)
        for row, of_row in zip(rows, columns, strict=True)
        for name, field in of_row
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        inserted: bool = cursor.rowcount == 1
    for row in rows:
        row._state.adding, row._state.db = not inserted, connection.alias  # noqa: SLF001 - as `save` does
    return inserted


@lru_cache(maxsize=64)
def _statement(
    vendor: str,
    models: tuple[type[Model], ...],
    unless_known: bool,  # noqa: FBT001 - a key of the cache
) -> tuple[str, list[list[tuple[str, Any]]]]:
    """Return the statement, and what it stores: each attribute, with its field where that must prepare the value."""
    *others, last = (_sql(model, unless_known=unless_known) for model in models)
    before = ", ".join(f"row{number} AS ({sql})" for number, sql in enumerate(others))
    as_it_is = _AS_IT_IS if vendor == "postgresql" else ()
    return f"WITH {before} {last}" if before else last, [
        [(field.attname, None if _stored(field) in as_it_is else field) for field in _fields(model)] for model in models
    ]


def _sql(model: type[Model], *, unless_known: bool) -> str:
    query = InsertQuery(model, on_conflict=OnConflict.IGNORE if unless_known else None)
    query.insert_values(_fields(model), [model()])
    compiler: Any = query.get_compiler(connection=connection)
    ((sql, _values),) = compiler.as_sql()
    return str(sql)


def _fields(model: type[Model]) -> list[Any]:
    return list(model._meta.concrete_fields)  # noqa: SLF001 - Django's documented model API


def _stored(field: Any) -> type | None:
    """Return as what kind a field stores its values, or nothing where it makes them up itself."""
    if isinstance(field, ForeignKey):
        return _stored(field.target_field)
    return None if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False) else type(field)
