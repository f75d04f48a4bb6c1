"""The closed list of error codes, and the one exception that carries them out of the domain."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, TypeAlias

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

Text: TypeAlias = "str | _StrPromise"


class ErrorCode(StrEnum):
    """What a client may branch on. Codes are never renamed, reused or translated."""

    INVALID_JSON = "invalid_json"
    REQUIRED = "required"
    INVALID_TYPE = "invalid_type"
    INVALID_FORMAT = "invalid_format"
    INVALID_CHARACTER = "invalid_character"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_FIELD = "unknown_field"
    DUPLICATE_FIELD = "duplicate_field"
    INVALID_TOKEN = "invalid_token"  # noqa: S105 - a code, not a secret
    INVALID_CODE = "invalid_code"
    PASSWORD_INCORRECT = "password_incorrect"  # noqa: S105
    PASSWORD_TOO_SHORT = "password_too_short"  # noqa: S105
    PASSWORD_TOO_LONG = "password_too_long"  # noqa: S105
    PASSWORD_NO_UPPER = "password_no_upper"  # noqa: S105
    PASSWORD_NO_LOWER = "password_no_lower"  # noqa: S105
    PASSWORD_NO_DIGIT = "password_no_digit"  # noqa: S105
    PASSWORD_NO_SPECIAL = "password_no_special"  # noqa: S105
    PASSWORD_REPETITION = "password_repetition"  # noqa: S105
    PASSWORD_COMMON = "password_common"  # noqa: S105
    PASSWORD_SIMILAR = "password_similar"  # noqa: S105
    PASSWORD_BREACHED = "password_breached"  # noqa: S105
    NOT_AUTHENTICATED = "not_authenticated"
    INVALID_CREDENTIALS = "invalid_credentials"
    INVALID_SIGNATURE = "invalid_signature"
    PERMISSION_DENIED = "permission_denied"
    CSRF_FAILED = "csrf_failed"
    INSECURE_TRANSPORT = "insecure_transport"
    EMAIL_NOT_VERIFIED = "email_not_verified"
    REAUTHENTICATION_REQUIRED = "reauthentication_required"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    BODY_TOO_LARGE = "body_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    EMAIL_TAKEN = "email_taken"
    ALREADY_EXISTS = "already_exists"
    IDEMPOTENCY_IN_PROGRESS = "idempotency_in_progress"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    INTERNAL_ERROR = "internal_error"
    UNAVAILABLE = "unavailable"


class Kind(Enum):
    """How a refusal is meant; `authsvc.http.exceptions` alone turns it into a status."""

    INVALID = auto()
    UNAUTHENTICATED = auto()
    FORBIDDEN = auto()
    MISSING = auto()
    CONFLICT = auto()
    MISMATCH = auto()
    OVERSIZE = auto()
    UNAVAILABLE = auto()


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of an answer's `errors`: what is wrong, and in which field."""

    code: ErrorCode
    message: Text
    field: str | None = None


class DomainError(Exception):
    """A refusal that the caller is meant to see. Subclasses stand beside the function that raises them.

    `retry_after` is in seconds; `codes` are those that its problems may have, where `code` is not the only one.
    """

    code: ErrorCode
    codes: Sequence[ErrorCode] = ()
    kind: Kind = Kind.INVALID
    message: Text
    field: str | None = None
    retry_after: int | None = None

    def __init__(self, problems: Sequence[Problem] = (), *, field: str | None = None) -> None:
        """Name several problems at once, or the field that is to blame for the one of the class."""
        super().__init__(self.code)
        self.problems = list(problems) or [Problem(self.code, self.message, field or self.field)]


class Unavailable(DomainError):
    """Something this request needs does not answer at the moment."""

    code = ErrorCode.UNAVAILABLE
    kind = Kind.UNAVAILABLE
    message = _("The service is busy. Try again in a moment.")
    retry_after = 1
