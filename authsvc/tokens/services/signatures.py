"""Signed requests of service clients (RFC 9421): who signed, that nothing was changed, and that it is new.

One profile and no other: one signature, labelled `sig1`, over method, target and digest of the
content, by a key whose record alone says which algorithm it is for.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import http_sf
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.utils.translation import gettext_lazy as _
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    MappingKeyResolver,
    VerificationKey,
)
from http_message_signatures.algorithms import ED25519, HMAC_SHA256

from audit import services as audit
from audit.events import EventType, Outcome
from audit.origin import Origin
from authsvc import crypto
from authsvc.errors import DomainError, ErrorCode, Kind
from authsvc.tokens import selectors
from authsvc.tokens.models import ServiceClientKey, UsedNonce
from authsvc.tokens.services import clients

log = logging.getLogger(__name__)

MAX_AGE = timedelta(minutes=5)
MAX_AHEAD = timedelta(seconds=30)
NONCE_MAX_LENGTH = 256
_LABEL = "sig1"
_COMPONENTS = ("@method", "@target-uri", "content-digest")
_REQUIRED: Mapping[str, type] = {"created": int, "keyid": str, "nonce": str}
_OPTIONAL: Mapping[str, type] = {"expires": int, "alg": str}
_FIELD_MAX_LENGTH = 2048
# A node whose clock is slow takes a signature for longer than this one does.
_NONCE_KEPT = MAX_AGE + timedelta(minutes=10)
_ALGORITHMS: Mapping[str, type[HTTPSignatureAlgorithm]] = {
    ServiceClientKey.Algorithm.HMAC_SHA256: HMAC_SHA256,
    ServiceClientKey.Algorithm.ED25519: ED25519,
}


class InvalidSignature(DomainError):
    """The request is not signed by a live key of a service client, or not for this moment and place, or not new."""

    code = ErrorCode.INVALID_SIGNATURE
    kind = Kind.UNAUTHENTICATED
    message = _("The signature is missing or not valid.")


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What of a request a signature covers or is in; header fields as they came, empty where missing.

    `url` is the address that the request is meant for, made from `PUBLIC_URL`, never from a header.
    """

    method: str
    url: str
    content_digest: str
    signature_input: str
    signature: str
    body: bytes = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """The fields that verification looks at."""
        return {
            "Content-Digest": self.content_digest,
            "Signature-Input": self.signature_input,
            "Signature": self.signature,
        }


class _Refused(Exception):
    """Why a request is refused; told to the log, not to the caller."""


class _Verifier(HTTPMessageVerifier):
    max_clock_skew = MAX_AHEAD


def verify(request: SignedRequest, *, origin: Origin) -> ServiceClientKey:
    """Return the key that signed the request, with its client; from now on its nonce is used.

    Raises `InvalidSignature`, which never tells what is wrong; the audit log does, where a key of
    ours is named. Raises `authsvc.crypto.KeyUnavailable`.
    """
    try:
        parameters = _parameters(request)
        key = _known_key(parameters["keyid"])
    except _Refused as reason:
        log.info("signed request refused", extra={"reason": str(reason), "request_id": origin.request_id})
        raise InvalidSignature from reason
    try:
        _check(request, parameters, key)
    except _Refused as reason:
        _record_refusal(key, str(reason), origin=origin)
        raise InvalidSignature from reason
    return key


def _check(request: SignedRequest, parameters: Mapping[str, Any], key: ServiceClientKey) -> None:
    """Check what is cheap first, and use the nonce last: only a request that is right in all else uses one."""
    if key.revoked_at is not None:
        raise _Refused("revoked key")
    if key.client.disabled_at is not None:
        raise _Refused("disabled client")
    _check_time(parameters)
    _check_signature(request, key)
    if not crypto.equal(_sha256_of(request.content_digest), crypto.sha256(request.body)):
        raise _Refused("digest")
    digest = crypto.sha256(parameters["nonce"])
    expires_at = datetime.fromtimestamp(parameters["created"], UTC) + _NONCE_KEPT
    if not UsedNonce.objects.use(key=key, digest=digest, expires_at=expires_at):
        raise _Refused("replay")


