"""Python types as JSON Schema, for the OpenAPI document."""

import inspect
import types
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict
from uuid import UUID

Schema = dict[str, Any]
Component = Callable[[str, Schema], Schema]

_PRIMITIVES: Mapping[object, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    UUID: {"type": "string", "format": "uuid"},
    datetime: {"type": "string", "format": "date-time"},
    types.NoneType: {"type": "null"},
}


def schema_of(hint: Any, component: Component) -> Schema:
    """Return the schema of a type; a `TypedDict` becomes a closed component, named through `component`.

    `Annotated[str, "email"]` is a string of that format.
    """
    if is_typeddict(hint):
        hints = get_type_hints(hint, include_extras=True)
        schema = {
            "type": "object",
            "description": " ".join(inspect.cleandoc(hint.__doc__ or "").split()),
            "properties": {key: schema_of(inner, component) for key, inner in hints.items()},
            "required": sorted(hint.__required_keys__),
            "additionalProperties": False,
        }
        return component(hint.__name__.removesuffix("Object").removesuffix("Entry"), schema)
    return _PRIMITIVES[hint].copy() if hint in _PRIMITIVES else _composed(hint, component)


def _composed(hint: Any, component: Component) -> Schema:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is Annotated:
        return {**schema_of(arguments[0], component), "format": arguments[1]}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(arguments[1], component)}
    if origin is list:
        return {"type": "array", "items": schema_of(arguments[0], component)}
    if origin in (Union, types.UnionType):
        return _either([schema_of(argument, component) for argument in arguments])
    return schema_of(arguments[0], component)


def _either(options: list[Schema]) -> Schema:
    """Return a union; one of a plain type and null is the short form of OpenAPI 3.1."""
    plain = [option for option in options if option != {"type": "null"}]
    if len(plain) == 1 and "type" in plain[0]:
        return {**plain[0], "type": [plain[0]["type"], "null"]}
    return {"oneOf": options}
