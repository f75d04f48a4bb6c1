"""Another address for an account: asked for, confirmed from the new mailbox, undone from the old one.

Two links are all that is kept of a change. The confirmation proves the address it went to and dies
with every other credential of the account. The undo outlives them all: whoever took an account over
could change whatever would void it. While it lives, the address it went to is held for its owner.
"""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import emails, selectors
from accounts.models import ErasureRequest, User
from accounts.services import links, passwords, registration
from accounts.services.links import InvalidLink
from audit import services as audit
from audit.events import EventType, Outcome
from audit.origin import Origin
from authsvc import crypto
from authsvc.idempotency.reservation import Keep, keep_nothing
from authsvc.mail import queue
from authsvc.tokens.models import EndReason, OneTimeToken, Purpose, Session
from authsvc.tokens.services import known_devices, one_time, sessions
from authsvc.tokens.services.access import InvalidToken

CONFIRMATION_LIFE = timedelta(hours=emails.CONFIRMATION_HOURS)
UNDO_LIFE = timedelta(hours=emails.UNDO_HOURS)


def request(*, user: User, session: Session, new_email: str, origin: Origin, keep: Keep[None] = keep_nothing) -> None:
    """Mail a link to the new address, and a notice with the undo to the present one; change nothing yet.

    `new_email` is canonical. Whether it is taken shows neither in what the caller gets nor in the
    time it takes. A request takes back every pending change to another address; for the present
    address it does nothing else. Raises `InvalidToken` where the calling session is over by now.
    """
    found = registration.owner_of(new_email, origin=origin)
    with transaction.atomic():
        holder = selectors.lock_user(user.pk)
        if holder is None or not Session.objects.live_of(holder).filter(pk=session.pk).exists():
            raise InvalidToken
        # Also where no link will go out: the caller could try theirs, and learn from it whether this address is taken.
        one_time.void(holder, Purpose.CONFIRM_EMAIL, but_to=new_email)
        audit.record(
            EventType.ACCOUNT_EMAIL_CHANGE_REQUESTED, origin=origin, subject=holder.audit_key, session_id=session.pk
        )
        if new_email != holder.email:
            owner = found if found is not None and found.is_verified else None
            held = selectors.address_is_held(new_email, against=holder)
            _mail_confirmation(holder, new_email, is_free=owner is None and not held)
            _tell_owner(owner, new_email, asked_by=holder, is_taken=owner is not None or held, origin=origin)
            _mail_notice(holder, new_email)
        keep(None)


def peek_confirmation(*, token: str) -> tuple[User, str]:
    """Return whose address a link would change, and to which; change nothing. Raises `InvalidLink`."""
    link = _find(token, Purpose.CONFIRM_EMAIL)
    return link.user, link.address


def confirm(*, token: str, origin: Origin) -> User:
    """Make the address that a link was mailed to the account's, and end every session and every other link.

    An account that was registered with the address and never verified is deleted. Raises
    `InvalidLink`, also where somebody else has the address by now.
    """
    link = _find(token, Purpose.CONFIRM_EMAIL)
    try:
        return _change(link, origin=origin)
    except (IntegrityError, _AddressHeld) as taken:
        audit.record(
            EventType.ACCOUNT_EMAIL_CHANGE_REFUSED,
            origin=origin,
            subject=link.user.audit_key,
            outcome=Outcome.REFUSED,
        )
        raise InvalidLink from taken


def peek_undo(*, token: str) -> tuple[User, str]:
    """Return whose account a link would secure, and the address that it would have then; change nothing.

    Raises `InvalidLink`.
    """
    link = _find(token, Purpose.UNDO_EMAIL)
    return link.user, link.address


def undo(*, token: str, origin: Origin) -> User:
    """Give an account back the address that the link was mailed to, and shut everybody out.

    Every session, every known device, every link and every undo that was made later ends; the
    password counts no more until it is reset; a deletion that was asked for since is lifted, but
    not what staff switched off. Works once, also before the change was confirmed. Raises `InvalidLink`.
    """
    link = _find(token, Purpose.UNDO_EMAIL)
    try:
        return _restore(link, origin=origin)
    except IntegrityError as taken:  # the link's time ended in this very moment
        raise InvalidLink from taken


class _AddressHeld(Exception):
    """The address may still come back to somebody who had it."""


