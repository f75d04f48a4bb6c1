"""Parsers that take one reading of a body or none."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import IO, Any
from urllib.parse import parse_qsl

from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser

from authsvc.errors import DomainError, ErrorCode

_FIELD_NAME_MAX = 100


class DuplicateField(DomainError):
    """A key stands twice in one object: parsers differ in which of the two they would take."""

    code = ErrorCode.DUPLICATE_FIELD
    message = _("This is given twice.")


class MalformedForm(DomainError):
    """The body is not the encoding of a form in UTF-8."""

    code = ErrorCode.INVALID_FORMAT
    message = _("The body is not a well-formed form.")


class NotAForm(UnsupportedMediaType):
    """The body is of another type where a standard asks for a form."""


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
        _refuse_other_types(media_type or "", self.media_type)
        try:
            return json.loads(stream.read().decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as reason:
            raise ParseError from reason


class StrictFormParser(BaseParser):
    """Parses a form in UTF-8 without a parameter given twice; one without a value counts as omitted (RFC 6749)."""

    media_type = "application/x-www-form-urlencoded"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, str]:
        """Return the parameters. Raises `MalformedForm`, `DuplicateField`, `UnsupportedMediaType`."""
        _refuse_other_types(media_type or "", self.media_type)
        try:
            pairs = parse_qsl(stream.read().decode("ascii"), keep_blank_values=True, errors="strict")
        except ValueError as reason:
            raise MalformedForm from reason
        return {name: value for name, value in _unique(pairs).items() if value}


def _refuse_other_types(media_type: str, expected: str) -> None:
    """Refuse other charsets, and ranges such as `*/*`, which DRF takes for any type."""
    essence, *parameters = media_type.lower().split(";")
    if essence.strip() != expected:
        raise UnsupportedMediaType(media_type)
    for parameter in parameters:
        name, _equals, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip(' "') != "utf-8":
            raise UnsupportedMediaType(media_type)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        times = Counter(name for name, _value in pairs)
        raise DuplicateField(field=field_name(next(name for name in times if times[name] > 1)))
    return result


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def field_name(name: str) -> str:
    """Return a client's key as it can be answered: bounded, and free of what UTF-8 cannot carry."""
    return name.encode("utf-8", "replace").decode("utf-8")[:_FIELD_NAME_MAX]
