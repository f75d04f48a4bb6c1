"""Credentials: sessions with their refresh lineage, one-time tokens, known devices, signing keys, service clients."""

from authsvc.tokens.models.changes import AccountChange
from authsvc.tokens.models.clients import ServiceClient, ServiceClientKey, UsedNonce
from authsvc.tokens.models.devices import KnownDevice
from authsvc.tokens.models.keys import SigningKey
from authsvc.tokens.models.one_time import OneTimeToken, Purpose
from authsvc.tokens.models.sessions import EndReason, Session, SessionQuerySet

__all__ = [
    "AccountChange",
    "EndReason",
    "KnownDevice",
    "OneTimeToken",
    "Purpose",
    "ServiceClient",
    "ServiceClientKey",
    "Session",
    "SessionQuerySet",
    "SigningKey",
    "UsedNonce",
]
