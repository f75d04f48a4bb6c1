"""Sessions: starting, refreshing and ending them.

`accounts.services.signin.grant` decides who gets one; here it is made, and from then on the row
owns its single lineage of refresh tokens.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from audit import services as audit
from audit.events import EventType, Outcome
from audit.insertion import insert
from audit.origin import Origin
from authsvc import crypto
from authsvc.errors import DomainError, ErrorCode, Kind
from authsvc.tokens import devices, emails, freshness, selectors
from authsvc.tokens.models import EndReason, Session
from authsvc.tokens.services import access, known_devices, refresh_tokens
from authsvc.tokens.services.access import InvalidToken
from authsvc.tokens.services.keys import ring
from authsvc.tokens.services.known_devices import Presented
from authsvc.tokens.services.refresh_tokens import Foreign, RefreshToken

if TYPE_CHECKING:
    from accounts.models import User

GRACE = timedelta(seconds=10)


class NoSuchSession(DomainError):
    """The person has no live session of this id. Whether somebody else has is not told."""

    code = ErrorCode.NOT_FOUND
    kind = Kind.MISSING
    message = _("There is nothing here.")


@dataclass(frozen=True, slots=True)
class Issued:
    """What a client gets for a session. The tokens never show in a representation."""

    session: Session
    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(repr=False)
    refresh_expires_in: int
    device_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Started:
    """A new session and its first refresh token, and the token of a device that is new: these exist nowhere else."""

    session: Session
    refresh_token: str = field(repr=False)
    device_token: str | None = field(repr=False)


def start(*, user: "User", amr: Sequence[str], device: Presented, origin: Origin) -> Started:
    """Insert a session in the caller's transaction, which holds the user's row. Call `issue` once that is committed.

    Where `SESSIONS_PER_USER` is set, the oldest sessions beyond it end: the lock lets one sign-in
    count at a time.
    """
    if settings.SESSIONS_PER_USER is not None:
        _make_room(user, cap=settings.SESSIONS_PER_USER, origin=origin)
    admitted = known_devices.admit(user=user, presented=device, origin=origin)
    now = timezone.now()
    key_id = crypto.current_key_id()
    session = Session(
        user=user,
        stamp=user.stamp,
        device_name=device.name,
        known_device_id=admitted.device_id,
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
    insert(session)
    return Started(session, token, admitted.new_token)


def check_signing() -> None:
    """Raise `authsvc.crypto.KeyUnavailable` where this process could sign no token for a session it starts."""
    ring.signing()


def issue(started: Started, *, role: str) -> Issued:
    """Mint the access token that goes with a refresh token just made."""
    return replace(_issued(started.session, started.refresh_token, role=role), device_token=started.device_token)


def refresh(*, token: str, origin: Origin) -> Issued:
    """Replace a refresh token by its successor: one read, one conditional update.

    The direct parent presented again within ten seconds gets the same successor, so that a lost
    answer or a second tab costs nobody the session. Anything older, or later, means that somebody
    else has a copy: the session ends. Raises `InvalidToken`, `authsvc.crypto.KeyUnavailable`.
    """
    presented = read_refresh_token(token)
    session, now = _find(presented)
    _refuse_unless_live(session, now, origin=origin)
    key_id = crypto.current_key_id()
    successor = presented.successor(bytes(session.refresh_salt), key_id).encode(key_id)
    won = Session.objects.rotate(
        session, presented=crypto.sha256(token), successor=crypto.sha256(successor), key_id=key_id
    )
    if not won:
        return _answer_again(token, presented, origin=origin)
    session.refreshed_at = session.last_activity_at = now
    return _issued(session, successor, role=session.user.role)


def end_by_refresh_token(*, token: str, origin: Origin) -> None:
    """End the session that a refresh token belongs to; safe to repeat. Raises `InvalidToken`."""
    session, _now = _find(read_refresh_token(token))
    end(session_id=session.id, reason=EndReason.LOGOUT, origin=origin)


def end(*, session_id: UUID, reason: EndReason, origin: Origin) -> bool:
    """End one session; tell whether it had not ended before."""
    with transaction.atomic():
        ended = bool(Session.objects.filter(pk=session_id).end(reason))
        if ended:
            session = Session.objects.select_related("user").get(pk=session_id)
            _record_end(EventType.SESSION_ENDED, session, reason, origin=origin)
    return ended


def of_user(user: "User", *, search: str = "", order: str = "-last_activity_at") -> QuerySet[Session]:
    """Return the live sessions of a user in the order of a column, newest activity first.

    `search` keeps those whose device says so, by the name that its owner gave it or by its user agent.
    """
    rows = Session.objects.live_of(user)
    if search:
        rows = rows.filter(Q(device_name__icontains=search) | Q(user_agent__icontains=search))
    return rows.order_by(order, "-pk")


def end_own(*, user: "User", session_id: UUID, origin: Origin) -> None:
    """End one session on behalf of its owner. Raises `NoSuchSession`, also where it is over."""
    with transaction.atomic():
        ended = Session.objects.live_of(user).filter(pk=session_id).end(EndReason.OWNER)
        if ended:
            _record_end(EventType.SESSION_ENDED, Session(pk=session_id, user=user), EndReason.OWNER, origin=origin)
    if not ended:
        raise NoSuchSession


def end_others(*, session: Session, reason: EndReason, origin: Origin) -> int:
    """End every session of a user but one, in the caller's transaction or one of its own; return how many."""
    user = session.user
    with transaction.atomic():
        ended = Session.objects.filter(user=user).exclude(pk=session.pk).end(reason)
        freshness.changed(user.pk)
        audit.record(
            EventType.SESSION_OTHERS_ENDED,
            origin=origin,
            subject=user.audit_key,
            session_id=session.pk,
            metadata={"reason": reason.value, "sessions": ended},
        )
    return ended


