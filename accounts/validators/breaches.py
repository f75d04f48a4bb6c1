"""Passwords that were in a breach, asked of Have I Been Pwned by k-anonymity.

The service learns the first 5 of the 40 hexadecimal digits of the password's SHA-1, and each answer
is padded, so that not even its length tells which. pwned-passwords-django does the same; it brings
17 MiB of an HTTP client into every process, and its time limit is per read, not per call.
"""

import hashlib
import logging
import time
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cache
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from itertools import count
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

SERVICE = "https://api.pwnedpasswords.com/range/"
TIMEOUT_SECONDS = 3.0

_PREFIX = 5
_AT_ONCE = 4
_ANSWER_MAX_BYTES = 1_000_000  # today's have about 40,000
_PART_BYTES = 65_536
_log = logging.getLogger(__name__)


class NotBreached:
    """Refuses passwords that were in a known breach. Where the service does not answer in time, any is taken.

    It waits for the network: no transaction may be open, and the other rules come first.
    """

    def __init__(self, service: str = SERVICE, timeout: float = TIMEOUT_SECONDS) -> None:
        """Take the address to which the prefix is added, and how many seconds a whole look-up may take."""
        self.service = service
        self.timeout = timeout
        self._failures = count(1)

    def validate(self, password: str, user: object = None) -> None:
        """Raise `ValidationError` with code `password_breached`."""
        normal = unicodedata.normalize("NFC", password).encode()
        digest = hashlib.sha1(normal, usedforsecurity=False).hexdigest().upper()
        lookup = _threads().submit(_suffixes, f"{self.service}{digest[:_PREFIX]}", self.timeout)
        try:
            breached = digest[_PREFIX:] in lookup.result(self.timeout)
        except (OSError, HTTPException, ValueError) as failure:  # a TimeoutError is an OSError
            lookup.cancel()
            _log.warning(
                "breach check failed open",
                extra={"failure": type(failure).__name__, "failures": next(self._failures)},
            )
            return
        if breached:
            raise ValidationError(
                _("This password has appeared in a data breach. Choose another one."), code="password_breached"
            )

    def get_help_text(self) -> str:
        """Return the rule as text."""
        return _("Your password must not have appeared in a data breach.")


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="breach-check")


def _suffixes(url: str, timeout: float) -> set[str]:
    """Return what follows the prefix in the digests of breached passwords."""
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    with closing(kind(parts.netloc, timeout=timeout)) as connection:
        connection.request("GET", parts.path, headers={"Add-Padding": "true", "User-Agent": "authsvc"})
        with connection.getresponse() as answer:
            if answer.status != HTTPStatus.OK:
                raise HTTPException(answer.status)
            return set(_breached(_body(answer, time.monotonic() + timeout).decode("ascii")))


def _body(answer: HTTPResponse, deadline: float) -> bytes:
    """Read a whole answer. Raises where it is cut, endless, or so slow that its thread would be lost to others."""
    body = b""
    while part := answer.read1(_PART_BYTES):
        body += part
        if time.monotonic() > deadline or len(body) > _ANSWER_MAX_BYTES:
            raise TimeoutError
    if answer.length:
        raise IncompleteRead(body, answer.length)
    return body


def _breached(body: str) -> Iterator[str]:
    """Yield the suffixes of a list. Those with count 0 are padding."""
    for line in body.splitlines():
        suffix, _colon, times = line.strip().partition(":")
        if int(times.replace(",", "")):
            yield suffix.upper()
