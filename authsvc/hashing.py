"""Password hashes, at most as many at once as the process has CPU for.

One hash takes 19 MiB and a core for tens of milliseconds. Unbounded, a burst of sign-ins would
take the memory; so the rest wait for their turn, then are refused.
"""

import os
import re
import secrets
import unicodedata
from collections.abc import Callable
from functools import cache, partial
from typing import ParamSpec, TypeVar

from argon2.exceptions import InvalidHashError
from django.conf import settings
from django.contrib.auth.hashers import (
    Argon2PasswordHasher,
    check_password,
    identify_hasher,
    is_password_usable,
    make_password,
)
from nacl.exceptions import InvalidkeyError
from nacl.pwhash import argon2id

from authsvc import turns
from authsvc.errors import Unavailable

PASSWORD_MAX_BYTES = 1024

P = ParamSpec("P")
R = TypeVar("R")


class Argon2id(Argon2PasswordHasher):
    """Argon2id at the floor of OWASP ASVS 11.4.2: t=2, m=19456 KiB, p=1.

    libsodium makes and checks these hashes: it uses what the CPU has, and gives the memory back after
    each. Those with other parameters, which were imported, are checked by the library of Django's hasher.
    """

    algorithm = "argon2"
    time_cost = 2
    memory_cost = 19456
    parallelism = 1
    _ours = re.compile(
        rf"{algorithm}\$argon2id\$v=19\$m={memory_cost},t={time_cost},p={parallelism}\$[\w+/]{{22}}\$[\w+/]{{43}}",
        re.ASCII,
    )

    def encode(self, password: str, salt: str) -> str:
        """Return the hash of a password. libsodium makes the salt, of 128 bits; `salt` is for other hashers."""
        del salt
        made = argon2id.str(password.encode(), opslimit=self.time_cost, memlimit=self.memory_cost * 1024)
        return self.algorithm + made.decode("ascii")

    def verify(self, password: str, encoded: str) -> bool:
        """Tell whether a password fits a hash; to one that is damaged none does."""
        if self.must_update(encoded):
            try:
                return super().verify(password, encoded)
            except InvalidHashError:
                return False
        try:
            return argon2id.verify(encoded.removeprefix(self.algorithm).encode(), password.encode())
        except (InvalidkeyError, ValueError):
            return False

    def must_update(self, encoded: str) -> bool:
        """Tell whether a hash has other parameters than today's, or a salt or digest of another length."""
        return self._ours.fullmatch(encoded) is None


def is_text(password: str) -> bool:
    """Tell whether a password can be hashed for what it is: UTF-8 has no lone surrogates, and NUL ends a text in C."""
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in password


def make(password: str) -> str:
    """Return the hash of a password in NFC. Raises `Unavailable` when no turn comes."""
    return _in_turn(make_password, _normal(password))


def verify(password: str, encoded: str | None) -> bool:
    """Tell whether a password fits its hash.

    An absent or unusable hash costs the same time as a wrong password. Raises `Unavailable` when
    no turn comes.
    """
    against = encoded if encoded is not None and is_password_usable(encoded) else _decoy()
    return _in_turn(check_password, _normal(password), against) and against == encoded


def needs_upgrade(encoded: str) -> bool:
    """Tell whether a hash was made with other parameters than today's."""
    hasher = identify_hasher(encoded)
    return hasher.algorithm != Argon2id.algorithm or hasher.must_update(encoded)


def warm_up() -> None:
    """Take this process's turns, start the threads that hash, and make the decoy.

    To be called before there are other threads: each would take turns, and the first request two hashes' time.
    """
    _turns()
    _decoy()


@cache
def _decoy() -> str:
    return make_password(secrets.token_urlsafe())


@cache
def _turns() -> turns.Turns:
    return turns.of_this_process(settings.HASH_POOL_SIZE)


os.register_at_fork(after_in_child=_turns.cache_clear)  # a child has turns of its own


def _in_turn(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run one hash in its turn, on a thread of its own. Whoever waits for that must hold no transaction."""
    try:
        return _turns().run(partial(work, *args, **kwargs), within=settings.HASH_WAIT_SECONDS)
    except turns.NoTurn:
        raise Unavailable from None


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)
