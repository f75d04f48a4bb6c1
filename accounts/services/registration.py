"""From a stranger to a verified account.

The answer never tells whether an address is taken: each branch costs one password hash and gives
the same shape, and what really happened goes to the owner of the address by mail.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import emails, selectors
from accounts.models import User
from accounts.services import lifecycle, links
from accounts.services.links import InvalidLink
from accounts.services.password_rules import check_new_password
from audit import services as audit
from audit.events import EventType, Outcome
from audit.origin import Origin
from authsvc import hashing
from authsvc.errors import DomainError, ErrorCode, Kind, Unavailable
from authsvc.idempotency.reservation import Keep, keep_nothing
from authsvc.mail import queue
from authsvc.tokens.models import OneTimeToken, Purpose
from authsvc.tokens.services import one_time

VERIFICATION_LIFE = timedelta(hours=24)
_TOLD_EVERY = 100


class EmailTaken(DomainError):
    """Somebody has this address already; said only where neutral answers are switched off."""

    code = ErrorCode.EMAIL_TAKEN
    kind = Kind.CONFLICT
    message = _("This address is already registered.")
    field = "email"


class _AddressHeld(Exception):
    """The address may still come back to somebody who had it, by id."""

    def __init__(self, holder: UUID) -> None:
        super().__init__()
        self.holder = holder


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


def register(
    *, name: str, email: str, password: str, locale: str, origin: Origin, keep: Keep[User] = keep_nothing
) -> User:
    """Create an account, or tell the owner of the address by mail that somebody tried to.

    Returns what to show, and gives it to `keep` within the transaction: the new account, or for a
    taken address one of the same shape that is stored nowhere. Raises `WeakPassword`, `EmailTaken`,
    `authsvc.errors.Unavailable`.
    """
    check_new_password(password, name=name, email=email)
    owner = owner_of(email, origin=origin)
    if owner is None:
        password_hash = hashing.make(password)
        try:
            return _create(name=name, email=email, password_hash=password_hash, locale=locale, origin=origin, keep=keep)
        except IntegrityError:
            owner = User.objects.filter(email=email).first()
        except _AddressHeld as held:
            shown = User(name=name, email=email, locale=locale)
            _refuse_held(email, holder=held.holder, locale=locale, origin=origin, keep=partial(keep, shown))
            return shown
    if owner is None:
        raise Unavailable
    shown = User(name=name, email=email, locale=locale)
    same_password = hashing.verify(password, owner.password)
    _repeat(owner, same_password=same_password, origin=origin, keep=partial(keep, shown))
    return shown


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


def owner_of(email: str, *, origin: Origin) -> User | None:
    """Return whose an address is; an account that counts as absent is deleted now."""
    owner = selectors.holder_of(email)
    if owner is not None and selectors.is_lapsed(owner, timezone.now()):
        _drop_absent(owner, origin=origin)
        return None
    return owner


def give_way(email: str, *, origin: Origin) -> None:
    """Delete the unverified account of an address, in the transaction of somebody who has proved the address."""
    user = User.objects.select_for_update().filter(email=email, verified_at__isnull=True).first()
    if user is not None:
        audit.record(EventType.ACCOUNT_REGISTRATION_DROPPED, origin=origin, subject=user.audit_key)
        user.delete()


def purge_unverified(*, origin: Origin, tell: Callable[[int], None] | None = None) -> int:
    """Delete the accounts that were never verified in time; return how many. `tell` hears of every hundred."""
    dropped = 0
    for user in selectors.lapsed_users().iterator(chunk_size=500):
        dropped += _drop_lapsed(user, origin=origin)
        if tell is not None and dropped % _TOLD_EVERY == 0:
            tell(dropped)
    return dropped


def _find(token: str) -> OneTimeToken:
    link = links.find(token, purpose=Purpose.VERIFY_EMAIL)
    if not link.user.is_active or selectors.is_lapsed(link.user, timezone.now()):
        raise InvalidLink
    return link


def _create(*, name: str, email: str, password_hash: str, locale: str, origin: Origin, keep: Keep[User]) -> User:
    with transaction.atomic():
        user = User.objects.create_user(email=email, name=name, password_hash=password_hash, locale=locale)
        holder = selectors.who_may_undo(email, against=user)
        if holder is not None:
            raise _AddressHeld(holder)
        links.mail_first(user, purpose=Purpose.VERIFY_EMAIL, lifetime=VERIFICATION_LIFE, letter=emails.verification)
        audit.record(EventType.ACCOUNT_REGISTRATION_CREATED, origin=origin, subject=user.audit_key)
        keep(user)
    return user


def _repeat(owner: User, *, same_password: bool, origin: Origin, keep: Callable[[], None]) -> None:
    """Mail the link again, or refuse an address that is taken for good: one lock for both, so that they cost the same.

    With another password than the first, none of them counts any more.
    """
    event = EventType.ACCOUNT_REGISTRATION_REPEATED if same_password else EventType.ACCOUNT_REGISTRATION_CONTESTED
    with transaction.atomic():
        user = selectors.lock_user(owner.pk)
        if user is None:
            raise Unavailable  # dropped in this moment: the same call once more registers anew
        waits = not user.is_verified and user.is_active
        if waits:
            if not same_password and user.has_usable_password():
                user.set_unusable_password()
                user.save(update_fields=["password", "updated_at"])
            mail_verification(user, origin=origin)
            audit.record(event, origin=origin, subject=user.audit_key)
            keep()
        else:
            _refuse_taken(user, subject=user.audit_key, origin=origin, keep=keep)
    if not waits:
        _say_that_it_is_taken()


def _refuse_held(email: str, *, holder: UUID, locale: str, origin: Origin, keep: Callable[[], None]) -> None:
    """Refuse an address that may still come back to whoever had it: nameless, the mailbox may have changed hands."""
    nameless = User(email=email, name="", locale=locale, verified_at=timezone.now())
    with transaction.atomic():
        selectors.lock_user(holder)
        _refuse_taken(nameless, subject=None, origin=origin, keep=keep)
    _say_that_it_is_taken()


def _refuse_taken(owner: User, *, subject: UUID | None, origin: Origin, keep: Callable[[], None]) -> None:
    """Tell the owner of an address that somebody tried to register it, in a transaction that has locked them."""
    if settings.REGISTRATION_NEUTRAL and owner.is_verified:  # nobody else has shown that the mailbox is theirs
        _tell_owner(owner)
    else:
        mail_verification(None, origin=origin)
    audit.record(EventType.ACCOUNT_REGISTRATION_REFUSED, origin=origin, subject=subject, outcome=Outcome.REFUSED)
    if settings.REGISTRATION_NEUTRAL:
        keep()


def _tell_owner(owner: User) -> None:
    with transaction.atomic():  # within `LIMIT_MAIL`: anybody can try
        mail = emails.already_registered(user=owner)
        transaction.set_rollback(not queue.within_limit(mail))


def _say_that_it_is_taken() -> None:
    if not settings.REGISTRATION_NEUTRAL:
        raise EmailTaken


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


def _drop_absent(owner: User, *, origin: Origin) -> None:
    if owner.is_verified:  # its erasure is due; of whoever registers now nothing goes into the log of somebody else
        lifecycle.erase_if_due(owner, origin=Origin.system("register"))
    else:
        _drop_lapsed(owner, origin=origin)


def _drop_lapsed(user: User, *, origin: Origin) -> bool:
    with transaction.atomic():
        lapsed = User.objects.select_for_update().filter(pk=user.pk, verified_at__isnull=True).first()
        if lapsed is None:
            return False
        audit.record(EventType.ACCOUNT_REGISTRATION_EXPIRED, origin=origin, subject=lapsed.audit_key)
        lapsed.delete()
    return True
