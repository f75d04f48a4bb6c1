"""Credentials: sessions with their refresh lineage, one-time tokens, signing keys."""

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from authsvc.ids import uuid7
from authsvc.mail.models import OutgoingMail


class EndReason(models.TextChoices):
    """Why a session is over."""

    LOGOUT = "logout", _("signed out")
    LOGOUT_ALL = "logout_all", _("signed out everywhere")
    REUSE = "reuse", _("refresh token used twice")
    STAFF = "staff", _("ended by staff")


class SessionQuerySet(models.QuerySet["Session"]):
    """Conditional updates: the database settles every race."""

    def live(self) -> "SessionQuerySet":
        """Keep the sessions that are neither ended, idle too long nor too old, by the database's clock."""
        return self.filter(
            ended_at__isnull=True,
            created_at__gt=Now() - settings.SESSION_MAX,
            refreshed_at__gt=Now() - settings.REFRESH_IDLE,
        )

    def rotate(self, session: "Session", *, presented: bytes, successor: bytes, key_id: bytes) -> bool:
        """Replace the current refresh token by its successor; tell whether this caller did it.

        `presented` and `successor` are SHA-256 digests. Of any number of callers one wins.
        """
        return bool(
            self.live()
            .filter(pk=session.pk, refresh_hash=presented, stamp=session.stamp)
            .update(
                refresh_hash=successor,
                refresh_generation=models.F("refresh_generation") + 1,
                refresh_key_id=key_id,
                refreshed_at=Now(),
                last_activity_at=Now(),
            )
        )

    def end(self, reason: EndReason) -> int:
        """End those of these sessions that have not ended; return how many did."""
        return self.filter(ended_at__isnull=True).update(ended_at=Now(), end_reason=reason)


class Session(models.Model):
    """One signed-in device, and the one lineage of refresh tokens it owns.

    Nothing in the row can be presented as a token: the current one is kept as its SHA-256, and its
    successor is derived from the token itself, `refresh_salt` and a key that is not in the database.
    How long a session lives follows from today's settings, so that a shorter life binds old ones too.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user"))
    stamp = models.UUIDField(editable=False)
    device_name = models.CharField(_("device name"), max_length=100, blank=True)
    user_agent = models.CharField(_("user agent"), max_length=400, blank=True)
    ip = models.GenericIPAddressField(_("IP address"), null=True)
    amr = models.JSONField(_("authentication methods"), default=list)
    authenticated_at = models.DateTimeField(_("authenticated at"))
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    last_activity_at = models.DateTimeField(_("last activity"))
    refresh_salt = models.BinaryField(max_length=16)
    refresh_generation = models.PositiveIntegerField(default=0)
    refresh_hash = models.BinaryField(max_length=32)
    refresh_key_id = models.BinaryField(max_length=4)
    refreshed_at = models.DateTimeField(_("refreshed at"))
    ended_at = models.DateTimeField(_("ended at"), null=True)
    end_reason = models.CharField(_("reason"), max_length=12, choices=EndReason.choices, blank=True)

    objects: ClassVar[models.Manager["Session"]] = SessionQuerySet.as_manager()

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        indexes: ClassVar = [
            models.Index(
                fields=["user", "created_at"], condition=models.Q(ended_at__isnull=True), name="session_open_of_user"
            ),
            models.Index(fields=["created_at"], name="session_created"),
        ]

    def __str__(self) -> str:
        return f"session {self.pk}"

    @property
    def expires_at(self) -> datetime:
        """When the session ends if nothing refreshes it: idle or absolute limit, whichever comes first."""
        return min(self.refreshed_at + settings.REFRESH_IDLE, self.created_at + settings.SESSION_MAX)

    def is_live(self, now: datetime) -> bool:
        """Tell whether the session is neither ended nor expired at that moment."""
        return self.ended_at is None and now < self.expires_at


class Purpose(models.TextChoices):
    """What a one-time token is good for."""

    VERIFY_EMAIL = "verify_email"


class OneTimeToken(models.Model):
    """A single-use secret that was mailed: its digest, and everything it is bound to.

    Its life counts from the moment its mail was sent; until then it lives at most seven days, and a
    mail that was given up takes its token along.
    """

    UNSENT_LIFE = timedelta(days=7)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    purpose = models.CharField(max_length=20, choices=Purpose.choices)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    address = models.EmailField(max_length=254)
    stamp = models.UUIDField()
    digest = models.BinaryField(max_length=32, unique=True)
    mail = models.ForeignKey(OutgoingMail, models.CASCADE, related_name="+")
    lifetime = models.DurationField()
    created_at = models.DateTimeField(default=timezone.now)
    consumed_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["created_at"], name="one_time_token_created")]

    def __str__(self) -> str:
        return f"{self.purpose} {self.pk}"

    def is_alive(self, now: datetime) -> bool:
        """Tell whether the token's time is not over; says nothing of its having been used."""
        if self.mail.state == OutgoingMail.State.GIVEN_UP:
            return False
        if self.mail.sent_at is None:
            return now < self.created_at + self.UNSENT_LIFE
        return now < self.mail.sent_at + self.lifetime


class SigningKey(models.Model):
    """A key that signs access tokens. `kid` is its RFC 7638 thumbprint; the private part is sealed."""

    class State(models.TextChoices):
        """Where a key is in its life."""

        ACTIVE = "active", _("active")

    kid = models.CharField(primary_key=True, max_length=43)
    algorithm = models.CharField(_("algorithm"), max_length=10)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.ACTIVE)
    public_jwk: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(_("public key"))
    sealed_private = models.BinaryField()
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    class Meta:
        verbose_name = _("signing key")
        verbose_name_plural = _("signing keys")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["algorithm"], condition=models.Q(state="active"), name="one_active_key_per_algorithm"
            )
        ]

    def __str__(self) -> str:
        return self.kid
