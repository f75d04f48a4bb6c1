"""Everything held about a person, for that person. No hash, token, stamp or key of ours is in it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal, TypedDict
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from accounts import selectors
from accounts.models import ErasureRequest, User
from audit import selectors as audit_selectors
from audit import services as audit
from audit.events import EventType
from audit.models import Event
from audit.origin import Origin
from authsvc.mail.models import OutgoingMail
from authsvc.tokens.models import KnownDevice, OneTimeToken, Purpose, Session

ENTRIES_MAX = 10_000


class ExportedProfileObject(TypedDict):
    """The account itself."""

    id: UUID
    name: str
    email: Annotated[str, "email"]
    role: str
    locale: str
    isActive: bool
    hasPassword: bool
    mfaEnabled: bool
    verifiedAt: datetime | None
    createdAt: datetime
    updatedAt: datetime
    lastLoginAt: datetime | None


class ExportedErasureObject(TypedDict):
    """A deletion that waits."""

    requestedAt: datetime
    dueAt: datetime


class ExportedSessionObject(TypedDict):
    """A session, also one that is over."""

    id: UUID
    deviceName: str
    userAgent: str
    ip: str | None
    amr: list[str]
    createdAt: datetime
    lastActivity: datetime
    authenticatedAt: datetime
    refreshedAt: datetime
    endedAt: datetime | None
    endReason: str


class ExportedDeviceObject(TypedDict):
    """A known device."""

    id: UUID
    name: str
    userAgent: str
    trustedUntil: datetime | None
    createdAt: datetime
    lastSeenAt: datetime


class ExportedEventObject(TypedDict):
    """Something that happened to the account. Of what staff did, where they did it from is theirs and left out."""

    id: UUID
    action: str
    outcome: str
    by: Literal["you", "staff", "unknown"]
    resource: str
    ip: str | None
    userAgent: str
    requestId: str
    sessionId: UUID | None
    createdAt: datetime
    metadata: dict[str, str | int | bool | None]


class ExportedMailObject(TypedDict):
    """A mail to the person: what kind, and when. What it said is not kept."""

    id: UUID
    kind: str
    recipient: str
    language: str
    state: str
    createdAt: datetime
    sentAt: datetime | None


class ExportedLinkObject(TypedDict):
    """A mailed link that was not used yet."""

    purpose: str
    address: Annotated[str, "email"]
    createdAt: datetime


class ExportedTotalsObject(TypedDict):
    """How many entries there are of each list, those beyond the bound included."""

    sessions: int
    devices: int
    activity: int
    mails: int
    links: int


class ExportObject(TypedDict):
    """Everything held about a person. Lists are newest first, with 10,000 entries at most."""

    exportedAt: datetime
    profile: ExportedProfileObject
    erasure: ExportedErasureObject | None
    totals: ExportedTotalsObject
    sessions: list[ExportedSessionObject]
    devices: list[ExportedDeviceObject]
    activity: list[ExportedEventObject]
    mails: list[ExportedMailObject]
    links: list[ExportedLinkObject]


def take_out(user: User, *, origin: Origin) -> ExportObject:
    """Return `everything`, and tell the log that it was taken out."""
    found = everything(user)
    audit.record(EventType.ACCOUNT_EXPORTED, origin=origin, subject=user.audit_key)
    return found


def everything(user: User) -> ExportObject:
    """Return everything held about a person: of each list the newest `ENTRIES_MAX`."""
    devices = KnownDevice.objects.filter(user=user)
    return {
        "exportedAt": timezone.now(),
        "profile": _profile(user),
        "erasure": _erasure(user),
        "totals": totals(user),
        "sessions": [_session(session) for session in _newest(Session.objects.filter(user=user))],
        "devices": [_device(device) for device in _newest(devices)],
        "activity": [_event(event, user) for event in _newest(audit_selectors.events_of(user.audit_key))],
        "mails": [_mail(mail) for mail in _newest(_mails(user).defer("sealed", "rendered"))],
        "links": [_link(link) for link in _open_links(user)[:ENTRIES_MAX]],
    }


def totals(user: User) -> ExportedTotalsObject:
    """Return how many entries there are of each kind."""
    return {
        "sessions": Session.objects.filter(user=user).count(),
        "devices": KnownDevice.objects.filter(user=user).count(),
        "activity": audit_selectors.events_of(user.audit_key).count(),
        "mails": _mails(user).count(),
        "links": len(_open_links(user)),
    }


def _newest(rows: QuerySet[Any, Any]) -> Iterable[Any]:
    return rows.order_by("-created_at", "-pk")[:ENTRIES_MAX]


def _mails(user: User) -> QuerySet[OutgoingMail]:
    """Return the mails to a person, without those to addresses that were merely asked for.

    Whether one went out there would tell the person if the address is somebody's.
    """
    asked_for = OneTimeToken.objects.filter(user=user, purpose=Purpose.CONFIRM_EMAIL).exclude(address=user.email)
    return selectors.mails_to(user).exclude(pk__in=list(asked_for.values_list("mail", flat=True)))


def _open_links(user: User) -> list[OneTimeToken]:
    """Return the links that still work, without those to addresses that were merely asked for, as `_mails` does."""
    now = timezone.now()
    unused = OneTimeToken.objects.filter(user=user, consumed_at__isnull=True).exclude(purpose=Purpose.CONFIRM_EMAIL)
    newest_first = unused.select_related("mail").order_by("-created_at", "-pk").defer("mail__sealed", "mail__rendered")
    return [link for link in newest_first if link.stamp in {None, user.stamp} and link.is_alive(now)]


def _profile(user: User) -> ExportedProfileObject:
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "locale": user.locale,
        "isActive": user.is_active,
        "hasPassword": user.has_usable_password(),
        "mfaEnabled": user.mfa_enabled,
        "verifiedAt": user.verified_at,
        "createdAt": user.created_at,
        "updatedAt": user.updated_at,
        "lastLoginAt": user.last_login,
    }


def _erasure(user: User) -> ExportedErasureObject | None:
    request = ErasureRequest.objects.filter(user=user).first()
    return None if request is None else {"requestedAt": request.requested_at, "dueAt": request.due_at}


def _session(session: Session) -> ExportedSessionObject:
    return {
        "id": session.id,
        "deviceName": session.device_name,
        "userAgent": session.user_agent,
        "ip": session.ip,
        "amr": session.amr,
        "createdAt": session.created_at,
        "lastActivity": session.last_activity_at,
        "authenticatedAt": session.authenticated_at,
        "refreshedAt": session.refreshed_at,
        "endedAt": session.ended_at,
        "endReason": session.end_reason,
    }


def _device(device: KnownDevice) -> ExportedDeviceObject:
    return {
        "id": device.id,
        "name": device.name,
        "userAgent": device.user_agent,
        "trustedUntil": device.trusted_until,
        "createdAt": device.created_at,
        "lastSeenAt": device.last_seen_at,
    }


def _event(event: Event, user: User) -> ExportedEventObject:
    by_staff = event.actor not in {None, user.audit_key}
    return {
        "id": event.id,
        "action": event.action,
        "outcome": event.outcome,
        "by": "staff" if by_staff else "unknown" if event.actor is None else "you",
        "resource": event.resource,
        "ip": None if by_staff else event.ip,
        "userAgent": "" if by_staff else event.user_agent,
        "requestId": event.request_id,
        "sessionId": event.session_id,
        "createdAt": event.created_at,
        "metadata": event.metadata,
    }


def _mail(mail: OutgoingMail) -> ExportedMailObject:
    return {
        "id": mail.id,
        "kind": mail.template.rpartition("/")[2],
        "recipient": mail.recipient,
        "language": mail.language,
        "state": mail.state,
        "createdAt": mail.created_at,
        "sentAt": mail.sent_at,
    }


def _link(link: OneTimeToken) -> ExportedLinkObject:
    return {"purpose": link.purpose, "address": link.address, "createdAt": link.created_at}
