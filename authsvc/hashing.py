"""Password hashes, at most as many at once as the process has CPU for.

One hash takes 19 MiB and a core for tens of milliseconds. Unbounded, a burst of sign-ins would
take the memory and starve every other request; so the pool makes the rest wait, then refuses.
"""

import secrets
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import BoundedSemaphore

from django.conf import settings
from django.contrib.auth.hashers import (
    Argon2PasswordHasher,
    check_password,
    identify_hasher,
    is_password_usable,
    make_password,
)

from authsvc.errors import Unavailable


class Argon2id(Argon2PasswordHasher):
    """Argon2id at the floor of OWASP ASVS 11.4.2: t=2, m=19456 KiB, p=1."""

    time_cost = 2
    memory_cost = 19456
    parallelism = 1


def make(password: str) -> str:
    """Return the hash of a password in NFC. Raises `Unavailable` when the pool stays full."""
    with _slot():
        return make_password(_normal(password))


def verify(password: str, encoded: str | None) -> bool:
    """Tell whether a password fits its hash.

    An absent or unusable hash costs the same time as a wrong password. Raises `Unavailable` when
    the pool stays full.
    """
    against = encoded if encoded is not None and is_password_usable(encoded) else _decoy()
    with _slot():
        fits = check_password(_normal(password), against)
    return fits and against == encoded


def needs_upgrade(encoded: str) -> bool:
    """Tell whether a hash was made with other parameters than today's."""
    hasher = identify_hasher(encoded)
    return hasher.algorithm != Argon2id.algorithm or hasher.must_update(encoded)


def warm_up() -> None:
    """Make the decoy before the first request, which would otherwise take two hashes' time."""
    _decoy()


@cache
def _decoy() -> str:
    return make_password(secrets.token_urlsafe())


@cache
def _pool() -> BoundedSemaphore:
    return BoundedSemaphore(settings.HASH_POOL_SIZE)


@contextmanager
def _slot() -> Iterator[None]:
    """Hold one place in the pool. Whoever waits for one must hold no transaction."""
    if not _pool().acquire(timeout=settings.HASH_WAIT_SECONDS):
        raise Unavailable
    try:
        yield
    finally:
        _pool().release()


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)
