"""Secrets: making them, hashing them, sealing them at rest, deriving keys for them.

Every key comes from `ENCRYPTION_KEYS` by HKDF (RFC 5869), one per purpose, so that no two uses
share one. The first listed key makes; any listed one opens.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from authsvc.errors import Unavailable

KEY_ID_BYTES = 4
_NONCE_BYTES = 12
_TAG_BYTES = 16


class KeyUnavailable(Unavailable):
    """This process does not have the key that a row was made with: a roll-out is under way."""


class Tampered(Exception):
    """Sealed data that was changed, cut, or sealed for another place."""


def new_token() -> str:
    """Return a fresh secret of 256 bits, base64url without padding (43 characters)."""
    return secrets.token_urlsafe(32)


def sha256(secret: str | bytes) -> bytes:
    """Return the digest under which a secret of full entropy is stored and looked up."""
    return hashlib.sha256(secret.encode() if isinstance(secret, str) else secret).digest()


def equal(one: bytes, other: bytes) -> bool:
    """Compare without telling by time where they differ."""
    return hmac.compare_digest(one, other)


def b64encode(data: bytes) -> str:
    """Return base64url without padding (RFC 7515, section 2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def b64decode(text: str) -> bytes:
    """Return the bytes of strict base64url without padding; raise `ValueError` on any other spelling."""
    try:
        data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (Base64Error, UnicodeEncodeError) as reason:
        raise ValueError("not base64url") from reason
    if b64encode(data) != text:
        raise ValueError("not canonical base64url")
    return data


def current_key_id() -> bytes:
    """Return the id of the key that makes: the first four bytes of its SHA-256."""
    return _key_id(settings.ENCRYPTION_KEYS[0])


def known_key_ids() -> list[bytes]:
    """Return the ids of all keys that open, the making one first."""
    return [_key_id(key) for key in settings.ENCRYPTION_KEYS]


def derive(purpose: str, key_id: bytes) -> bytes:
    """Return the 256-bit key for one purpose.

    Raises `KeyUnavailable` where `key_id` is not among `ENCRYPTION_KEYS`.
    """
    for key in settings.ENCRYPTION_KEYS:
        if _key_id(key) == key_id:
            return _derive(key, purpose)
    raise KeyUnavailable


def seal(plain: bytes, *, context: str) -> bytes:
    """Encrypt for rest (AES-256-GCM). `context` names table and row: sealed data opens nowhere else."""
    key_id = current_key_id()
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(derive("seal", key_id)).encrypt(nonce, plain, context.encode())
    return key_id + nonce + sealed


def unseal(sealed: bytes, *, context: str) -> bytes:
    """Open what `seal` made for the same context. Raises `Tampered`, `KeyUnavailable`."""
    if len(sealed) < KEY_ID_BYTES + _NONCE_BYTES + _TAG_BYTES:
        raise Tampered
    key_id, rest = sealed[:KEY_ID_BYTES], sealed[KEY_ID_BYTES:]
    try:
        return AESGCM(derive("seal", key_id)).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], context.encode())
    except InvalidTag as reason:
        raise Tampered from reason


@lru_cache(maxsize=64)
def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:KEY_ID_BYTES]


@lru_cache(maxsize=256)
def _derive(key: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"authsvc {purpose}".encode()).derive(key)
