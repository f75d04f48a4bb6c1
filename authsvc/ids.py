"""Identifiers that sort by creation."""

from uuid import UUID

from uuid_utils.compat import uuid7 as _uuid7


def uuid7() -> UUID:
    """Return a new UUID version 7 (RFC 9562): time-ordered, so indexes grow at one end."""
    return _uuid7()
