"""Sessions seen from the inside: their rows, their events, and their way through time."""

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from django.utils import timezone

from audit.models import Event
from authsvc.tokens.models import Session
from tests.cast import Answer

Tokens = Mapping[str, Any]


def row(tokens: Tokens) -> dict[str, Any]:
    """Return every column of the session that these tokens belong to."""
    values = Session.objects.values().get(pk=tokens["session"]["id"])
    return {name: bytes(value) if isinstance(value, memoryview) else value for name, value in values.items()}


def rows() -> list[dict[str, Any]]:
    """Return every column of every session, oldest first."""
    return [row({"session": {"id": pk}}) for pk in Session.objects.order_by("pk").values_list("pk", flat=True)]


def change(tokens: Tokens, **columns: Any) -> None:
    """Write into the row, as time or another hand would."""
    assert Session.objects.filter(pk=tokens["session"]["id"]).update(**columns) == 1


def refreshed(tokens: Tokens, ago: timedelta) -> None:
    """Let the last refresh have happened so long ago."""
    change(tokens, refreshed_at=timezone.now() - ago)


def session_events() -> list[str]:
    """Return what the log tells of sessions, oldest first."""
    return list(Event.objects.filter(action__startswith="session.").order_by("id").values_list("action", flat=True))


def refused(answer: Answer) -> str:
    """Assert that the answer is a whole 401, and return its code."""
    assert answer.status == HTTPStatus.UNAUTHORIZED, answer.body
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="authsvc"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.body["success"] is False
    assert answer.body["meta"]["statusCode"] == HTTPStatus.UNAUTHORIZED
    (code,) = answer.codes
    return str(code)
