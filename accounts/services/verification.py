"""Proving the address of a new account: its mailed link, the proof, and the word of an owner who did not register."""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import emails, selectors
from accounts.models import User
from accounts.services import links
from accounts.services.links import InvalidLink
from accounts.services.password_rules import check_new_password
from audit import services as audit
from audit.events import EventType
from audit.origin import Origin
from authsvc import crypto, hashing
from authsvc.errors import DomainError, ErrorCode
from authsvc.mail.models import OutgoingMail
from authsvc.tokens.models import OneTimeToken, Purpose
from authsvc.tokens.services import one_time

VERIFICATION_LIFE = timedelta(hours=24)


class PasswordRequired(DomainError):
    """Two people gave this address a password: neither counts, the owner of the mailbox sets one."""

    code = ErrorCode.REQUIRED
    message = _("This address was registered more than once. Choose the password that is to count.")
    field = "password"


class PasswordNotAsked(DomainError):
    """A password was sent for a registration that has one."""

    code = ErrorCode.UNKNOWN_FIELD
    message = _("This registration already has its password.")
    field = "password"


def resend_verification(*, email: str, origin: Origin) -> None:
    """Mail a new link to an account that still waits for one; whoever asks learns nothing."""
    user = selectors.user_by_email(email)
    waits = user is not None and user.is_active and not user.is_verified
    with transaction.atomic():
        mail_verification(user if waits else None, origin=origin)
        audit.record(
            EventType.ACCOUNT_EMAIL_VERIFICATION_REQUESTED, origin=origin, subject=user.audit_key if user else None
        )


def mail_verification(user: User | None, *, origin: Origin) -> bool:
    """Mail the link that verifies an account, as `links.mail` does; earlier ones stay good."""
    return links.mail(
        user,
        purpose=Purpose.VERIFY_EMAIL,
        lifetime=VERIFICATION_LIFE,
        letter=emails.verification,
        origin=origin,
        newest_only=False,
    )


def mail_first(user: User) -> OutgoingMail:
    """Mail the first link of an account that the caller's transaction inserts; return it, for `LIMIT_MAIL` to be asked.

    Nobody else sees the account yet, and its owner has signed in from nowhere: there is nothing to lock, to
    void or to look up.
    """
    token = crypto.new_token()
    mail = emails.verification(user=user, token=token)
    one_time.register(token=token, purpose=Purpose.VERIFY_EMAIL, user=user, mail=mail, lifetime=VERIFICATION_LIFE)
    return mail


def mail_verification_again(*, user_id: UUID, origin: Origin) -> None:
    """Mail the link once more to an account that still waits for it."""
    with transaction.atomic():
        user = selectors.lock_user(user_id)
        if user is not None and user.is_active and not user.is_verified:
            mail_verification(user, origin=origin)


def peek_verification(*, token: str) -> User:
    """Return whom a link would verify, changing nothing. Raises `InvalidLink`."""
    return _find(token).user


def verify_email(*, token: str, password: str | None, origin: Origin) -> User:
    """Set an account to verified by its mailed link.

    Within the link's 24 hours a second use answers the same and changes nothing: mail scanners
    open links too. Raises `InvalidLink`, `PasswordRequired`, `PasswordNotAsked`, `WeakPassword`;
    none of them uses the link up.
    """
    link = _find(token)
    if link.user.is_verified:
        return link.user
    new_hash = _password_of_the_owner(link.user, password)
    if _verify(link, new_hash=new_hash, origin=origin):
        return User.objects.get(pk=link.user_id)
    return _after_a_race(token)


def drop_registration(*, token: str, origin: Origin) -> None:
    """Delete an unverified account whose address belongs to somebody who did not register.

    Raises `InvalidLink`, also where the account was verified meanwhile.
    """
    link = _find(token)
    with transaction.atomic():
        user = User.objects.select_for_update().filter(pk=link.user_id, verified_at__isnull=True).first()
        if user is None:
            raise InvalidLink
        audit.record(EventType.ACCOUNT_REGISTRATION_DROPPED, origin=origin, subject=user.audit_key)
        user.delete()


def _find(token: str) -> OneTimeToken:
    link = links.find(token, purpose=Purpose.VERIFY_EMAIL)
    if not link.user.is_active or selectors.is_lapsed(link.user, timezone.now()):
        raise InvalidLink
    return link


def _password_of_the_owner(user: User, password: str | None) -> str | None:
    """Return the hash of the password that the owner of a contested address sets, `None` for any other."""
    if user.has_usable_password():
        if password is not None:
            raise PasswordNotAsked
        return None
    if password is None:
        raise PasswordRequired
    check_new_password(password, name=user.name, email=user.email)
    return hashing.make(password)


def _verify(link: OneTimeToken, *, new_hash: str | None, origin: Origin) -> bool:
    """Verify by one conditional update; false where the account changed since it was read."""
    user = link.user
    changes = {"verified_at": timezone.now(), "updated_at": timezone.now(), "password": new_hash or user.password}
    with transaction.atomic():
        verified = User.objects.filter(
            pk=user.pk,
            verified_at__isnull=True,
            is_active=True,
            email=link.address,
            stamp=user.stamp,
            password=user.password,
        ).update(**changes)
        if verified:
            one_time.consume(link)
            audit.record(EventType.ACCOUNT_EMAIL_VERIFIED, origin=origin, subject=user.audit_key)
    return bool(verified)


def _after_a_race(token: str) -> User:
    """Answer by what another request made of the account meanwhile."""
    user = _find(token).user
    if user.is_verified:
        return user
    raise PasswordRequired
