"""The only writer of the log."""

from collections.abc import Mapping
from uuid import UUID

from django.db.models import F, Q, QuerySet

from audit.events import EventType, Outcome
from audit.insertion import insert
from audit.models import REQUEST_ID_MAX_LENGTH, USER_AGENT_MAX_LENGTH, Event
from audit.origin import Origin

BATCH = 1000


def record(
    event: EventType,
    *,
    origin: Origin,
    subject: UUID | None = None,
    outcome: Outcome = Outcome.SUCCESS,
    resource: str = "",
    session_id: UUID | None = None,
    metadata: Mapping[str, str | int | bool | None] | None = None,
) -> None:
    """Write one entry, in the caller's transaction: it stands or falls with the change it tells of.

    `subject` is the audit key of the person concerned. `metadata` holds no secret and no address.
    """
    row = Event(
        action=event,
        outcome=outcome,
        actor=origin.actor_id,
        subject=subject,
        resource=resource,
        ip=origin.ip,
        user_agent=origin.user_agent[:USER_AGENT_MAX_LENGTH],
        request_id=origin.request_id[:REQUEST_ID_MAX_LENGTH],
        session_id=session_id,
        metadata=dict(metadata or {}),
    )
    insert(row)


def blank(person: UUID, *, acted_on_others: bool = False) -> int:
    """Take address, user agent and details out of every entry about a person, by audit key; return of how many.

    In batches, each a statement of its own unless the caller holds a transaction; safe to repeat. The
    entry that tells of the erasure itself holds nothing of theirs and stays. With `acted_on_others`
    the entries follow in which they are the actor alone: that reads the whole log, so it is for staff.
    """
    count = _blank(Event.objects.filter(subject=person).exclude(action=EventType.ACCOUNT_ERASED))
    if acted_on_others:
        count += _blank(Event.objects.filter(~Q(subject=F("actor")) | Q(subject__isnull=True), actor=person))
    return count


def _blank(events: QuerySet[Event]) -> int:
    telling = events.exclude(ip__isnull=True, user_agent="", metadata={}).values_list("pk", flat=True)
    blanked = 0
    while batch := list(telling[:BATCH]):
        blanked += Event.objects.filter(pk__in=batch).update(ip=None, user_agent="", metadata={})
    return blanked
