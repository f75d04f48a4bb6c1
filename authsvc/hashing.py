"""Password hashes, at most as many at once as the process has CPU for.

One hash takes 19 MiB and a core for tens of milliseconds. Unbounded, a burst of sign-ins would
take the memory and starve every other request; so the pool makes the rest wait, then refuses.
"""

import os
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import BoundedSemaphore
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.contrib.auth.hashers import (
    Argon2PasswordHasher,
    check_password,
    identify_hasher,
    is_password_usable,
    make_password,
)

from authsvc.errors import Unavailable

PASSWORD_MAX_BYTES = 1024

P = ParamSpec("P")
R = TypeVar("R")


class Argon2id(Argon2PasswordHasher):
    """Argon2id at the floor of OWASP ASVS 11.4.2: t=2, m=19456 KiB, p=1."""

    time_cost = 2
    memory_cost = 19456
    parallelism = 1


def is_text(password: str) -> bool:
    """Tell whether a password can be hashed for what it is: UTF-8 has no lone surrogates, and NUL ends a text in C."""
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in password


def make(password: str) -> str:
    """Return the hash of a password in NFC. Raises `Unavailable` when the pool stays full."""
    return _in_pool(make_password, _normal(password))


def verify(password: str, encoded: str | None) -> bool:
    """Tell whether a password fits its hash.

    An absent or unusable hash costs the same time as a wrong password. Raises `Unavailable` when
    the pool stays full.
    """
    against = encoded if encoded is not None and is_password_usable(encoded) else _decoy()
    return _in_pool(check_password, _normal(password), against) and against == encoded


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


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(settings.HASH_POOL_SIZE, thread_name_prefix="password-hash")


os.register_at_fork(after_in_child=_threads.cache_clear)  # a forked child has none of its parent's threads


def _in_pool(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run one hash in its turn. Whoever waits for that must hold no transaction.

    It runs on a thread of the pool, not on the caller's: the allocator keeps a hash's 19 MiB with
    the thread that had them, and requests run on many.
    """
    if not _pool().acquire(timeout=settings.HASH_WAIT_SECONDS):
        raise Unavailable
    try:
        return _threads().submit(work, *args, **kwargs).result()
    finally:
        _pool().release()


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)
