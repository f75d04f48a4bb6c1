"""The wire form of refresh tokens, and how one follows from another.

A token is base64url(session id 16, generation 4, secret 32, tag 16 bytes). The tag proves that we
made it, before any look at the database. A successor's secret is an HMAC of its parent under the
session's salt: the same parent always has the same child, so a lost answer can be given again
although nothing that could be presented is ever stored.
"""

import hmac
import secrets
from dataclasses import dataclass
from uuid import UUID

from authsvc import crypto

SALT_BYTES = 16
_SECRET_BYTES = 32
_TAG_BYTES = 16
_BODY_BYTES = 16 + 4 + _SECRET_BYTES
_LENGTH = 91  # base64url of 68 bytes


class Foreign(ValueError):
    """No key that we hold tagged this. `session_id` is what it claims, where it has the form of a token."""

    def __init__(self, session_id: UUID | None = None) -> None:
        """Keep the claim: during a roll-out of keys another node may have made the token."""
        super().__init__("not a refresh token")
        self.session_id = session_id


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token whose tag was checked, or that was made here."""

    session_id: UUID
    generation: int
    secret: bytes

    def encode(self, key_id: bytes) -> str:
        """Return the wire form, tagged by the given key."""
        body = self._body()
        return crypto.b64encode(body + _tag(body, key_id))

    def successor(self, salt: bytes, key_id: bytes) -> "RefreshToken":
        """Return the one token that may follow this one."""
        secret = hmac.digest(crypto.derive("refresh successor", key_id), salt + self.secret, "sha256")
        return RefreshToken(self.session_id, self.generation + 1, secret)

    def _body(self) -> bytes:
        return self.session_id.bytes + self.generation.to_bytes(4, "big") + self.secret

    def __repr__(self) -> str:
        return f"<refresh token of session {self.session_id}, generation {self.generation}>"


def first(session_id: UUID) -> RefreshToken:
    """Return the first token of a new lineage."""
    return RefreshToken(session_id, 0, secrets.token_bytes(_SECRET_BYTES))


def parse(token: str) -> RefreshToken:
    """Return the token of that wire form. Raises `Foreign`."""
    if len(token) != _LENGTH:
        raise Foreign
    try:
        data = crypto.b64decode(token)
    except ValueError as reason:
        raise Foreign from reason
    body, tag = data[:_BODY_BYTES], data[_BODY_BYTES:]
    if not any(crypto.equal(_tag(body, key_id), tag) for key_id in crypto.known_key_ids()):
        raise Foreign(UUID(bytes=body[:16]))
    return RefreshToken(UUID(bytes=body[:16]), int.from_bytes(body[16:20], "big"), body[20:])


def _tag(body: bytes, key_id: bytes) -> bytes:
    return hmac.digest(crypto.derive("refresh tag", key_id), body, "sha256")[:_TAG_BYTES]
