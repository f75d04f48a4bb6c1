"""A JSON parser that takes one reading of a body or none."""

import json
from collections.abc import Mapping
from typing import IO, Any

from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser

from authsvc.errors import DomainError, ErrorCode

_FIELD_NAME_MAX = 100


class DuplicateField(DomainError):
    """A key stands twice in one object: parsers differ in which of the two they would take."""

    code = ErrorCode.DUPLICATE_FIELD
    message = _("This is given twice.")


class StrictJSONParser(BaseParser):
    """Parses UTF-8 JSON (RFC 8259) without duplicate keys, `NaN` or `Infinity`."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the document. Raises `ParseError`, `DuplicateField`, `UnsupportedMediaType`."""
        _refuse_other_charsets(media_type or "")
        try:
            return json.loads(stream.read().decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as reason:
            raise ParseError from reason


def _refuse_other_charsets(media_type: str) -> None:
    for parameter in media_type.lower().split(";")[1:]:
        name, _equals, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip(' "') != "utf-8":
            raise UnsupportedMediaType(media_type)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DuplicateField(field=field_name(twice))
    return result


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def field_name(name: str) -> str:
    """Return a client's key as it can be answered: bounded, and free of what UTF-8 cannot carry."""
    return name.encode("utf-8", "replace").decode("utf-8")[:_FIELD_NAME_MAX]
