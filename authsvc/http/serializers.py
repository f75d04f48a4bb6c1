"""What bodies are made of: strict fields, and inputs that refuse what they do not know."""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, NoReturn

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.settings import api_settings

from authsvc.addresses import MAX_LENGTH, InvalidAddress, canonical
from authsvc.errors import ErrorCode
from authsvc.hashing import PASSWORD_MAX_BYTES, is_text
from authsvc.http.parsing import field_name
from authsvc.text import InvalidCharacter, clean

_WHOLE = api_settings.NON_FIELD_ERRORS_KEY
# A body of thousands of them needs no answer of that length.
_UNKNOWN_LISTED = 20
_WHOLE_NUMBER = re.compile(r"-?[0-9]+")
_DIGITS_MAX = 12


class Input(serializers.Serializer[Any]):
    """The body of a request. Keys that are not declared are refused, not ignored.

    `demands` says that `validate` asks for fields which are not required by themselves.
    """

    demands = False

    def to_internal_value(self, data: Any) -> Any:
        """Return the validated values, or name all that is wrong at once."""
        if not isinstance(data, Mapping):
            raise serializers.ValidationError({_WHOLE: [ErrorDetail("not an object", code=ErrorCode.INVALID_TYPE)]})
        unknown = (name for name in data if name not in self.fields)
        errors: dict[str, Any] = {
            field_name(name): [ErrorDetail("unknown", code=ErrorCode.UNKNOWN_FIELD)]
            for name in islice(unknown, _UNKNOWN_LISTED)
        }
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as invalid:
            errors |= dict(invalid.detail) if isinstance(invalid.detail, Mapping) else {}
        if errors:
            raise serializers.ValidationError(errors)
        return values


class TextField(serializers.CharField):
    """A string, and nothing that merely converts to one."""

    def to_internal_value(self, data: Any) -> str:
        """Return the string in NFC, without characters that no text needs."""
        if not isinstance(data, str):
            _refuse(ErrorCode.INVALID_TYPE)
        try:
            text = clean(super().to_internal_value(data))
        except InvalidCharacter:
            _refuse(ErrorCode.INVALID_CHARACTER)
        return text or _refuse(ErrorCode.TOO_SHORT)


class EmailField(serializers.CharField):
    """An email address, returned in its canonical form."""

    def __init__(self, **options: Any) -> None:
        """Bound the length before anything parses the address."""
        super().__init__(**{"max_length": MAX_LENGTH, **options})

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Validate, then canonicalise: what comes out is what is looked up."""
        if isinstance(data, str) and len(data) > MAX_LENGTH:
            _refuse(ErrorCode.TOO_LONG)
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> str:
        """Return the canonical address."""
        if not isinstance(data, str):
            _refuse(ErrorCode.INVALID_TYPE)
        try:
            return canonical(data)
        except InvalidAddress:
            _refuse(ErrorCode.INVALID_FORMAT)


class PasswordField(serializers.CharField):
    """A password as typed: nothing trimmed; whether it is a good one is the policy's to say."""

    def __init__(self, **options: Any) -> None:
        """Never show a password in a browsable form."""
        super().__init__(**{"trim_whitespace": False, "style": {"input_type": "password"}, **options})

    def to_internal_value(self, data: Any) -> str:
        """Return the password, unless no hash could take it."""
        if not isinstance(data, str):
            _refuse(ErrorCode.INVALID_TYPE)
        if not is_text(data):
            _refuse(ErrorCode.INVALID_CHARACTER)
        if len(data.encode()) > PASSWORD_MAX_BYTES:
            _refuse(ErrorCode.TOO_LONG)
        return data


class ChoiceField(serializers.ChoiceField):
    """One of a closed list of words, and nothing whose text merely looks like one."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the word."""
        if not isinstance(data, str):
            _refuse(ErrorCode.INVALID_TYPE)
        return super().to_internal_value(data)


class NumberField(serializers.IntegerField):
    """A whole number of a query, in plain digits."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number."""
        if not isinstance(data, str) or not _WHOLE_NUMBER.fullmatch(data):
            _refuse(ErrorCode.INVALID_TYPE)
        if len(data) > _DIGITS_MAX:
            _refuse(ErrorCode.OUT_OF_RANGE)
        return int(data)


class OpaqueField(serializers.CharField):
    """A token of ours: whatever it holds, only its owner can read it, so any string is taken."""

    def to_internal_value(self, data: Any) -> str:
        """Return the token."""
        if not isinstance(data, str):
            _refuse(ErrorCode.INVALID_TYPE)
        if not data.isascii() or not data.isprintable():
            _refuse(ErrorCode.INVALID_CHARACTER)
        return data


def _refuse(code: ErrorCode) -> NoReturn:
    raise serializers.ValidationError(code.value, code=code)