def _find(token: str, purpose: Purpose) -> OneTimeToken:
    """Return the row of an unused link, whatever address its account has. Raises `InvalidLink`."""
    link = one_time.find(token, purpose=purpose)
    if link is None or link.consumed_at is not None or selectors.is_erasure_due(link.user, timezone.now()):
        raise InvalidLink
    return link


def _mail_confirmation(user: User, new_email: str, *, is_free: bool) -> None:
    """Mail the link, and void an earlier one to the same address.

    Where the address is not free, or has had its share of such mails, the same work is taken back.
    """
    token = crypto.new_token()
    with transaction.atomic():
        one_time.void(user, Purpose.CONFIRM_EMAIL)
        mail = emails.confirm_email(user=user, new_email=new_email, token=token)
        within_limit = queue.within_limit(mail)
        one_time.register(token=token, purpose=Purpose.CONFIRM_EMAIL, user=user, mail=mail, lifetime=CONFIRMATION_LIFE)
        transaction.set_rollback(not (is_free and within_limit))


def _tell_owner(owner: User | None, address: str, *, asked_by: User, is_taken: bool, origin: Origin) -> None:
    """Tell the owner of a taken address that somebody wanted it; where it is free, the same work is taken back.

    A held address has no owner now, so that mail names nobody. The entry in the log names nobody
    who asked: people read their own.
    """
    reader = owner or User(email=address, name="", locale=asked_by.locale)
    with transaction.atomic():
        audit.record(
            EventType.ACCOUNT_EMAIL_CHANGE_REFUSED,
            origin=replace(origin, actor_id=None),
            subject=owner.audit_key if owner else None,
            outcome=Outcome.REFUSED,
        )
        with transaction.atomic():
            mail = emails.already_registered(user=reader)
            transaction.set_rollback(not queue.within_limit(mail))
        transaction.set_rollback(not is_taken)


def _mail_notice(user: User, new_email: str) -> None:
    """Mail the undo. No limit withholds it."""
    token = crypto.new_token()
    mail = emails.email_change_notice(user=user, new_email=new_email, token=token)
    one_time.register(
        token=token, purpose=Purpose.UNDO_EMAIL, user=user, mail=mail, lifetime=UNDO_LIFE, outlives_changes=True
    )


@transaction.atomic
def _change(link: OneTimeToken, *, origin: Origin) -> User:
    user = selectors.lock_user(link.user_id)
    if user is None or user.stamp != link.stamp:
        raise InvalidLink
    links.consume(link)
    registration.give_way(link.address, origin=origin)
    user.email, user.stamp = link.address, uuid4()
    user.save(update_fields=["email", "stamp", "updated_at"])
    if selectors.address_is_held(user.email, against=user):
        raise _AddressHeld
    sessions.end_all(user=user, reason=EndReason.EMAIL, origin=origin)
    audit.record(EventType.ACCOUNT_EMAIL_CHANGED, origin=origin, subject=user.audit_key)
    return user


@transaction.atomic
def _restore(link: OneTimeToken, *, origin: Origin) -> User:
    user = selectors.lock_user(link.user_id)
    if user is None or selectors.is_erasure_due(user, timezone.now()):
        raise InvalidLink
    links.consume(link)
    # It was asked for since: whose account waits for its erasure cannot ask for another address.
    lifted, _by_model = ErasureRequest.objects.filter(user=user).delete()
    # Where staff switched the account off besides, no link to restore it is left.
    is_on_again = bool(one_time.void(user, Purpose.RESTORE)) and bool(lifted)
    user.email, user.stamp, user.is_active = link.address, uuid4(), user.is_active or is_on_again
    user.save(update_fields=["email", "stamp", "is_active", "updated_at"])
    passwords.void_password(user)
    one_time.void(user, *(purpose for purpose in Purpose if purpose is not Purpose.UNDO_EMAIL))
    one_time.void(user, Purpose.UNDO_EMAIL, made_since=link.created_at)
    known_devices.void(user)
    sessions.end_all(user=user, reason=EndReason.EMAIL, origin=origin)
    audit.record(
        EventType.ACCOUNT_EMAIL_CHANGE_UNDONE,
        origin=origin,
        subject=user.audit_key,
        metadata={"deletionLifted": bool(lifted)},
    )
    return user
