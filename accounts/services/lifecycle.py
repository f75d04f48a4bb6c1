"""Switching an account off and on again."""

from uuid import UUID, uuid4

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from audit import services as audit
from audit.events import EventType
from audit.origin import Origin
from authsvc.tokens.models import EndReason
from authsvc.tokens.services import sessions


@transaction.atomic
def deactivate(*, user_id: UUID, origin: Origin) -> bool:
    """Switch an account off: every session and every link that was mailed ends. Tell whether it was on.

    The stamp changes, so that nothing of it comes back with `activate`. Safe to repeat.
    """
    switched_off = User.objects.filter(pk=user_id, is_active=True).update(
        is_active=False, stamp=uuid4(), updated_at=timezone.now()
    )
    if switched_off:
        user = User.objects.get(pk=user_id)
        audit.record(EventType.ACCOUNT_DEACTIVATED, origin=origin, subject=user.audit_key)
        sessions.end_all(user=user, reason=EndReason.DEACTIVATED, origin=origin)
    return bool(switched_off)


@transaction.atomic
def activate(*, user_id: UUID, origin: Origin) -> bool:
    """Switch an account on; its owner has to sign in anew. Tell whether it was off. Safe to repeat."""
    switched_on = User.objects.filter(pk=user_id, is_active=False).update(is_active=True, updated_at=timezone.now())
    if switched_on:
        user = User.objects.get(pk=user_id)
        audit.record(EventType.ACCOUNT_ACTIVATED, origin=origin, subject=user.audit_key)
    return bool(switched_on)
