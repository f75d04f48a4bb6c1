"""Reads of sessions and of the keys of service clients."""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from authsvc.compiled import CompiledLookup
from authsvc.tokens.models import ServiceClientKey, Session

if TYPE_CHECKING:
    from accounts.models import User

_LATEST = 200


def signed_in_session(*, session_id: UUID, user_id: UUID) -> Session | None:
    """Return a live session with its user, or nothing where either must not act any more.

    One row read by primary key: ended, expired, or made before the user's stamp changed count as
    absent at once, on every node.
    """
    lookup = _signed_in(connection.vendor, settings.SESSION_MAX, settings.REFRESH_IDLE)
    session: Session | None = lookup.first(session_id, user_id)
    return session


def usable_session(session_id: UUID) -> Session | None:
    """Return a session as `signed_in_session` does, for a caller whose token names no user."""
    return _usable().filter(pk=session_id).first()


def session_for_refresh(session_id: UUID) -> tuple[Session, datetime] | None:
    """Return a session with its user, whatever its state, and the database's time."""
    row = _for_refresh(connection.vendor).first(session_id)
    return None if row is None else (row, row.db_now)


def service_client_key(key_id: UUID) -> ServiceClientKey | None:
    """Return a key with its client, whatever the state of either."""
    return ServiceClientKey.objects.select_related("client").filter(pk=key_id).first()


def recent_addresses(user: "User") -> set[str | None]:
    """Return the IP addresses of a user's latest sessions, those that ended among them."""
    latest = Session.objects.filter(user=user).order_by("-created_at")[:_LATEST]
    return set(latest.values_list("ip", flat=True))


def _usable() -> QuerySet[Session]:
    return (
        Session.objects.live()
        .select_related("user")
        .filter(stamp=F("user__stamp"), user__is_active=True, user__verified_at__isnull=False)
    )


@lru_cache(maxsize=4)
def _signed_in(_vendor: str, _session_max: timedelta, _refresh_idle: timedelta) -> CompiledLookup:
    """Return the look-up of `signed_in_session`, compiled for a database and the settings that `live` reads."""
    session, owner = UUID(int=1), UUID(int=2)
    return CompiledLookup(_usable().filter(pk=session, user_id=owner), placeholders=(session, owner))


@lru_cache(maxsize=2)
def _for_refresh(_vendor: str) -> CompiledLookup:
    session = UUID(int=1)
    rows = Session.objects.select_related("user").annotate(db_now=Now()).filter(pk=session)
    return CompiledLookup(rows, placeholders=(session,))
