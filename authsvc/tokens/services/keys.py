"""The key ring: what a process remembers of the signing keys, and how they follow one another.

Keys go next → active → retired. The next one is published well before it signs, so that whoever
caches the key set knows it by then; a retired one verifies until its last token is over.
"""

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from audit import services as audit
from audit.events import EventType
from audit.origin import Origin
from authsvc.crypto import KeyUnavailable
from authsvc.tokens.models import SigningKey
from authsvc.tokens.services import key_material
from authsvc.tokens.services.key_material import Key

PUBLISHED_BEFORE_USE = timedelta(minutes=10)
ROTATE_AFTER = timedelta(days=30)
# Beyond the life of a token: the skew of clocks, and a node that signs on until it looks again.
_OVERLAP = timedelta(minutes=2)
_LOCK = int.from_bytes(b"key ring")  # PostgreSQL numbers its advisory locks
State = SigningKey.State


@dataclass(frozen=True, slots=True)
class _Look:
    """What a look at the database found, and when (seconds of the monotonic clock)."""

    at: float = float("-inf")
    active: Key | None = None
    keys: dict[str, Key] = field(default_factory=dict)


class KeyRing:
    """The keys in memory. Each look at the database is a second apart, so a dropped key is gone within one."""

    FRESH_SECONDS = 1.0
    PATIENCE_SECONDS = 0.2

    def __init__(self) -> None:
        """Start empty."""
        self._lock = Lock()
        self.forget()

    def signing(self) -> Key:
        """Return the key that signs now; the first call of a new installation makes it and its successor.

        Raises `authsvc.crypto.KeyUnavailable` where the database's key was sealed with a key that
        this process does not have.
        """
        active = self._published()[0]
        if active.private is None:
            raise KeyUnavailable
        return active

    def by_kid(self, kid: str) -> Key | None:
        """Return the key of that id. A stranger's `kid` costs at most five looks a second."""
        known = self._look(older_than=self.FRESH_SECONDS).keys.get(kid)
        return known or self._look(older_than=self.PATIENCE_SECONDS).keys.get(kid)

    def published(self) -> list[dict[str, Any]]:
        """Return the public keys as JWKs (RFC 7517), the signing one first."""
        active, keys = self._published()
        return [active.public_jwk, *(key.public_jwk for key in keys.values() if key.kid != active.kid)]

    def forget(self) -> None:
        """Drop what is remembered."""
        self._last = _Look()

    def _published(self) -> tuple[Key, dict[str, Key]]:
        look = self._look(older_than=self.FRESH_SECONDS)
        if look.active is None:
            _create_first()
            look = self._look(older_than=0)
        if look.active is None:
            raise RuntimeError("there is no active signing key")
        return look.active, look.keys

    def _look(self, *, older_than: float) -> _Look:
        """Return the last look, or a new one if that is too old. A look is one object: no thread sees half of it.

        While one thread looks, which a slow database can draw out, the others go on with the last look.
        """
        last = self._last
        if time.monotonic() - last.at < older_than:
            return last
        if not self._lock.acquire(blocking=last.active is None):
            return last
        try:
            last, now = self._last, time.monotonic()
            if now - last.at >= older_than:
                rows = list(_usable_rows())
                keys = {row.kid: _load(row, last.keys.get(row.kid)) for row in rows}
                active = next((keys[row.kid] for row in rows if row.state == State.ACTIVE), None)
                self._last = last = _Look(now, active, keys)
            return last
        finally:
            self._lock.release()


