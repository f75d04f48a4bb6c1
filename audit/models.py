"""The audit log's one table."""

from typing import Any, ClassVar
from uuid import UUID

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from audit.events import EventType, Outcome

USER_AGENT_MAX_LENGTH = 400
REQUEST_ID_MAX_LENGTH = 128


def event_types() -> list[tuple[str, str]]:
    """Return the choices of `Event.action`: as a function, so that a new one needs no migration."""
    return [(event.value, event.value) for event in EventType]


def outcomes() -> list[tuple[str, str]]:
    """Return the choices of `Event.outcome`."""
    return [(outcome.value, outcome.value) for outcome in Outcome]


def new_id() -> UUID:
    """Return a UUID version 7 (RFC 9562), which sorts by creation."""
    return uuid7()


class Event(models.Model):
    """One entry. The database refuses to delete or change it (`audit.triggers`).

    Actor and subject are the random audit keys of people, without a foreign key: entries outlive
    accounts. Address, user agent and metadata alone may be blanked, when a person is erased.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    action = models.CharField(_("action"), max_length=64, choices=event_types)
    outcome = models.CharField(_("outcome"), max_length=16, choices=outcomes)
    actor = models.UUIDField(_("actor"), null=True)
    subject = models.UUIDField(_("subject"), null=True)
    resource = models.CharField(_("resource"), max_length=200, blank=True)
    ip = models.GenericIPAddressField(_("IP address"), null=True)
    user_agent = models.CharField(_("user agent"), max_length=USER_AGENT_MAX_LENGTH, blank=True)
    request_id = models.CharField(_("request id"), max_length=REQUEST_ID_MAX_LENGTH, blank=True)
    session_id = models.UUIDField(_("session"), null=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    metadata: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(_("metadata"), default=dict)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        indexes: ClassVar = [
            models.Index(fields=["subject", "created_at"], name="event_subject_created"),
            models.Index(fields=["created_at"], name="event_created"),
            models.Index(fields=["action", "created_at"], name="event_action_created"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.pk}"
