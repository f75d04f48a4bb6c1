"""Access tokens: JWTs after RFC 9068, signed by the key ring, verifiable by any service offline."""

import re
import secrets
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError

from authsvc import crypto
from authsvc.errors import DomainError, ErrorCode, Kind
from authsvc.tokens.models import Session
from authsvc.tokens.services.key_material import Key, PrivateKey
from authsvc.tokens.services.keys import KeyRing, ring

FIRST_PARTY = "authsvc"
AAL1 = "aal1"
_TYPE = "at+jwt"
_CLOCK_SKEW_SECONDS = 30
_REQUIRED = ("iss", "aud", "sub", "sid", "jti", "iat", "exp")
_MAX_LENGTH = 4096
_REMEMBERED_TOKENS = 10_000
_COMPACT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)  # no padding: one token has one spelling


class InvalidToken(DomainError):
    """The token is not ours, not of this kind, over, or revoked."""

    code = ErrorCode.INVALID_TOKEN
    kind = Kind.UNAUTHENTICATED
    message = _("The token is not valid or no longer valid.")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified access token says that requests here rely on."""

    user_id: UUID
    session_id: UUID


class RingBackend(TokenBackend):
    """Signs with the active key and verifies by `kid`, with the algorithm of that key alone (RFC 8725)."""

    def __init__(self, keys: KeyRing) -> None:
        """Take keys from a ring instead of settings."""
        super().__init__(algorithm="ES256")
        self._keys = keys

    def encode(self, payload: dict[str, Any]) -> str:
        """Return the signed token."""
        key = self._keys.signing()
        return jwt.encode(payload, _signer(key), algorithm=key.algorithm, headers={"typ": _TYPE, "kid": key.kid})

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002 - simplejwt's signature
        """Return the claims. Raises `TokenBackendError` for whatever is not a live token of ours."""
        try:
            header = jwt.get_unverified_header(token)
            key = self._keys.by_kid(header.get("kid", ""))
            if key is None or str(header.get("typ", "")).lower() != _TYPE:
                raise TokenBackendError("unknown key or type")
            claims: dict[str, Any] = jwt.decode(
                token,
                key.public,
                algorithms=[key.algorithm],
                audience=settings.JWT_AUDIENCE,
                issuer=settings.JWT_ISSUER,
                options={"require": list(_REQUIRED), "verify_iat": False, "verify_signature": verify},
            )
        except jwt.InvalidTokenError as reason:
            raise TokenBackendError("not valid") from reason
        return claims


def _signer(key: Key) -> PrivateKey:
    if key.private is None:
        raise RuntimeError(f"{key.kid} does not sign")
    return key.private


_backend = RingBackend(ring)
_verified: dict[bytes, tuple[str, Claims, dict[str, Any]]] = {}


def mint(session: Session, *, role: str) -> tuple[str, int]:
    """Return a new access token of a session, and its life in seconds.

    The life is up to a tenth shorter than the setting, so that clients don't refresh in step.
    """
    full = int(settings.ACCESS_TOKEN_LIFETIME.total_seconds())
    expires_in = full - secrets.randbelow(full // 10 + 1)
    now = int(time.time())
    user_id = str(session.user_id)
    token = _backend.encode(
        {
            "iss": settings.JWT_ISSUER,
            "aud": settings.JWT_AUDIENCE,
            "sub": user_id,
            "userId": user_id,
            "client_id": FIRST_PARTY,
            "type": "access",
            "sid": str(session.id),
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + expires_in,
            "auth_time": int(session.authenticated_at.timestamp()),
            "amr": session.amr,
            "acr": AAL1,
            "role": role,
        }
    )
    return token, expires_in


def verify(token: str) -> Claims:
    """Check signature, type, issuer, audience and time. Raises `InvalidToken`.

    Says nothing of the session: whoever presents the token to us is checked against its row too.
    """
    return read(token)[0]


def read(token: str) -> tuple[Claims, dict[str, Any]]:
    """Check a token as `verify` does; return everything else it says, too. Raises `InvalidToken`.

    A token that was verified before is remembered by its digest, until it is over or its key is gone.
    """
    if len(token) > _MAX_LENGTH or not _COMPACT.fullmatch(token):
        raise InvalidToken
    digest = crypto.sha256(token)
    remembered = _verified.get(digest)
    if remembered is not None:
        kid, claims, everything = remembered
        if everything["exp"] > time.time() and ring.by_kid(kid) is not None:
            return claims, everything
        raise InvalidToken
    kid, claims, everything = _read_afresh(token)
    if len(_verified) >= _REMEMBERED_TOKENS:
        _verified.clear()
    _verified[digest] = kid, claims, everything
    return claims, everything


def forget() -> None:
    """Drop what is remembered of verified tokens."""
    _verified.clear()


def _read_afresh(token: str) -> tuple[str, Claims, dict[str, Any]]:
    try:
        everything = _backend.decode(token)
        _check_shape(everything)
        claims = Claims(user_id=UUID(everything["sub"]), session_id=UUID(everything["sid"]))
        return str(jwt.get_unverified_header(token)["kid"]), claims, everything
    except (TokenBackendError, ValueError, TypeError, AttributeError) as reason:
        raise InvalidToken from reason


def _check_shape(claims: dict[str, Any]) -> None:
    """Refuse what PyJWT lets pass: another kind's claims, an issue date ahead of every clock."""
    if claims.get("type") != "access" or claims.get("userId") != claims["sub"]:
        raise ValueError("not an access token")
    if claims["iat"] > time.time() + _CLOCK_SKEW_SECONDS:
        raise ValueError("issued in the future")