def _parameters(request: SignedRequest) -> dict[str, Any]:
    """Return the signature's parameters. Raises `_Refused` where it is not of the one profile."""
    if not all(0 < len(value) <= _FIELD_MAX_LENGTH for value in request.headers.values()):
        raise _Refused("missing or too long")
    members = _dictionary(request.signature_input)
    components: object
    parameters: dict[str, Any]
    components, parameters = members.get(_LABEL, (None, {}))
    if len(members) != 1 or components != [(name, {}) for name in _COMPONENTS]:
        raise _Refused("label or components")
    known = {**_REQUIRED, **_OPTIONAL}
    if not _REQUIRED.keys() <= parameters.keys() <= known.keys():
        raise _Refused("parameters")
    if any(type(value) is not known[name] for name, value in parameters.items()):
        raise _Refused("parameter of another type")
    if not 0 < len(parameters["nonce"]) <= NONCE_MAX_LENGTH:
        raise _Refused("nonce")
    return parameters


def _check_time(parameters: Mapping[str, Any]) -> None:
    now, created = time.time(), parameters["created"]
    if not now - MAX_AGE.total_seconds() <= created <= now + MAX_AHEAD.total_seconds():
        raise _Refused("time")
    if parameters.get("expires", now) < now:
        raise _Refused("expired")


def _check_signature(request: SignedRequest, key: ServiceClientKey) -> None:
    """Check the signature with the key and its algorithm; an `alg` that names another one is refused."""
    resolver = MappingKeyResolver(public_keys={str(key.id): _material(key)}, private_keys={})
    verifier = _Verifier(signature_algorithm=_ALGORITHMS[key.algorithm], key_resolver=resolver)
    try:
        verifier.verify(request, max_age=None)
    except HTTPMessageSignaturesException as reason:
        raise _Refused("signature") from reason


def _material(key: ServiceClientKey) -> VerificationKey:
    if key.public_key is not None:
        return Ed25519PublicKey.from_public_bytes(bytes(key.public_key))
    return crypto.unseal(bytes(key.sealed_secret or b""), context=clients.secret_context(key.id))


def _sha256_of(content_digest: str) -> bytes:
    """Return the digest that the field (RFC 9530) gives for SHA-256, nothing where it gives none."""
    value, _unused = _dictionary(content_digest).get("sha-256", (b"", {}))
    return value if isinstance(value, bytes) else b""


def _dictionary(value: str) -> dict[str, Any]:
    """Return a structured field (RFC 9651) that has one reading: what is named twice is refused."""
    try:
        members = http_sf.parse(value.encode("ascii"), tltype="dictionary", on_duplicate_key=_refuse_duplicate)
    except ValueError as reason:
        raise _Refused("not a structured field") from reason
    return cast("dict[str, Any]", members)


def _refuse_duplicate(_name: str, _context: str) -> None:
    raise _Refused("given twice")


def _known_key(keyid: str) -> ServiceClientKey:
    """Return the key of that id. Raises `_Refused` where there is none, or the id has another spelling."""
    try:
        key = selectors.service_client_key(UUID(keyid))
    except ValueError as reason:
        raise _Refused("key id") from reason
    if key is None or str(key.id) != keyid:
        raise _Refused("unknown key")
    return key


def _record_refusal(key: ServiceClientKey, reason: str, *, origin: Origin) -> None:
    audit.record(
        EventType.MACHINE_REQUEST_REFUSED,
        origin=origin,
        outcome=Outcome.REFUSED,
        resource=clients.resource(key.client_id),
        metadata={"client": key.client.name, "key": str(key.id), "reason": reason},
    )
