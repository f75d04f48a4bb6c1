"""Doing once what is asked for several times (in the manner of Stripe's `Idempotency-Key`).

A key is reserved in a short transaction of its own, for a lease of 60 seconds. The deed stores its
answer in the transaction of its change, so that there is never one without the other, whenever the
process dies. What was refused, or failed, stores nothing and frees the key.
"""

import hmac
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol, TypeAlias, TypeVar

import orjson
from django.db import DatabaseError
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from authsvc import crypto
from authsvc.errors import DomainError, ErrorCode, Kind
from authsvc.idempotency.models import Reservation

T = TypeVar("T")
Keep: TypeAlias = Callable[[T], None]
_BATCH = 1000
_BODY_KEY_BYTES = 32
KeptT_co = TypeVar("KeptT_co", covariant=True)


class Deed(Protocol[KeptT_co]):
    """A call of a service that is done but once."""

    def __call__(self, *, keep: Keep[KeptT_co]) -> KeptT_co:
        """Do it; `keep` takes the result within the transaction of the change."""


class KeyInProgress(DomainError):
    """Another request with the key is at work, or took over because this one was slow."""

    code = ErrorCode.IDEMPOTENCY_IN_PROGRESS
    kind = Kind.CONFLICT
    message = _("A request with this key is in progress. Try again in a moment.")
    field = "Idempotency-Key"


class KeyMismatch(DomainError):
    """The key belongs to a request with another body."""

    code = ErrorCode.IDEMPOTENCY_MISMATCH
    kind = Kind.MISMATCH
    message = _("This key was used for another request.")
    field = "Idempotency-Key"


def keep_nothing(_result: object) -> None:
    """Be the `keep` of a deed whose answer nobody asked to have repeated."""


def once(
    *,
    key: str,
    scope: str,
    body: Mapping[str, object],
    deed: Deed[T],
    show: Callable[[T], object],
) -> object:
    """Do a deed and return what `show` makes of its result; with a known key return what was shown first.

    `scope` names the caller and the operation. Raises `KeyInProgress`, `KeyMismatch`, and
    whatever the deed raises.
    """
    mine = _reservation(key=key, scope=scope, body=body)
    held = _reserve(mine, body)
    if held.sealed_answer:
        return orjson.loads(crypto.unseal(bytes(held.sealed_answer), context=held.answer_seal()))

    def keep(result: T) -> None:
        sealed_answer = crypto.seal(orjson.dumps(show(result), option=orjson.OPT_UTC_Z), context=mine.answer_seal())
        if not Reservation.objects.keep(
            mine.claim, sealed_answer=sealed_answer, expires_at=timezone.now() + Reservation.KEPT
        ):
            raise KeyInProgress

    try:
        return show(deed(keep=keep))
    except Exception:
        with suppress(DatabaseError):  # then the lease frees it
            Reservation.objects.release(mine.claim)
        raise


def is_answered(*, key: str, scope: str, body: Mapping[str, object]) -> bool:
    """Tell whether there is an answer to repeat."""
    held = Reservation.objects.filter(digest=_digest(key, scope), expires_at__gt=timezone.now()).first()
    return held is not None and bool(held.sealed_answer) and _is_of_body(held, body)


def purge() -> int:
    """Delete the keys whose time is over, in short transactions; return how many."""
    over, deleted = due(), 0
    while batch := list(over.values_list("pk", flat=True)[:_BATCH]):
        deleted += over.filter(pk__in=batch).delete()[0]
    return deleted


def due() -> QuerySet[Reservation]:
    """Return the keys whose time is over."""
    return Reservation.objects.filter(expires_at__lte=timezone.now())


def _reservation(*, key: str, scope: str, body: Mapping[str, object]) -> Reservation:
    mine = Reservation(digest=_digest(key, scope), expires_at=timezone.now() + Reservation.LEASE)
    body_key = secrets.token_bytes(_BODY_KEY_BYTES)
    mine.body_mac = _mac(body, body_key)
    mine.sealed_body_key = crypto.seal(body_key, context=mine.body_key_seal())
    return mine


def _reserve(mine: Reservation, body: Mapping[str, object]) -> Reservation:
    """Return the reservation to work under, which is `mine`, or one with an answer to repeat."""
    Reservation.objects.bulk_create([mine], ignore_conflicts=True)
    held = Reservation.objects.filter(digest=mine.digest).first()
    now = timezone.now()
    if held is None:
        raise KeyInProgress  # freed in this moment
    if held.claim == mine.claim or (held.expires_at <= now and Reservation.objects.take_over(mine, now=now)):
        return mine
    if not _is_of_body(held, body):
        raise KeyMismatch
    if held.expires_at <= now or not held.sealed_answer:
        raise KeyInProgress
    return held


def _digest(key: str, scope: str) -> bytes:
    return crypto.sha256(f"{scope}\n{key}")


def _is_of_body(held: Reservation, body: Mapping[str, object]) -> bool:
    body_key = crypto.unseal(bytes(held.sealed_body_key), context=held.body_key_seal())
    return crypto.equal(bytes(held.body_mac), _mac(body, body_key))


def _mac(body: Mapping[str, object], body_key: bytes) -> bytes:
    return hmac.digest(body_key, orjson.dumps(body, option=orjson.OPT_SORT_KEYS), "sha256")
