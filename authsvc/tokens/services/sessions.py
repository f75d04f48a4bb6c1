"""Sessions: starting, refreshing and ending them.

`accounts.services.signin.grant` decides who gets one; here it is made, and from then on the row
owns its single lineage of refresh tokens.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from audit import services as audit
from audit.events import EventType, Outcome
from audit.origin import Origin
from authsvc import crypto
from authsvc.tokens import selectors
from authsvc.tokens.models import EndReason, Session
from authsvc.tokens.services import access, refresh_tokens
from authsvc.tokens.services.access import InvalidToken
from authsvc.tokens.services.refresh_tokens import Foreign, RefreshToken

if TYPE_CHECKING:
    from accounts.models import User

GRACE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Issued:
    """What a client gets for a session. The tokens never show in a representation."""

    session: Session
    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(repr=False)
    refresh_expires_in: int


@dataclass(frozen=True, slots=True)
class Started:
    """A new session and its first refresh token, which exists nowhere else."""

    session: Session
    refresh_token: str = field(repr=False)


def start(*, user: "User", amr: Sequence[str], device_name: str, origin: Origin) -> Started:
    """Insert a session in the caller's transaction. Call `issue` once that is committed."""
    now = timezone.now()
    key_id = crypto.current_key_id()
    session = Session(
        user=user,
        stamp=user.stamp,
        device_name=device_name,
        user_agent=origin.user_agent,
        ip=origin.ip,
        amr=list(amr),
        authenticated_at=now,
        created_at=now,
        last_activity_at=now,
        refreshed_at=now,
        refresh_salt=secrets.token_bytes(refresh_tokens.SALT_BYTES),
        refresh_key_id=key_id,
    )
    token = refresh_tokens.first(session.id).encode(key_id)
    session.refresh_hash = crypto.sha256(token)
    session.save(force_insert=True)
    return Started(session, token)


def issue(started: Started, *, role: str) -> Issued:
    """Mint the access token that goes with a refresh token just made."""
    return _issued(started.session, started.refresh_token, role=role)


def refresh(*, token: str, origin: Origin) -> Issued:
    """Replace a refresh token by its successor: one read, one conditional update.

    The direct parent presented again within ten seconds gets the same successor, so that a lost
    answer or a second tab costs nobody the session. Anything older, or later, means that somebody
    else has a copy: the session ends. Raises `InvalidToken`, `authsvc.crypto.KeyUnavailable`.
    """
    presented = _parse(token)
    session, now = _find(presented)
    _refuse_unless_live(session, now, origin=origin)
    key_id = crypto.current_key_id()
    successor = presented.successor(bytes(session.refresh_salt), key_id).encode(key_id)
    won = Session.objects.rotate(
        session, presented=crypto.sha256(token), successor=crypto.sha256(successor), key_id=key_id
    )
    if not won:
        return _answer_again(presented, origin=origin)
    session.refreshed_at = session.last_activity_at = now
    return _issued(session, successor, role=session.user.role)


def end_by_refresh_token(*, token: str, origin: Origin) -> None:
    """End the session that a refresh token belongs to; safe to repeat. Raises `InvalidToken`."""
    session, _now = _find(_parse(token))
    end(session_id=session.id, reason=EndReason.LOGOUT, origin=origin)


def end(*, session_id: UUID, reason: EndReason, origin: Origin) -> bool:
    """End one session; tell whether it had not ended before."""
    with transaction.atomic():
        ended = bool(Session.objects.filter(pk=session_id).end(reason))
        if ended:
            session = Session.objects.select_related("user").get(pk=session_id)
            _record_end(EventType.SESSION_ENDED, session, reason=reason, origin=origin)
    return ended


def end_all(*, user: "User", reason: EndReason, origin: Origin) -> int:
    """End every session of a user in the caller's transaction or one of its own; return how many."""
    with transaction.atomic():
        ended = Session.objects.filter(user=user).end(reason)
        audit.record(
            EventType.SESSION_ALL_ENDED,
            origin=origin,
            subject=user.audit_key,
            metadata={"reason": reason.value, "sessions": ended},
        )
    return ended


def _parse(token: str) -> RefreshToken:
    try:
        return refresh_tokens.parse(token)
    except Foreign as foreign:
        _refuse_if_our_key_is_missing(foreign)
        raise InvalidToken from foreign


def _refuse_if_our_key_is_missing(foreign: Foreign) -> None:
    """Send the client to another node where the token was made with a key that only others have yet."""
    found = selectors.session_for_refresh(foreign.session_id) if foreign.session_id else None
    if found is not None and bytes(found[0].refresh_key_id) not in crypto.known_key_ids():
        raise crypto.KeyUnavailable from foreign


def _find(presented: RefreshToken) -> tuple[Session, datetime]:
    found = selectors.session_for_refresh(presented.session_id)
    if found is None:
        raise InvalidToken
    return found


def _refuse_unless_live(session: Session, now: datetime, *, origin: Origin) -> None:
    user = session.user
    if session.is_live(now) and session.stamp == user.stamp and user.is_active:
        return
    audit.record(
        EventType.SESSION_REFRESH_REFUSED,
        origin=origin,
        subject=user.audit_key,
        outcome=Outcome.REFUSED,
        resource=_resource(session),
        session_id=session.id,
    )
    raise InvalidToken


def _answer_again(presented: RefreshToken, *, origin: Origin) -> Issued:
    """Decide about a token that is not the current one: read only, unless the session must end."""
    session, now = _find(presented)
    _refuse_unless_live(session, now, origin=origin)
    behind = session.refresh_generation - presented.generation
    if behind == 1 and now - session.refreshed_at <= GRACE:
        key_id = bytes(session.refresh_key_id)
        successor = presented.successor(bytes(session.refresh_salt), key_id).encode(key_id)
        if crypto.equal(crypto.sha256(successor), bytes(session.refresh_hash)):
            return _issued(session, successor, role=session.user.role)
    elif behind >= 1:
        _end_reused(session, generation=presented.generation, origin=origin)
    raise InvalidToken


def _end_reused(session: Session, *, generation: int, origin: Origin) -> None:
    with transaction.atomic():
        if Session.objects.filter(pk=session.pk).end(EndReason.REUSE):
            _record_end(
                EventType.SESSION_REFRESH_REUSED, session, reason=EndReason.REUSE, origin=origin, generation=generation
            )


def _record_end(event: EventType, session: Session, *, reason: EndReason, origin: Origin, **details: int) -> None:
    audit.record(
        event,
        origin=origin,
        subject=session.user.audit_key,
        outcome=Outcome.REFUSED if reason is EndReason.REUSE else Outcome.SUCCESS,
        resource=_resource(session),
        session_id=session.id,
        metadata={"reason": reason.value, **details},
    )


def _resource(session: Session) -> str:
    return f"session:{session.id}"


def _issued(session: Session, refresh_token: str, *, role: str) -> Issued:
    access_token, expires_in = access.mint(session, role=role)
    remaining = session.expires_at - session.last_activity_at
    return Issued(
        session=session,
        access_token=access_token,
        expires_in=expires_in,
        refresh_token=refresh_token,
        refresh_expires_in=int(remaining.total_seconds()),
    )
