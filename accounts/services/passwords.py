"""Setting another password: by a mailed link, or by the one that counts now."""

from datetime import timedelta
from enum import StrEnum
from uuid import uuid4

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import emails, selectors
from accounts.models import User
from accounts.services import links
from accounts.services.links import InvalidLink
from accounts.services.password_rules import check_new_password
from audit import services as audit
from audit.events import EventType, Outcome
from audit.origin import Origin
from authsvc import hashing
from authsvc.errors import DomainError, ErrorCode
from authsvc.idempotency.reservation import Keep, keep_nothing
from authsvc.tokens.models import EndReason, OneTimeToken, Purpose, Session
from authsvc.tokens.services import known_devices, sessions
from authsvc.tokens.services.access import InvalidToken

RESET_LIFE = timedelta(hours=emails.RESET_HOURS)


class CurrentPasswordIncorrect(DomainError):
    """Not the password that the account has."""

    code = ErrorCode.PASSWORD_INCORRECT
    message = _("The current password is wrong.")
    field = "currentPassword"


class Refusal(StrEnum):
    """Why a password was not changed: for the audit log."""

    PASSWORD = "password"  # noqa: S105 - a reason, not a secret
    CHANGED = "changed"


def request_reset(*, email: str, origin: Origin, keep: Keep[None] = keep_nothing) -> None:
    """Mail a link that sets a new password to an active account, verified or not; whoever asks learns nothing.

    Only the newest link works.
    """
    user = selectors.user_by_email(email)
    with transaction.atomic():
        links.mail(
            user if user is not None and user.is_active else None,
            purpose=Purpose.RESET_PASSWORD,
            lifetime=RESET_LIFE,
            letter=emails.reset_password,
            origin=origin,
            newest_only=True,
        )
        audit.record(
            EventType.ACCOUNT_PASSWORD_RESET_REQUESTED, origin=origin, subject=user.audit_key if user else None
        )
        keep(None)


def peek_reset(*, token: str) -> User:
    """Return whose password a link would set, changing nothing. Raises `InvalidLink`."""
    return _find(token).user


def reset_password(*, token: str, new_password: str, origin: Origin) -> None:
    """Set a new password by a mailed link and end every session of its owner; nobody is signed in.

    The link proves the address, so an unverified account is verified, and whatever password was
    registered counts no more. Raises `InvalidLink`, `authsvc.errors.Unavailable`, and `WeakPassword`,
    which leaves the link usable.
    """
    link = _find(token)
    check_new_password(new_password, name=link.user.name, email=link.user.email, field="newPassword")
    _reset(link, password_hash=hashing.make(new_password), origin=origin)


def change_password(*, user: User, session: Session, current_password: str, new_password: str, origin: Origin) -> None:
    """Set a new password and end every session but the calling one, whose tokens go on.

    Raises `CurrentPasswordIncorrect`, `WeakPassword`, `authsvc.errors.Unavailable`, and `InvalidToken`
    where the calling session ended meanwhile.
    """
    if not hashing.verify(current_password, user.password):
        _record_failure(user, session, Refusal.PASSWORD, origin=origin)
        raise CurrentPasswordIncorrect
    check_new_password(new_password, name=user.name, email=user.email, field="newPassword")
    password_hash = hashing.make(new_password)
    try:
        _change(user, session, password_hash=password_hash, origin=origin)
    except (CurrentPasswordIncorrect, InvalidToken):
        _record_failure(user, session, Refusal.CHANGED, origin=origin)
        raise


def void_password(user: User) -> None:
    """Make the password useless until a reset sets one, in the caller's transaction, which holds the user's row.

    Sessions and links are the caller's to end.
    """
    user.set_unusable_password()
    user.save(update_fields=["password", "updated_at"])


def _find(token: str) -> OneTimeToken:
    link = links.find_unused(token, purpose=Purpose.RESET_PASSWORD)
    if not link.user.is_active or selectors.is_lapsed(link.user, timezone.now()):
        raise InvalidLink
    return link


@transaction.atomic
def _reset(link: OneTimeToken, *, password_hash: str, origin: Origin) -> None:
    """Store the new password, unless the link was used or voided since it was read."""
    user = selectors.lock_user(link.user_id)
    if user is None or not user.is_active or (user.stamp, user.email) != (link.stamp, link.address):
        raise InvalidLink
    links.consume(link)
    now = timezone.now()
    user.password, user.stamp, user.verified_at = password_hash, uuid4(), user.verified_at or now
    user.save(update_fields=["password", "stamp", "verified_at", "updated_at"])
    known_devices.void(user)
    sessions.end_all(user=user, reason=EndReason.PASSWORD, origin=origin)
    audit.record(EventType.ACCOUNT_PASSWORD_RESET, origin=origin, subject=user.audit_key)
    emails.password_changed(user=user, at=now, origin=origin)


@transaction.atomic
def _change(user: User, session: Session, *, password_hash: str, origin: Origin) -> None:
    """Store the new password, unless the one that was proved counts no more or the session is over."""
    holder = selectors.lock_user(user.pk)
    if holder is None:
        raise InvalidToken
    if holder.stamp != user.stamp:
        # The session lives on only if it was the one that set another password meanwhile.
        lives = Session.objects.live_of(holder).filter(pk=session.pk).exists()
        raise CurrentPasswordIncorrect if lives else InvalidToken
    holder.password, holder.stamp = password_hash, uuid4()
    holder.save(update_fields=["password", "stamp", "updated_at"])
    if not Session.objects.restamp(session, holder.stamp):
        raise InvalidToken
    known_devices.void(holder, keep=session.known_device_id)
    sessions.end_others(session=session, reason=EndReason.PASSWORD, origin=origin)
    audit.record(EventType.ACCOUNT_PASSWORD_CHANGED, origin=origin, subject=holder.audit_key, session_id=session.pk)
    emails.password_changed(user=holder, at=timezone.now(), origin=origin)


def _record_failure(user: User, session: Session, reason: Refusal, *, origin: Origin) -> None:
    audit.record(
        EventType.ACCOUNT_PASSWORD_CHANGE_FAILED,
        origin=origin,
        subject=user.audit_key,
        outcome=Outcome.FAILURE,
        session_id=session.pk,
        metadata={"reason": reason.value},
    )
