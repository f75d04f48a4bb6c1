"""The header `Idempotency-Key`."""

from collections.abc import Callable, Mapping
from typing import TypeVar
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from authsvc.errors import DomainError, ErrorCode
from authsvc.idempotency import reservation
from authsvc.idempotency.reservation import Deed, KeyInProgress, KeyMismatch, keep_nothing

KEY_MAX_LENGTH = 255

T = TypeVar("T")


class InvalidKey(DomainError):
    """The key is empty, longer than 255 characters, or not of printable ASCII."""

    code = ErrorCode.INVALID_FORMAT
    message = _("Send a key of 1 to 255 printable ASCII characters.")
    field = "Idempotency-Key"


REFUSALS = (InvalidKey, KeyInProgress, KeyMismatch)
HEADER = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": KEY_MAX_LENGTH, "pattern": r"^[\x20-\x7e]+$"},
    OpenApiParameter.HEADER,
)


def once(request: Request, *, body: Mapping[str, object], deed: Deed[T], show: Callable[[T], object]) -> object:
    """Return what to answer to a request; with a known `Idempotency-Key` what was answered first.

    The scope of a key is the caller and the route, whichever of its paths was taken. See
    `reservation.once`; without the header nothing is reserved. Raises `InvalidKey` besides.
    """
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return show(deed(keep=keep_nothing))
    return reservation.once(
        key=_valid(key),
        scope=_scope(request, user_id=getattr(request.user, "pk", None)),
        body=body,
        deed=deed,
        show=show,
    )


def is_answered(request: Request, *, user_id: UUID, body: Mapping[str, object]) -> bool:
    """Tell whether a request of a user repeats one whose answer is kept: what it did may have signed the caller out."""
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    return key is not None and reservation.is_answered(key=key, scope=_scope(request, user_id=user_id), body=body)


def no_data(_result: object) -> None:
    """Be the `show` of a deed whose answer is a message alone."""


def _scope(request: Request, *, user_id: UUID | None) -> str:
    route = request.path_info.removeprefix("/api").removeprefix("/v1")
    return f"{user_id or ''} {request.method} {route}"


def _valid(key: str) -> str:
    if not key or len(key) > KEY_MAX_LENGTH or not key.isascii() or not key.isprintable():
        raise InvalidKey
    return key
