"""Statements of the ORM, compiled once: for the few that every request makes.

Django compiles a queryset each time it runs, which for these takes ten times as long as the
database takes to answer. Here the SQL is kept and run with other values; what it selects or
changes is still said by a queryset, and by nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model, QuerySet
from django.db.models.query import get_related_populators
from django.db.models.sql import UpdateQuery

Value = UUID | bytes | str
Converter = Callable[[Any, Any, Any], Any]


class _Compiled:
    """SQL with places for values. A placeholder is any value that occurs nowhere else in it."""

    def __init__(self, compiler: Any, placeholders: Sequence[Value]) -> None:
        self.sql, params = compiler.as_sql()
        self._params = list(params)
        plain = [getattr(param, "obj", param) for param in self._params]  # psycopg wraps bytes
        self._places = [plain.index(_comparable(value)) for value in placeholders]

    def execute(self, database: BaseDatabaseWrapper, cursor: Any, values: Sequence[Value]) -> None:
        """Run the statement with `values` in the places of the placeholders."""
        params = self._params.copy()
        for place, value in zip(self._places, values, strict=True):
            params[place] = _adapted(value, database)
        cursor.execute(self.sql, params)


class CompiledUpdate:
    """A conditional update."""

    def __init__(self, rows: QuerySet[Any], changes: Mapping[str, Any], *, placeholders: Sequence[Value]) -> None:
        """Compile `rows.update(**changes)`, in which each of `placeholders` stands for a value given to `run`."""
        query: Any = rows.query.chain(UpdateQuery)
        query.add_update_values(dict(changes))
        self._statement = _Compiled(query.get_compiler(connection=connection), placeholders)

    def run(self, *values: Value) -> int:
        """Update with these values; return how many rows changed."""
        database = _database()
        with database.cursor() as cursor:
            self._statement.execute(database, cursor, values)
            return int(cursor.rowcount)


class CompiledLookup:
    """A row with the related ones that its queryset selects, and what that computes beside them."""

    def __init__(self, rows: QuerySet[Any], *, placeholders: Sequence[Value]) -> None:
        """Compile `rows`, in which each of `placeholders` stands for a value given to `first`."""
        compiler = rows.query.get_compiler(connection=connection)
        self._statement = _Compiled(compiler, placeholders)
        selected = compiler.select or []
        self._converters = list(compiler.get_converters([expression for expression, *_rest in selected]).items())
        self._computed: dict[str, int] = compiler.annotation_col_map or {}
        own: Any = compiler.klass_info
        self._model: type[Model] = own["model"]
        self._columns = slice(own["select_fields"][0], own["select_fields"][-1] + 1)
        self._names = [selected[place][0].target.attname for place in own["select_fields"]]
        # The stubs are of a later Django.
        self._related = get_related_populators(own, selected, connection.alias)  # type: ignore[call-arg]

    def first(self, *values: Value) -> Any | None:
        """Return the row of these values, its related rows set, or nothing."""
        database = _database()
        with database.cursor() as cursor:
            self._statement.execute(database, cursor, values)
            found = cursor.fetchone()
        return None if found is None else self._instance(list(found), database)

    def _instance(self, row: list[Any], database: BaseDatabaseWrapper) -> Any:
        _convert(row, self._converters, database)
        instance = self._model.from_db(database.alias, self._names, row[self._columns])
        for related in self._related:
            related.populate(row, instance)
        for name, place in self._computed.items():
            setattr(instance, name, row[place])
        return instance


class CompiledValues:
    """Columns of rows, as `values_list` gives them."""

    def __init__(self, rows: QuerySet[Any, tuple[Any, ...]], *, placeholders: Sequence[Value]) -> None:
        """Compile `rows`, in which each of `placeholders` stands for a value given to `run`."""
        compiler = rows.query.get_compiler(connection=connection)
        self._statement = _Compiled(compiler, placeholders)
        columns = [expression for expression, *_rest in compiler.select or []]
        self._converters = list(compiler.get_converters(columns).items())

    def run(self, *values: Value) -> list[tuple[Any, ...]]:
        """Return the rows of these values."""
        database = _database()
        with database.cursor() as cursor:
            self._statement.execute(database, cursor, values)
            found = [list(row) for row in cursor.fetchall()]
        for row in found:
            _convert(row, self._converters, database)
        return [tuple(row) for row in found]


def _database() -> BaseDatabaseWrapper:
    """Return this thread's connection itself: behind its usual name it is looked up for every use."""
    return connections[DEFAULT_DB_ALIAS]


def _convert(row: list[Any], converters: Sequence[tuple[int, Any]], database: BaseDatabaseWrapper) -> None:
    for place, (functions, expression) in converters:
        for convert in functions:
            row[place] = convert(row[place], expression, database)


def _adapted(value: Value, database: Any) -> Any:
    if isinstance(value, bytes):
        return database.Database.Binary(value)
    return value if isinstance(value, str) or database.features.has_native_uuid_field else value.hex


def _comparable(value: Value) -> Any:
    return value if isinstance(value, bytes) else _adapted(value, _database())
