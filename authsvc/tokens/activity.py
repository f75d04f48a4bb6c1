"""When a session was last used: noted by a thread, off the path of any request, and at most once a minute.

What is not written yet when the process ends is lost; so is what the database would not take.
"""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from authsvc.lots import Lots
from authsvc.tokens.models import Session

RESOLUTION = timedelta(minutes=1)


def touch(session: Session) -> None:
    """Note that a session is used, where what its row says is older than a minute."""
    if timezone.now() - session.last_activity_at >= RESOLUTION:
        _notes.add(session.pk)


def _write(session_ids: Iterable[UUID]) -> None:
    """Write down that these sessions were used, by one statement."""
    Session.objects.note_activity(set(session_ids), older_than=RESOLUTION)


_notes: Lots[UUID] = Lots(_write, name="session-activity", pause_seconds=3.0)
