"""The keys that sign access tokens: made once, sealed in the database, remembered by each process."""

import hashlib
import json
import time
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from django.conf import settings
from django.db import IntegrityError, transaction
from jwt.algorithms import ECAlgorithm

from authsvc import crypto
from authsvc.tokens.models import SigningKey

_THUMBPRINT_MEMBERS = ("crv", "kty", "x", "y")


@dataclass(frozen=True, slots=True)
class Key:
    """A signing key ready for use. Its private part never shows in a representation."""

    kid: str
    algorithm: str
    private: ec.EllipticCurvePrivateKey = field(repr=False)
    public: ec.EllipticCurvePublicKey = field(repr=False)
    public_jwk: dict[str, Any]


class KeyRing:
    """What this process remembers of the keys; the database is asked again at most once a second."""

    FRESH_SECONDS = 5.0
    PATIENCE_SECONDS = 1.0

    def __init__(self) -> None:
        """Start empty."""
        self._keys: dict[str, Key] = {}
        self._read_at = float("-inf")
        self._lock = Lock()

    def signing(self) -> Key:
        """Return the key that signs now; the first call of a new installation makes it.

        Raises `authsvc.crypto.KeyUnavailable` where the database's key was sealed with a key that
        this process does not have.
        """
        self._refresh(older_than=self.FRESH_SECONDS)
        for key in self._keys.values():
            if key.algorithm == settings.JWT_ALGORITHM:
                return key
        _create(settings.JWT_ALGORITHM)
        self._refresh(older_than=0)
        return next(key for key in self._keys.values() if key.algorithm == settings.JWT_ALGORITHM)

    def by_kid(self, kid: str) -> Key | None:
        """Return the key of that id. A stranger's `kid` costs at most one look a second."""
        if kid not in self._keys:
            self._refresh(older_than=self.PATIENCE_SECONDS)
        return self._keys.get(kid)

    def published(self) -> list[dict[str, Any]]:
        """Return the public keys as JWKs (RFC 7517)."""
        self.signing()
        return [key.public_jwk for key in self._keys.values()]

    def forget(self) -> None:
        """Drop what is remembered."""
        self._keys, self._read_at = {}, float("-inf")

    def _refresh(self, *, older_than: float) -> None:
        with self._lock:
            if time.monotonic() - self._read_at < older_than:
                return
            rows = SigningKey.objects.all()
            self._keys = {row.kid: self._keys.get(row.kid) or _load(row) for row in rows}
            self._read_at = time.monotonic()


ring = KeyRing()


def _load(row: SigningKey) -> Key:
    private = load_der_private_key(crypto.unseal(bytes(row.sealed_private), context=_context(row.kid)), None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{row.kid} is not an elliptic curve key")
    return Key(row.kid, row.algorithm, private, private.public_key(), row.public_jwk)


def _create(algorithm: str) -> None:
    """Store a new active key; where another process was faster, its key stands."""
    private = ec.generate_private_key(ec.SECP256R1())
    jwk = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    kid = thumbprint(jwk)
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    row = SigningKey(
        kid=kid,
        algorithm=algorithm,
        public_jwk={**jwk, "kid": kid, "alg": algorithm, "use": "sig"},
        sealed_private=crypto.seal(der, context=_context(kid)),
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        return


def thumbprint(jwk: dict[str, Any]) -> str:
    """Return the thumbprint of an elliptic curve key (RFC 7638), base64url."""
    canonical = json.dumps({name: jwk[name] for name in _THUMBPRINT_MEMBERS}, separators=(",", ":"), sort_keys=True)
    return crypto.b64encode(hashlib.sha256(canonical.encode()).digest())


def _context(kid: str) -> str:
    return f"signing-key:{kid}"
