"""Reads of sessions and of the keys of service clients."""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import DateTimeField, ExpressionWrapper, F, Q, QuerySet
from django.db.models.functions import Now

from authsvc.compiled import CompiledLookup, CompiledValues
from authsvc.mail.models import OutgoingMail
from authsvc.tokens import freshness
from authsvc.tokens.freshness import memory
from authsvc.tokens.models import OneTimeToken, Purpose, ServiceClientKey, Session

if TYPE_CHECKING:
    from accounts.models import User

_LATEST = 200


def signed_in_session(*, session_id: UUID, user_id: UUID) -> Session | None:
    """Return a live session with its user, or nothing where either must not act any more.

    What this process remembers and can prove fresh (`authsvc.tokens.freshness`), or else one row read by
    primary key: ended, expired, or made before the user's stamp changed count as absent.
    """
    remembered = memory.recall(session_id=session_id, user_id=user_id)
    if remembered is not None:
        return remembered
    before = freshness.before_reading(user_id)
    lookup = _signed_in(connection.vendor, settings.SESSION_MAX, settings.REFRESH_IDLE)
    session: Any = lookup.first(session_id, user_id)
    if session is not None:
        memory.keep(session, before, db_now=session.db_now)
    return cast("Session | None", session)


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


def open_tokens(purpose: Purpose) -> QuerySet[OneTimeToken]:
    """Return the one-time tokens that nobody used and whose time is not over: `OneTimeToken.is_alive`, in SQL."""
    ends_at = ExpressionWrapper(F("mail__sent_at") + F("lifetime"), output_field=DateTimeField())
    unsent = Q(mail__sent_at__isnull=True, created_at__gt=Now() - OneTimeToken.UNSENT_LIFE)
    return (
        OneTimeToken.objects.annotate(ends_at=ends_at)
        .filter(unsent | Q(ends_at__gt=Now()), purpose=purpose, consumed_at__isnull=True)
        .exclude(mail__state=OutgoingMail.State.GIVEN_UP)
    )


def recent_addresses(user: "User") -> set[str | None]:
    """Return the IP addresses of a user's latest sessions, those that ended among them."""
    return {ip for (ip,) in _latest_addresses(connection.vendor).run(user.pk)}


@lru_cache(maxsize=2)
def _latest_addresses(_vendor: str) -> CompiledValues:
    user = UUID(int=1)
    latest = Session.objects.filter(user_id=user).order_by("-created_at").values_list("ip")
    return CompiledValues(latest[:_LATEST], placeholders=(user,))


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
    rows = _usable().annotate(db_now=Now()).filter(pk=session, user_id=owner)
    return CompiledLookup(rows, placeholders=(session, owner))


@lru_cache(maxsize=2)
def _for_refresh(_vendor: str) -> CompiledLookup:
    session = UUID(int=1)
    rows = Session.objects.select_related("user").annotate(db_now=Now()).filter(pk=session)
    return CompiledLookup(rows, placeholders=(session,))
