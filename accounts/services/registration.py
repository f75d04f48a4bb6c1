"""From a stranger to an account.

The answer never tells whether an address is taken: each branch costs one password hash and gives
the same shape, and what really happened goes to the owner of the address by mail.
"""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import emails, selectors
from accounts.models import User
from accounts.services import lifecycle, verification
from accounts.services.password_rules import check_new_password
from audit import services as audit
from audit.events import EventType, Outcome
from audit.insertion import together
from audit.origin import Origin
from authsvc import hashing
from authsvc.errors import DomainError, ErrorCode, Kind, Unavailable
from authsvc.idempotency.reservation import Keep, keep_nothing
from authsvc.mail import queue

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


def _create(*, name: str, email: str, password_hash: str, locale: str, origin: Origin, keep: Keep[User]) -> User:
    with transaction.atomic():
        with together():
            user = User.objects.create_user(email=email, name=name, password_hash=password_hash, locale=locale)
            mail = verification.mail_first(user)
            audit.record(EventType.ACCOUNT_REGISTRATION_CREATED, origin=origin, subject=user.audit_key)
        holder = selectors.who_may_undo(email, against=user)
        if holder is not None:
            raise _AddressHeld(holder)
        if not queue.within_limit(mail):  # the address may have had mails of an account that is gone
            mail.delete()
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
                User.objects.void_password(user)
            verification.mail_verification(user, origin=origin)
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
        verification.mail_verification(None, origin=origin)
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
