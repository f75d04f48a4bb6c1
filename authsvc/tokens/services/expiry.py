"""Housekeeping. Whatever is over was refused all along; here its rows go."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, TypeAlias

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from authsvc.tokens.models import AccountChange, KnownDevice, OneTimeToken, Session, UsedNonce

BATCH = 1000
ONE_TIME_TOKEN_KEPT = timedelta(days=30)
ACCOUNT_CHANGE_KEPT = timedelta(hours=1)

_Rows: TypeAlias = "QuerySet[Any]"  # of one of five models


def purge() -> int:
    """Delete what ended longer ago than anyone may still ask about, in short transactions; return how many rows."""
    return sum(purge_each(tell=lambda _kind, _deleted: None).values())


def purge_each(*, tell: Callable[[str, int], None]) -> dict[str, int]:
    """Delete as `purge` does; return how many rows by kind. `tell` hears of each batch: kind, rows so far."""
    return {kind: _delete(rows, tell=partial(tell, kind)) for kind, rows in _due().items()}


def due() -> dict[str, int]:
    """Return by kind how many rows `purge` would delete."""
    return {kind: rows.count() for kind, rows in _due().items()}


def _due() -> Mapping[str, _Rows]:
    now = timezone.now()
    return {
        "sessions": Session.objects.filter(created_at__lt=now - 2 * settings.SESSION_MAX),
        "oneTimeTokens": OneTimeToken.objects.filter(
            created_at__lt=now - max(ONE_TIME_TOKEN_KEPT, settings.DELETION_GRACE)
        ),
        "nonces": UsedNonce.objects.filter(expires_at__lt=now),
        "knownDevices": KnownDevice.objects.filter(last_seen_at__lt=now - KnownDevice.UNSEEN_LIFE),
        "accountChanges": AccountChange.objects.filter(at__lt=now - ACCOUNT_CHANGE_KEPT),
    }


def _delete(rows: _Rows, *, tell: Callable[[int], None]) -> int:
    deleted = 0
    while batch := list(rows.values_list("pk", flat=True)[:BATCH]):
        deleted += rows.filter(pk__in=batch).delete()[0]
        tell(deleted)
    return deleted
