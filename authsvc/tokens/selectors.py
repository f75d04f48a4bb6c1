"""Reads of sessions."""

from datetime import datetime
from uuid import UUID

from django.db.models import F
from django.db.models.functions import Now

from authsvc.tokens.models import Session


def signed_in_session(*, session_id: UUID, user_id: UUID) -> Session | None:
    """Return a live session with its user, or nothing where either must not act any more.

    One row read by primary key: ended, expired, or made before the user's stamp changed count as
    absent at once, on every node.
    """
    return (
        Session.objects.live()
        .select_related("user")
        .filter(
            pk=session_id,
            user_id=user_id,
            stamp=F("user__stamp"),
            user__is_active=True,
            user__verified_at__isnull=False,
        )
        .first()
    )


def session_for_refresh(session_id: UUID) -> tuple[Session, datetime] | None:
    """Return a session with its user, whatever its state, and the database's time."""
    row = Session.objects.select_related("user").annotate(db_now=Now()).filter(pk=session_id).first()
    return None if row is None else (row, row.db_now)  # type: ignore[attr-defined] # annotated above