ring = KeyRing()


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation came to. `ready_at` is when the next key may sign, where it may not yet."""

    rotated: bool
    active: str
    next: str
    ready_at: datetime | None


def rotate(*, origin: Origin, at_once: bool = False, dry_run: bool = False) -> Rotation:
    """Let the next key sign and make one that follows it; a new installation gets its first keys.

    A next key that was published less than ten minutes ago stays the next one, and nothing changes.
    `at_once` is for a leak: a key that nobody has seen signs, and the old ones verify no more; their
    tokens fail here within a second, elsewhere when the key set is fetched again. A dry run tells
    what would happen.
    """
    with transaction.atomic():
        result = _rotated(at_once=at_once, origin=origin)
        transaction.set_rollback(dry_run)
    ring.forget()
    return result


def keep(*, origin: Origin) -> None:
    """Do what the clock asks for: rotate a key that has signed for a month, or whose algorithm was given up.

    Keys that retired long ago are deleted.
    """
    with transaction.atomic():
        active = _held()
        _following()
    is_old = (active.activated_at or active.created_at) <= timezone.now() - ROTATE_AFTER
    if is_old or active.algorithm != settings.JWT_ALGORITHM:
        rotate(origin=origin)
    SigningKey.objects.filter(state=State.RETIRED, verifies_until__lt=Now() - ROTATE_AFTER).delete()


def _usable_rows() -> Any:
    return SigningKey.objects.filter(~Q(state=State.RETIRED) | Q(verifies_until__gt=Now())).order_by("created_at")


def _load(row: SigningKey, known: Key | None) -> Key:
    """Return the key of a row; the private part only of the one that signs, and only while it does.

    A node that lacks the key that sealed it can not sign, but verifies like any other.
    """
    signs = row.state == State.ACTIVE
    if known is not None and (known.private is not None) == signs:
        return known
    try:
        private = key_material.unseal(bytes(row.sealed_private), kid=row.kid) if signs else None
    except KeyUnavailable:
        private = None
    return Key(row.kid, row.algorithm, key_material.public_key(row.algorithm, row.public_jwk), row.public_jwk, private)


def _create_first() -> None:
    """Store the first key and its successor; where another process was faster, its keys stand."""
    try:
        with transaction.atomic():
            _insert(State.ACTIVE)
            _insert(State.NEXT)
    except IntegrityError:
        return


def _insert(state: str) -> SigningKey:
    key = key_material.generate(settings.JWT_ALGORITHM)
    return SigningKey.objects.create(
        kid=key.kid,
        algorithm=key.algorithm,
        state=state,
        public_jwk=key.public_jwk,
        sealed_private=key_material.seal(key),
        activated_at=timezone.now() if state == State.ACTIVE else None,
    )


def _held() -> SigningKey:
    """Return the active key; until the transaction ends nobody else rotates.

    No row could be the lock: the one that others wait for is retired by the time they get it.
    """
    if connection.vendor == "postgresql":  # whoever writes to SQLite is alone anyway
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    if not SigningKey.objects.filter(state=State.ACTIVE).exists():
        _create_first()
    return SigningKey.objects.get(state=State.ACTIVE)


def _following(*, anew: bool = False) -> SigningKey:
    """Return the next key; one of an algorithm that is not wanted any more makes way, for it never signed."""
    row = SigningKey.objects.filter(state=State.NEXT).first()
    if row is not None and row.algorithm == settings.JWT_ALGORITHM and not anew:
        return row
    if row is not None:
        row.delete()
    return _insert(State.NEXT)


def _rotated(*, at_once: bool, origin: Origin) -> Rotation:
    active, following = _held(), _following(anew=at_once)
    ready_at = following.created_at + PUBLISHED_BEFORE_USE
    if not at_once and ready_at > timezone.now():
        return Rotation(rotated=False, active=active.kid, next=following.kid, ready_at=ready_at)
    return _hand_over(active, following, at_once=at_once, origin=origin)


def _hand_over(active: SigningKey, following: SigningKey, *, at_once: bool, origin: Origin) -> Rotation:
    now = timezone.now()
    active.state, active.retired_at, active.sealed_private = State.RETIRED, now, b""
    active.verifies_until = Now() + settings.ACCESS_TOKEN_LIFETIME + _OVERLAP
    active.save(update_fields=["state", "retired_at", "sealed_private", "verifies_until"])
    if at_once:  # who read the active key may have read those before it
        SigningKey.objects.filter(state=State.RETIRED, verifies_until__gt=Now()).update(verifies_until=Now())
    following.state, following.activated_at = State.ACTIVE, now
    following.save(update_fields=["state", "activated_at"])
    after = _insert(State.NEXT)
    audit.record(
        EventType.KEYS_ROTATED,
        origin=origin,
        resource=f"signing-key:{following.kid}",
        metadata={"retired": active.kid, "atOnce": at_once},
    )
    return Rotation(rotated=True, active=following.kid, next=after.kid, ready_at=None)
