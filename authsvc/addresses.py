"""The one canonical form of an email address. Nothing counts, stores or looks up any other."""

import re
import unicodedata

import idna

MAX_LENGTH = 254
_LOCAL_MAX = 64
_LOCAL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


class InvalidAddress(ValueError):
    """Not an address that mail could be sent to."""


def canonical(address: str) -> str:
    """Return the address in lower case, with its domain in IDNA 2008 A-labels.

    Addresses that compatibility normalisation (NFKC) would turn into others are refused, not
    normalised: a full-width at sign must not become a second spelling of somebody's mailbox.
    Quoted local parts, address literals and domains of one label are refused too.

    Raises `InvalidAddress`.
    """
    address = address.strip()
    if len(address) > MAX_LENGTH:
        raise InvalidAddress("longer than 254 characters")
    if unicodedata.normalize("NFKC", address) != address:
        raise InvalidAddress("not in normal form")
    local, at, domain = address.lower().rpartition("@")
    if not at or len(local) > _LOCAL_MAX or not _LOCAL.fullmatch(local):
        raise InvalidAddress("local part")
    result = f"{local}@{_ascii_domain(domain)}"
    if len(result) > MAX_LENGTH:
        raise InvalidAddress("longer than 254 characters")
    return result


def _ascii_domain(domain: str) -> str:
    try:
        encoded = idna.encode(domain).decode("ascii") if not domain.isascii() else domain
    except idna.IDNAError as reason:
        raise InvalidAddress("domain") from reason
    labels = encoded.split(".")
    if len(labels) == 1 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise InvalidAddress("domain")
    return encoded
