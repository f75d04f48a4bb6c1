"""The outbox: one row per mail, written in the transaction that causes it."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Self
from uuid import UUID

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from authsvc import crypto
from authsvc.ids import uuid7


class MailState(models.TextChoices):
    """What became of a mail."""

    QUEUED = "queued", _("queued")
    SENT = "sent", _("sent")
    GIVEN_UP = "given_up", _("given up")


class OutgoingMailQuerySet(models.QuerySet["OutgoingMail"]):
    """The conditional updates that settle who delivers a mail, and what became of it.

    Each is one statement whose WHERE clause repeats what the caller believes, so that of several
    processes exactly one is told that it made the change.
    """

    def due(self, now: datetime) -> Self:
        """Return what waits for an attempt and is in nobody's hands."""
        free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=now)
        return self.filter(free, state=MailState.QUEUED, next_attempt_at__lte=now)

    def claim(self, mail_id: UUID, *, claim: UUID, now: datetime, until: datetime) -> bool:
        """Take a due mail for one attempt; false where it is not due, or taken already."""
        mine = self.due(now).filter(pk=mail_id)
        return mine.update(claim=claim, claimed_until=until, attempts=F("attempts") + 1) == 1

    def mark_sent(self, mail_id: UUID, *, claim: UUID, now: datetime, rendered: bytes = b"") -> bool:
        """Finish a mail and wipe its context; false where the claim was lost meanwhile."""
        return self._finish(mail_id, claim=claim, state=MailState.SENT, sent_at=now, rendered=rendered, last_error="")

    def give_up(self, mail_id: UUID, *, claim: UUID, last_error: str) -> bool:
        """Finish a mail that cannot be delivered and wipe its context; false where the claim was lost."""
        return self._finish(mail_id, claim=claim, state=MailState.GIVEN_UP, last_error=last_error)

    def put_back(self, mail_id: UUID, *, claim: UUID, next_attempt_at: datetime, last_error: str) -> bool:
        """Leave a mail for a later attempt; false where the claim was lost meanwhile."""
        return (
            self._held(mail_id, claim).update(
                claim=None, claimed_until=None, next_attempt_at=next_attempt_at, last_error=last_error
            )
            == 1
        )

    def hasten(self, now: datetime) -> int:
        """Make queued mails that wait for a later attempt due now; return how many."""
        return self.filter(state=MailState.QUEUED, claimed_until__isnull=True).update(next_attempt_at=now)

    def _finish(self, mail_id: UUID, *, claim: UUID, **fields: object) -> bool:
        return self._held(mail_id, claim).update(claim=None, claimed_until=None, sealed=b"", **fields) == 1

    def _held(self, mail_id: UUID, claim: UUID) -> Self:
        return self.filter(pk=mail_id, claim=claim, state=MailState.QUEUED)


class OutgoingMail(models.Model):
    """One mail on its way. Its context may hold a live token: it rests sealed, and only until the mail is finished."""

    State = MailState

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    template = models.CharField(_("template"), max_length=100)
    recipient = models.CharField(_("recipient"), max_length=254)
    language = models.CharField(_("language"), max_length=8)
    sealed = models.BinaryField(default=b"")
    dedupe_key = models.CharField(max_length=200, unique=True)
    lane = models.CharField(max_length=8, default="", db_default="")
    state = models.CharField(_("state"), max_length=8, choices=MailState.choices, default=MailState.QUEUED)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt"), default=timezone.now)
    claimed_until = models.DateTimeField(_("claimed until"), null=True)
    claim = models.UUIDField(null=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    sent_at = models.DateTimeField(_("sent"), null=True)
    last_error = models.CharField(_("last error"), max_length=100, default="")
    rendered = models.BinaryField(default=b"")

    objects = OutgoingMailQuerySet.as_manager()

    class Meta:
        verbose_name = _("outgoing mail")
        verbose_name_plural = _("outgoing mails")
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(state__in=MailState.values), name="mail_state_known"),
            models.CheckConstraint(
                condition=Q(state=MailState.QUEUED) | Q(sealed=b""), name="mail_wiped_when_finished"
            ),
            models.CheckConstraint(
                condition=Q(state=MailState.SENT, sent_at__isnull=False)
                | (~Q(state=MailState.SENT) & Q(sent_at__isnull=True)),
                name="mail_sent_at_when_sent",
            ),
            models.CheckConstraint(
                condition=Q(claim__isnull=True, claimed_until__isnull=True)
                | Q(claim__isnull=False, claimed_until__isnull=False, state=MailState.QUEUED),
                name="mail_claimed_while_queued",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["next_attempt_at"], condition=Q(state=MailState.QUEUED), name="mail_due"),
            models.Index(fields=["created_at"], name="mail_created"),
            models.Index(fields=["recipient", "template", "created_at"], name="mail_of_kind_to_recipient"),
            models.Index(fields=["sent_at"], condition=Q(state=MailState.SENT), name="mail_sent"),
        ]

    def __str__(self) -> str:
        return f"{self.template} {self.id}"

    def seal_context(self, context: Mapping[str, str]) -> None:
        """Keep what the templates need, readable for this row alone."""
        self.sealed = crypto.seal(json.dumps(dict(context)).encode(), context=self.context_seal())

    def open_context(self) -> dict[str, str]:
        """Return what the templates need. Raises `Tampered`, also where it is wiped, or `KeyUnavailable`."""
        context: dict[str, str] = json.loads(crypto.unseal(bytes(self.sealed), context=self.context_seal()))
        return context

    def context_seal(self) -> str:
        """Return what the sealed context is bound to."""
        return f"mail:{self.id}"

    def rendered_seal(self) -> str:
        """Return what the sealed rendered mail is bound to."""
        return f"mail:{self.id}:rendered"
