"""The one gate through which every session starts."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from functools import partial

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts import selectors
from accounts.models import User
from accounts.services import not_me, verification
from audit import services as audit
from audit.events import EventType, Outcome
from audit.insertion import together
from audit.origin import Origin
from authsvc import afterwards, hashing
from authsvc.errors import DomainError, ErrorCode, Kind
from authsvc.tokens import freshness
from authsvc.tokens.services import sessions
from authsvc.tokens.services.known_devices import Presented
from authsvc.tokens.services.sessions import Issued


class InvalidCredentials(DomainError):
    """One answer for a wrong password and an unknown, inactive or unverified account."""

    code = ErrorCode.INVALID_CREDENTIALS
    kind = Kind.UNAUTHENTICATED
    message = _(
        "Address or password is wrong, or the address is not verified yet; in that case a new link is on its way."
    )


class EmailNotVerified(DomainError):
    """The password is right, the address is not proved; said only where neutral answers are switched off."""

    code = ErrorCode.EMAIL_NOT_VERIFIED
    kind = Kind.FORBIDDEN
    message = _("Verify your address first. A new link is on its way.")


class Refusal(StrEnum):
    """Why a sign-in failed: for the audit log, never for the client."""

    UNKNOWN = "unknown"
    PASSWORD = "password"  # noqa: S105 - a reason, not a secret
    INACTIVE = "inactive"
    UNVERIFIED = "unverified"
    CHANGED = "changed"


def sign_in(*, email: str, password: str, device: Presented, origin: Origin) -> Issued:
    """Start a session by password, on a device that may be known.

    Every refusal costs one password hash and one audit event. Raises `InvalidCredentials`,
    `EmailNotVerified`, `authsvc.errors.Unavailable`.
    """
    user = selectors.user_by_email(email)
    fits = hashing.verify(password, user.password if user else None)
    if user is None:
        raise _refused(None, Refusal.UNKNOWN, origin=origin)
    if not fits:
        raise _refused(user, Refusal.PASSWORD, origin=origin)
    new_hash = hashing.make(password) if hashing.needs_upgrade(user.password) else user.password
    return grant(user, amr=["pwd"], device=device, origin=origin, password_hash=new_hash)


def grant(user: User, *, amr: Sequence[str], device: Presented, origin: Origin, password_hash: str) -> Issued:
    """Start a session for somebody whose proof was accepted, if the account may have one.

    The account is checked by the update that notes the sign-in, so that a deactivation or a new
    password of the same moment is never overtaken. Raises as `sign_in`.
    """
    if not user.is_active:
        raise _refused(user, Refusal.INACTIVE, origin=origin)
    if not user.is_verified:
        raise _refused(user, Refusal.UNVERIFIED, origin=origin)
    sessions.check_signing()
    with transaction.atomic():
        admitted = User.objects.note_sign_in(user, password_hash=password_hash)
        if admitted:
            freshness.changed(user.pk)
            with together():
                started = sessions.start(user=user, amr=amr, device=device, origin=origin)
                audit.record(
                    EventType.ACCOUNT_SIGNIN_SUCCEEDED,
                    origin=replace(origin, actor_id=user.audit_key),
                    subject=user.audit_key,
                    session_id=started.session.id,
                    metadata={"amr": ",".join(amr)},
                )
            if started.device_token is not None:
                not_me.mail_new_device(user=user, device_name=device.name, at=started.session.created_at, origin=origin)
    if not admitted:
        raise _refused(user, Refusal.CHANGED, origin=origin)
    return sessions.issue(started, role=user.role)


def _refused(user: User | None, reason: Refusal, *, origin: Origin) -> DomainError:
    """Record a refusal, and have the link mailed that an unverified account waits for; return what to raise."""
    audit.record(
        EventType.ACCOUNT_SIGNIN_FAILED,
        origin=origin,
        subject=user.audit_key if user else None,
        outcome=Outcome.FAILURE,
        metadata={"reason": reason.value},
    )
    if user is None or reason is not Refusal.UNVERIFIED:
        return InvalidCredentials()
    # Afterwards, or the time of this refusal would tell it from the others.
    afterwards.begin(partial(verification.mail_verification_again, user_id=user.pk, origin=origin))
    return InvalidCredentials() if settings.REGISTRATION_NEUTRAL else EmailNotVerified()
