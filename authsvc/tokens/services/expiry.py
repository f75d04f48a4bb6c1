"""Housekeeping. Whatever is over was refused all along; here its rows go."""

from datetime import timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from authsvc.tokens.models import OneTimeToken, Session

BATCH = 1000
ONE_TIME_TOKEN_KEPT = timedelta(days=30)


def purge() -> int:
    """Delete what ended longer ago than anyone may still ask about, in short transactions; return how many rows."""
    now = timezone.now()
    return _delete(Session.objects.filter(created_at__lt=now - 2 * settings.SESSION_MAX)) + _delete(
        OneTimeToken.objects.filter(created_at__lt=now - ONE_TIME_TOKEN_KEPT)
    )


def _delete(rows: "QuerySet[Session] | QuerySet[OneTimeToken]") -> int:
    deleted = 0
    while batch := list(rows.values_list("pk", flat=True)[:BATCH]):
        deleted += rows.filter(pk__in=batch).delete()[0]
    return deleted
