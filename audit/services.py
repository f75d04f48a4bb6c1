"""The only writer of the log."""

from collections.abc import Mapping
from uuid import UUID

from audit.events import EventType, Outcome
from audit.models import REQUEST_ID_MAX_LENGTH, USER_AGENT_MAX_LENGTH, Event
from audit.origin import Origin


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
    Event.objects.create(
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
