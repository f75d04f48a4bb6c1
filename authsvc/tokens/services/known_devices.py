"""Known devices: where their owner signed in before, by a token that the client keeps.

A token is the id of its row and a secret of 256 bits; to clients it is opaque. So one update by
primary key tells whether it is good and notes that the device was seen.
"""

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from audit import services as audit
from audit.events import EventType
from audit.insertion import insert
from audit.origin import Origin
from authsvc import crypto
from authsvc.errors import DomainError, ErrorCode, Kind
from authsvc.tokens.models import KnownDevice, Purpose
from authsvc.tokens.services import one_time

if TYPE_CHECKING:
    from accounts.models import User

DEVICES_PER_USER = 100
_ID_BYTES = 16
_SECRET_BYTES = 32


class NoSuchDevice(DomainError):
    """The person has no known device of this id. Whether somebody else has is not told."""

    code = ErrorCode.NOT_FOUND
    kind = Kind.MISSING
    message = _("There is nothing here.")


@dataclass(frozen=True, slots=True)
class Presented:
    """What a client says of its device at a sign-in. The token never shows in a representation."""

    name: str = ""
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Admitted:
    """The known device of a sign-in, and its token if it is new: that exists nowhere else."""

    device_id: UUID
    new_token: str | None = field(repr=False)


def admit(*, user: "User", presented: Presented, origin: Origin) -> Admitted:
    """Note that a known device was seen, or make one known, in the caller's transaction, which holds the user's row.

    A token that is wrong, voided, or of somebody else's device counts as none. The devices of a
    user beyond `DEVICES_PER_USER` go, those seen longest ago first.
    """
    now = timezone.now()
    known = _seen(user, presented)
    if known is not None:
        return Admitted(known, None)
    newest_first = KnownDevice.objects.filter(user=user).order_by("-last_seen_at", "-pk")
    KnownDevice.objects.filter(pk__in=newest_first.values("pk")[DEVICES_PER_USER - 1 :]).delete()
    device = KnownDevice(user=user, name=presented.name, user_agent=origin.user_agent, created_at=now, last_seen_at=now)
    token = crypto.b64encode(device.id.bytes + secrets.token_bytes(_SECRET_BYTES))
    device.digest = crypto.sha256(token)
    insert(device)
    return Admitted(device.id, token)


def of_user(user: "User") -> QuerySet[KnownDevice]:
    """Return the known devices of a user, the one seen last first."""
    return KnownDevice.objects.known().filter(user=user).order_by("-last_seen_at", "-pk")


def remove(*, user: "User", device_id: UUID, origin: Origin) -> None:
    """Make a device unknown again; sessions that it has go on. Raises `NoSuchDevice`."""
    with transaction.atomic():
        removed, _by_model = KnownDevice.objects.filter(user=user, pk=device_id).delete()
        if removed:
            audit.record(
                EventType.DEVICE_REMOVED, origin=origin, subject=user.audit_key, resource=f"device:{device_id}"
            )
    if not removed:
        raise NoSuchDevice


def void(user: "User", keep: UUID | None = None) -> int:
    """Make every device of a user unknown, in the caller's transaction; return how many.

    The device `keep` stays known and loses its trust. Where none is kept, the links go too that say
    "this was not me" of a sign-in: nothing is left that they could take back.
    """
    devices = KnownDevice.objects.filter(user=user)
    if keep is None:
        one_time.void(user, Purpose.NOT_ME)
    else:
        devices.filter(pk=keep).update(trusted_until=None)
        devices = devices.exclude(pk=keep)
    return devices.delete()[0]


def _seen(user: "User", presented: Presented) -> UUID | None:
    """Note that a device was seen, under the name it gives itself now; return its id if its token is good."""
    if presented.token is None:
        return None
    try:
        device_id = UUID(bytes=crypto.b64decode(presented.token)[:_ID_BYTES])
    except ValueError:
        return None
    digest = crypto.sha256(presented.token)
    return (
        device_id if KnownDevice.objects.note_seen(device_id, user=user, digest=digest, name=presented.name) else None
    )
