"""Statements of the ORM, compiled once: for the few that every request makes.

Django compiles a queryset each time it runs, which for these takes ten times as long as the
database takes to answer. Here the SQL is kept and run with other values; what it selects or
changes is still said by a queryset, and by nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Model, QuerySet
from django.db.models.sql import UpdateQuery

Value = UUID | bytes
Converter = Callable[[Any, Any, Any], Any]


class _Compiled:
    """SQL with places for values. A placeholder is any value that occurs nowhere else in it."""

    def __init__(self, compiler: Any, placeholders: Sequence[Value]) -> None:
        self.sql, params = compiler.as_sql()
        self._params = list(params)
        plain = [getattr(param, "obj", param) for param in self._params]  # psycopg wraps bytes
        self._places = [plain.index(_comparable(value)) for value in placeholders]

    def bound(self, values: Sequence[Value]) -> list[Any]:
        """Return the parameters with `values` in the places of the placeholders."""
        params = self._params.copy()
        for place, value in zip(self._places, values, strict=True):
            params[place] = _adapted(value)
        return params


class CompiledUpdate:
    """A conditional update."""

    def __init__(self, rows: QuerySet[Any], changes: Mapping[str, Any], *, placeholders: Sequence[Value]) -> None:
        """Compile `rows.update(**changes)`, in which each of `placeholders` stands for a value given to `run`."""
        query: Any = rows.query.chain(UpdateQuery)
        query.add_update_values(dict(changes))
        self._statement = _Compiled(query.get_compiler(connection=connection), placeholders)

    def run(self, *values: Value) -> int:
        """Update with these values; return how many rows changed."""
        with connection.cursor() as cursor:
            cursor.execute(self._statement.sql, self._statement.bound(values))
            return int(cursor.rowcount)


class CompiledLookup:
    """A row with one related row, and what the queryset computes beside them."""

    def __init__(self, rows: QuerySet[Any], *, placeholders: Sequence[Value]) -> None:
        """Compile `rows`, in which each of `placeholders` stands for a value given to `first`."""
        compiler = rows.query.get_compiler(connection=connection)
        self._statement = _Compiled(compiler, placeholders)
        selected = compiler.select or []
        self._converters = list(compiler.get_converters([expression for expression, *_rest in selected]).items())
        self._computed: dict[str, int] = compiler.annotation_col_map or {}
        own = compiler.klass_info or {}
        (related,) = own["related_klass_infos"]
        self._own = _columns(own["model"], own["select_fields"], selected)
        self._related = _columns(related["model"], related["select_fields"], selected)
        self._related_name: str = related["field"].name

    def first(self, *values: Value) -> Any | None:
        """Return the row of these values with its related row set, or nothing."""
        with connection.cursor() as cursor:
            cursor.execute(self._statement.sql, self._statement.bound(values))
            found = cursor.fetchone()
        return None if found is None else self._instance(list(found))

    def _instance(self, row: list[Any]) -> Any:
        for place, (converters, expression) in self._converters:
            for convert in converters:
                row[place] = convert(row[place], expression, connection)
        instance = self._own(row)
        setattr(instance, self._related_name, self._related(row))
        for name, place in self._computed.items():
            setattr(instance, name, row[place])
        return instance


def _columns(model: type[Model], places: Sequence[int], selected: Sequence[Any]) -> Callable[[list[Any]], Model]:
    """Return what makes an instance of a model from its columns in a row."""
    names = [selected[place][0].target.attname for place in places]

    def instance(row: list[Any]) -> Model:
        return model.from_db(connection.alias, names, [row[place] for place in places])

    return instance


def _adapted(value: Value) -> Any:
    if isinstance(value, bytes):
        return connection.Database.Binary(value)  # type: ignore[attr-defined] # the module of the driver
    return value if connection.features.has_native_uuid_field else value.hex


def _comparable(value: Value) -> Any:
    return value if isinstance(value, bytes) else _adapted(value)