def end_all(*, user: "User", reason: EndReason, origin: Origin) -> int:
    """End every session of a user in the caller's transaction or one of its own; return how many."""
    with transaction.atomic():
        ended = Session.objects.filter(user=user).end(reason)
        freshness.changed(user.pk)
        audit.record(
            EventType.SESSION_ALL_ENDED,
            origin=origin,
            subject=user.audit_key,
            metadata={"reason": reason.value, "sessions": ended},
        )
    return ended


def read_refresh_token(token: str) -> RefreshToken:
    """Return a token whose tag proves it ours, whatever its generation and the state of its session.

    Raises `InvalidToken`, `authsvc.crypto.KeyUnavailable`.
    """
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


def _answer_again(token: str, presented: RefreshToken, *, origin: Origin) -> Issued:
    """Decide about a token that did not rotate: read only, unless the session must end.

    It may be the current one still: a change of the password gives the calling session a new stamp.
    """
    session, now = _find(presented)
    _refuse_unless_live(session, now, origin=origin)
    key_id = bytes(session.refresh_key_id)
    if key_id not in crypto.known_key_ids():
        raise crypto.KeyUnavailable  # a node that lags behind in a roll-out of keys ends nothing
    if crypto.equal(crypto.sha256(token), bytes(session.refresh_hash)):
        return refresh(token=token, origin=origin)
    behind = session.refresh_generation - presented.generation
    if behind == 1 and now - session.refreshed_at <= GRACE:
        successor = presented.successor(bytes(session.refresh_salt), key_id).encode(key_id)
        if crypto.equal(crypto.sha256(successor), bytes(session.refresh_hash)):
            return _issued(session, successor, role=session.user.role)
    elif behind >= 1:
        _end_reused(session, generation=presented.generation, at=now, origin=origin)
    raise InvalidToken


def _make_room(user: "User", *, cap: int, origin: Origin) -> None:
    """End the oldest live sessions, so that one more is within the cap."""
    newest_first = Session.objects.live_of(user).order_by("-created_at", "-pk").values_list("pk", flat=True)
    for session_id in newest_first[cap - 1 :]:
        if Session.objects.filter(pk=session_id).end(EndReason.CAP):
            _record_end(EventType.SESSION_ENDED, Session(pk=session_id, user=user), EndReason.CAP, origin=origin)


def _end_reused(session: Session, *, generation: int, at: datetime, origin: Origin) -> None:
    event, reason = EventType.SESSION_REFRESH_REUSED, EndReason.REUSE
    with transaction.atomic():
        if Session.objects.filter(pk=session.pk).end(reason):
            _record_end(event, session, reason, origin=origin, generation=generation)
            device = devices.describe(user_agent=session.user_agent, device_name="")
            emails.session_reuse(session=session, browser=device.browser, system=device.os, at=at, ip=origin.ip)


def _record_end(event: EventType, session: Session, reason: EndReason, *, origin: Origin, **details: int) -> None:
    freshness.changed(session.user_id)
    if reason in {EndReason.LOGOUT, EndReason.CAP}:  # whoever holds a token of the session acts as its owner
        origin = replace(origin, actor_id=session.user.audit_key)
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
