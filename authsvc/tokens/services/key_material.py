"""What a signing key is made of, for each algorithm that may sign access tokens."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from jwt import get_algorithm_by_name

from authsvc import crypto

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey

_RSA_BITS = 2048
# The members of a JWK that its thumbprint covers (RFC 7638, section 3.2; RFC 8037, section 2).
_THUMBPRINT_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}


@dataclass(frozen=True, slots=True)
class Key:
    """A key ready for use; a retired one only verifies. The private part never shows in a representation."""

    kid: str
    algorithm: str
    public: PublicKey = field(repr=False)
    public_jwk: dict[str, Any]
    private: PrivateKey | None = field(repr=False)


def generate(algorithm: str) -> Key:
    """Return a new key for ES256, EdDSA or RS256. Raises `ValueError` for any other algorithm."""
    private = _generated(algorithm)
    public = private.public_key()
    jwk: dict[str, Any] = get_algorithm_by_name(algorithm).to_jwk(public, as_dict=True)
    jwk.pop("key_ops", None)
    kid = thumbprint(jwk)
    return Key(kid, algorithm, public, {**jwk, "kid": kid, "alg": algorithm, "use": "sig"}, private)


def seal(key: Key) -> bytes:
    """Return the private part as it may rest in the database."""
    if key.private is None:
        raise ValueError(f"{key.kid} has no private part")
    der = key.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return crypto.seal(der, context=context(key.kid))


def unseal(sealed: bytes, *, kid: str) -> PrivateKey:
    """Return a private part that `seal` sealed. Raises `crypto.Tampered`, `crypto.KeyUnavailable`."""
    private = load_der_private_key(crypto.unseal(sealed, context=context(kid)), None)
    if not isinstance(private, PrivateKey):
        raise TypeError(f"{kid} is no key that signs")
    return private


def public_key(algorithm: str, jwk: dict[str, Any]) -> PublicKey:
    """Return the key that a public JWK describes."""
    public: PublicKey = get_algorithm_by_name(algorithm).from_jwk(jwk)
    return public


def thumbprint(jwk: dict[str, Any]) -> str:
    """Return the SHA-256 thumbprint of a public JWK (RFC 7638), base64url."""
    members = {name: jwk[name] for name in _THUMBPRINT_MEMBERS[jwk["kty"]]}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return crypto.b64encode(hashlib.sha256(canonical.encode()).digest())


def context(kid: str) -> str:
    """Return what the sealed private part of a key is bound to."""
    return f"signing-key:{kid}"


def _generated(algorithm: str) -> PrivateKey:
    match algorithm:
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case "RS256":
            return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            raise ValueError(f"no key of ours signs with {algorithm}")
