"""Reads of the log."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db.models import Count, QuerySet

from audit.events import EventType
from audit.models import Event


def events_of(subject: UUID) -> QuerySet[Event]:
    """Return what concerns one person, by audit key, newest first."""
    return Event.objects.filter(subject=subject).order_by("-created_at", "-id")


def counts_since(moment: datetime, *, of: Collection[EventType]) -> dict[EventType, int]:
    """Return how often each of these happened since then, zeros included. One query."""
    rows = Event.objects.filter(action__in=of, created_at__gte=moment).values_list("action").annotate(Count("id"))
    found = dict(rows)
    return {event: found.get(event.value, 0) for event in of}


def erased_since(moment: datetime) -> list[UUID]:
    """Return the audit keys of those who were erased since then."""
    rows = Event.objects.filter(action=EventType.ACCOUNT_ERASED, created_at__gte=moment, subject__isnull=False)
    return [subject for subject in rows.values_list("subject", flat=True) if subject is not None]


def latest(limit: int) -> QuerySet[Event]:
    """Return the newest entries of all."""
    return Event.objects.order_by("-created_at", "-id")[:limit]
