"""What the service keeps and says, so that two of them can be compared."""

from http import HTTPStatus
from typing import Any

from django.apps import apps
from django.db import connection

from audit.models import Event
from authsvc import afterwards
from authsvc.mail.models import OutgoingMail
from tests.cast import Answer


def stored() -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table, by model."""
    models = apps.get_models()
    has_rows = ", ".join(f"EXISTS (SELECT 1 FROM {model._meta.db_table})" for model in models)  # noqa: S608 - our names
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {has_rows}")  # one question, for most tables are empty
        found = zip(models, cursor.fetchone(), strict=True)
    return {
        model._meta.label: [_plain(row) for row in model._default_manager.order_by("pk").values()] if filled else []
        for model, filled in found
    }


def events() -> list[str]:
    """Return what the audit log tells, oldest first."""
    return [event.action for event in Event.objects.order_by("created_at", "id")]


def mails() -> list[tuple[str, str]]:
    """Return template and recipient of everything in the outbox, oldest first."""
    afterwards.finish()
    rows = OutgoingMail.objects.order_by("created_at", "id").values_list("template", "recipient")
    return [(template.rpartition("/")[2], recipient) for template, recipient in rows]


def spoken(answer: Answer, *values: str) -> tuple[HTTPStatus, dict[str, str], bytes]:
    """Return an answer byte by byte, without request id, time and the given values."""
    headers = {name: value for name, value in answer.headers.items() if name != "X-Request-ID"}
    raw = answer.raw
    for value in (answer.body["meta"]["requestId"], answer.body["meta"]["timestamp"], *values):
        raw = raw.replace(value.encode(), b"*")
    return answer.status, headers, raw


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: bytes(value) if isinstance(value, memoryview) else value for name, value in row.items()}
