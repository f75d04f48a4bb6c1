"""Switching an account off and on again, and its way out: deletion with a time to think it over, and erasure.

Whoever asks to be deleted is signed out and switched off at once, and erased when the waiting time
is over. Until then a mailed link, or staff, restores the account. From that moment on it counts as
gone, whether or not a job has erased it yet.
"""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import emails, selectors
from accounts.models import ErasureRequest, User
from accounts.services import links
from accounts.services.links import InvalidLink
from audit import selectors as audit_selectors
from audit import services as audit
from audit.events import EventType
from audit.origin import Origin
from authsvc import crypto
from authsvc.idempotency.reservation import Keep, keep_nothing
from authsvc.tokens.models import EndReason, OneTimeToken, Purpose
from authsvc.tokens.services import one_time, sessions
from authsvc.tokens.services.access import InvalidToken

_LATELY = timedelta(hours=3)
_TELL_EVERY = 100


@transaction.atomic
def deactivate(*, user_id: UUID, origin: Origin) -> bool:
    """Switch an account off: every session and every link that was mailed ends. Tell whether anything was on.

    The stamp changes, so that nothing of it comes back with `activate`. Of an account whose owner
    asked for its deletion the link that restores it ends. Safe to repeat.
    """
    user = selectors.lock_user(user_id)
    if user is None or not (user.is_active or one_time.void(user, Purpose.RESTORE)):
        return False
    user.is_active, user.stamp = False, uuid4()
    user.save(update_fields=["is_active", "stamp", "updated_at"])
    audit.record(EventType.ACCOUNT_DEACTIVATED, origin=origin, subject=user.audit_key)
    sessions.end_all(user=user, reason=EndReason.DEACTIVATED, origin=origin)
    return True


@transaction.atomic
def activate(*, user_id: UUID, origin: Origin) -> bool:
    """Switch an account on; its owner has to sign in anew. Tell whether it was off. Safe to repeat.

    A deletion that its owner asked for is lifted, unless it is due: then nothing brings the account back.
    """
    user = selectors.lock_user(user_id)
    if user is None or user.is_active or selectors.is_erasure_due(user, timezone.now()):
        return False
    lifted = lift_erasure(user)
    user.is_active = True
    user.save(update_fields=["is_active", "updated_at"])
    audit.record(
        EventType.ACCOUNT_ACTIVATED,
        origin=origin,
        subject=user.audit_key,
        metadata={"deletionLifted": True} if lifted else None,
    )
    return True


def request_erasure(*, user: User, origin: Origin, keep: Keep[None] = keep_nothing) -> None:
    """Switch an account off for its owner, and have it erased after `DELETION_GRACE`; mail the link that restores it.

    One that waits already goes on waiting. Raises `InvalidToken` where the account changed since
    the caller was let in.
    """
    with transaction.atomic():
        locked = selectors.lock_user(user.pk)
        if locked is None or not _is_pending(locked):
            if locked is None or not locked.is_active or locked.stamp != user.stamp:
                raise InvalidToken
            _switch_off(locked, origin=origin)
        keep(None)


def peek_restore(*, token: str) -> User:
    """Return whose account a link would restore, changing nothing. Raises `InvalidLink`."""
    return _find(token).user


def restore(*, token: str, origin: Origin) -> User:
    """Take a deletion back by the mailed link; the owner has to sign in anew. Works once. Raises `InvalidLink`."""
    link = _find(token)
    with transaction.atomic():
        user = selectors.lock_user(link.user_id)
        links.consume(link)
        if user is None or user.stamp != link.stamp or not lift_erasure(user):
            raise InvalidLink
        audit.record(EventType.ACCOUNT_RESTORED, origin=origin, subject=user.audit_key)
        emails.account_restored(user=user)
    return user


def lift_erasure(user: User) -> bool:
    """Switch an account on whose owner asked for its deletion, in the caller's transaction, which holds its row.

    Tell whether it did: not where nobody asked, and not where the erasure is due.
    """
    lifted, _by_model = ErasureRequest.objects.filter(user=user, due_at__gt=timezone.now()).delete()
    if lifted:
        one_time.void(user, Purpose.RESTORE)
        user.is_active = True
        user.save(update_fields=["is_active", "updated_at"])
    return bool(lifted)


def erase(*, user_id: UUID, origin: Origin) -> bool:
    """Delete a person and everything that hangs on them, now. Tell whether there was anybody. Safe to repeat.

    The audit log keeps what happened, under the pseudonym and without address, user agent and details.
    """
    return _erase(User.objects.filter(pk=user_id).first(), only_due=False, origin=origin)


def erase_if_due(user: User, *, origin: Origin) -> bool:
    """Erase an account whose waiting time is over; tell whether it did."""
    return _erase(user, only_due=True, origin=origin)


def erase_due(*, origin: Origin, tell: Callable[[int], None] | None = None) -> int:
    """Erase everybody whose waiting time is over; return how many. `tell` hears of every hundred.

    Of those erased lately the log is gone through once more: a call that was under way in that moment
    may have written since.
    """
    erased = 0
    for request in selectors.due_erasures().select_related("user").iterator(chunk_size=500):
        erased += erase_if_due(request.user, origin=origin)
        if tell is not None and erased and erased % _TELL_EVERY == 0:
            tell(erased)
    for subject in audit_selectors.erased_since(timezone.now() - _LATELY):
        audit.blank(subject)
    return erased


def _switch_off(user: User, *, origin: Origin) -> None:
    now = timezone.now()
    user.is_active, user.stamp = False, uuid4()
    user.save(update_fields=["is_active", "stamp", "updated_at"])
    request = ErasureRequest.objects.create(user=user, requested_at=now, due_at=now + settings.DELETION_GRACE)
    sessions.end_all(user=user, reason=EndReason.DELETED, origin=origin)
    token = crypto.new_token()
    mail = emails.deletion_scheduled(user=user, token=token, due_at=request.due_at)
    one_time.register(token=token, purpose=Purpose.RESTORE, user=user, mail=mail, lifetime=settings.DELETION_GRACE)
    audit.record(EventType.ACCOUNT_ERASURE_REQUESTED, origin=origin, subject=user.audit_key)


def _find(token: str) -> OneTimeToken:
    link = links.find_unused(token, purpose=Purpose.RESTORE)
    if not _is_pending(link.user):
        raise InvalidLink
    return link


def _is_pending(user: User) -> bool:
    return ErasureRequest.objects.filter(user=user, due_at__gt=timezone.now()).exists()


def _erase(user: User | None, *, only_due: bool, origin: Origin) -> bool:
    if user is None or (only_due and not selectors.due_erasures().filter(user=user).exists()):
        return False
    # Before the row: while it is there, an interrupted erasure is taken up again by its key.
    audit.blank(user.audit_key, acted_on_others=_was_staff(user))
    with transaction.atomic():
        locked = selectors.lock_user(user.pk)
        if locked is None or (only_due and not selectors.due_erasures().filter(user=user).exists()):
            return False
        selectors.mails_to(locked).delete()
        audit.blank(locked.audit_key)
        audit.record(EventType.ACCOUNT_ERASED, origin=origin, subject=locked.audit_key)
        locked.delete()
    return True


def _was_staff(user: User) -> bool:
    as_staff = (EventType.ACCOUNT_ADMIN_CREATED, EventType.ACCOUNT_ROLE_CHANGED)
    return user.is_staff or audit_selectors.events_of(user.audit_key).filter(action__in=as_staff).exists()
