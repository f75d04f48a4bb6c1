"""What service clients may ask and do about tokens: introspection (RFC 7662) and revocation (RFC 7009).

Both take either kind of token: their forms are disjoint, so no hint is needed. Service clients are
the operator's own machines, and every token is of the service's own sign-in: none belongs to
another client, so any of them may ask about, and revoke, any token.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from audit import services as audit
from audit.events import EventType
from audit.origin import Origin
from authsvc import crypto
from authsvc.tokens import selectors
from authsvc.tokens.models import EndReason, ServiceClient, Session
from authsvc.tokens.services import access, sessions
from authsvc.tokens.services.access import InvalidToken
from authsvc.tokens.services.refresh_tokens import RefreshToken

# The claims of an access token that RFC 7662 or RFC 9068 tell a resource server to look at.
_TOLD = ("iss", "aud", "sub", "client_id", "sid", "jti", "iat", "exp", "auth_time", "amr", "acr", "role")


def introspect(token: str) -> dict[str, Any] | None:
    """Return what a live token says, by the names of RFC 7662; nothing for any other string.

    An access token is live while it verifies and its session could be used with it here; a refresh
    token while it is the current one of a live session. Asking changes nothing. Raises
    `authsvc.crypto.KeyUnavailable` where another node made the token with a key that is missing here.
    """
    return _of_access_token(token) or _of_refresh_token(token)


def revoke(token: str, *, client: ServiceClient, origin: Origin) -> None:
    """End the session that a token belongs to, and with it every token of that session.

    That is so for both kinds: an access token alone is kept nowhere, so it could not be refused on
    its own. A refresh token of any generation will do. A token that is not ours, or over, changes
    nothing. Safe to repeat. Raises `authsvc.crypto.KeyUnavailable` as `introspect` does.
    """
    session_id = _session_of(token)
    if session_id is None:
        return
    with transaction.atomic():
        if Session.objects.filter(pk=session_id).end(EndReason.CLIENT):
            session = Session.objects.select_related("user").get(pk=session_id)
            audit.record(
                EventType.SESSION_REVOKED_BY_CLIENT,
                origin=origin,
                subject=session.user.audit_key,
                resource=f"session:{session.id}",
                session_id=session.id,
                metadata={"reason": EndReason.CLIENT.value, "client": client.name, "clientId": str(client.id)},
            )


def _of_access_token(token: str) -> dict[str, Any] | None:
    try:
        claims, everything = access.read(token)
    except InvalidToken:
        return None
    session = selectors.signed_in_session(session_id=claims.session_id, user_id=claims.user_id)
    if session is None:
        return None
    return {"token_type": "Bearer", **{name: everything[name] for name in _TOLD if name in everything}}


def _of_refresh_token(token: str) -> dict[str, Any] | None:
    presented = _own_refresh_token(token)
    session = None if presented is None else selectors.usable_session(presented.session_id)
    if session is None or not crypto.equal(crypto.sha256(token), bytes(session.refresh_hash)):
        return None
    return {
        "token_type": "refresh_token",
        "iss": settings.JWT_ISSUER,
        "sub": str(session.user_id),
        "client_id": access.FIRST_PARTY,
        "sid": str(session.id),
        "iat": _seconds(session.refreshed_at),
        "exp": _seconds(session.expires_at),
        "auth_time": _seconds(session.authenticated_at),
        "amr": session.amr,
        "acr": access.AAL1,
        "role": str(session.user.role),
    }


def _session_of(token: str) -> UUID | None:
    try:
        return access.verify(token).session_id
    except InvalidToken:
        presented = _own_refresh_token(token)
        return None if presented is None else presented.session_id


def _own_refresh_token(token: str) -> RefreshToken | None:
    try:
        return sessions.read_refresh_token(token)
    except InvalidToken:
        return None


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
