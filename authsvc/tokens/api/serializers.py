"""The objects of this app on the wire."""

from datetime import datetime
from typing import Literal, NotRequired, TypedDict
from uuid import UUID

from authsvc.tokens import devices
from authsvc.tokens.models import KnownDevice, Session
from authsvc.tokens.services.sessions import Issued


class DeviceObject(TypedDict):
    """What a session runs on, from the user agent and the name its owner gave it."""

    name: str
    type: devices.Kind
    os: str
    browser: str


class SessionObject(TypedDict):
    """A signed-in device."""

    id: UUID
    current: bool
    device: DeviceObject
    ip: str | None
    createdAt: datetime
    lastActivity: datetime
    expiresAt: datetime
    amr: list[str]


class KnownDeviceObject(TypedDict):
    """A device that its owner signed in with before."""

    id: UUID
    name: str
    current: bool
    trustedUntil: datetime | None
    createdAt: datetime
    lastSeenAt: datetime


class TokensObject(TypedDict):
    """What a sign-in or a refresh gives. Lives are in seconds."""

    tokenType: Literal["Bearer"]
    accessToken: str
    expiresIn: int
    refreshToken: str
    refreshExpiresIn: int
    deviceToken: NotRequired[str]
    session: SessionObject


class IntrospectionObject(TypedDict):
    """What a token says (RFC 7662); for one that is not live only `active`. Times are in seconds since 1970."""

    active: bool
    token_type: NotRequired[Literal["Bearer", "refresh_token"]]
    iss: NotRequired[str]
    aud: NotRequired[str]
    sub: NotRequired[UUID]
    client_id: NotRequired[str]
    sid: NotRequired[UUID]
    jti: NotRequired[str]
    iat: NotRequired[int]
    exp: NotRequired[int]
    auth_time: NotRequired[int]
    amr: NotRequired[list[str]]
    acr: NotRequired[str]
    role: NotRequired[Literal["user", "admin"]]


class RevocationObject(TypedDict):
    """Nothing: the status says it all (RFC 7009)."""


def session_object(session: Session, *, current: bool) -> SessionObject:
    """Return a session as the API shows it."""
    device = devices.describe(user_agent=session.user_agent, device_name=session.device_name)
    return {
        "id": session.id,
        "current": current,
        "device": {"name": device.name, "type": device.type, "os": device.os, "browser": device.browser},
        "ip": session.ip,
        "createdAt": session.created_at,
        "lastActivity": session.last_activity_at,
        "expiresAt": session.expires_at,
        "amr": session.amr,
    }


def known_device_object(device: KnownDevice, *, current: bool) -> KnownDeviceObject:
    """Return a known device as the API shows it."""
    return {
        "id": device.id,
        "name": devices.describe(user_agent=device.user_agent, device_name=device.name).name,
        "current": current,
        "trustedUntil": device.trusted_until,
        "createdAt": device.created_at,
        "lastSeenAt": device.last_seen_at,
    }


def tokens_object(issued: Issued) -> TokensObject:
    """Return what was issued as the API shows it."""
    tokens: TokensObject = {
        "tokenType": "Bearer",
        "accessToken": issued.access_token,
        "expiresIn": issued.expires_in,
        "refreshToken": issued.refresh_token,
        "refreshExpiresIn": issued.refresh_expires_in,
        "session": session_object(issued.session, current=True),
    }
    if issued.device_token is not None:
        tokens["deviceToken"] = issued.device_token
    return tokens
