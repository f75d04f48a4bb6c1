"""Sessions with their refresh lineage."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from authsvc.compiled import CompiledUpdate
from authsvc.ids import uuid7

if TYPE_CHECKING:
    from accounts.models import User


class EndReason(models.TextChoices):
    """Why a session is over."""

    LOGOUT = "logout", _("signed out")
    LOGOUT_ALL = "logout_all", _("signed out everywhere")
    OWNER = "owner", _("ended by its owner")
    REUSE = "reuse", _("refresh token used twice")
    CAP = "cap", _("too many sessions")
    ROLE = "role", _("role changed")
    DEACTIVATED = "deactivated", _("account deactivated")
    STAFF = "staff", _("ended by staff")
    CLIENT = "client", _("ended by a service")
    PASSWORD = "password", _("password changed")
    EMAIL = "email", _("address changed")
    DELETED = "deleted", _("account deleted")
    DISOWNED = "disowned", _("its owner said: this was not me")


def end_reasons() -> list[tuple[str, str]]:
    """Return the choices of `Session.end_reason`: as a function, so that a new one needs no migration."""
    return [(reason.value, str(reason.label)) for reason in EndReason]


class SessionQuerySet(models.QuerySet["Session"]):
    """Conditional updates: the database settles every race."""

    def live(self) -> "SessionQuerySet":
        """Keep the sessions that are neither ended, idle too long nor too old, by the database's clock."""
        return self.filter(
            ended_at__isnull=True,
            created_at__gt=Now() - settings.SESSION_MAX,
            refreshed_at__gt=Now() - settings.REFRESH_IDLE,
        )

    def live_of(self, user: "User") -> "SessionQuerySet":
        """Keep the sessions that their owner can still use. The index `session_open_of_user` leads to them."""
        return self.live().filter(user=user, stamp=user.stamp)

    def proved_since(self, age: timedelta) -> "SessionQuerySet":
        """Keep the live sessions whose owner gave a full proof of identity no longer ago than that."""
        return self.live().filter(authenticated_at__gt=Now() - age)

    def note_proof(self, session: "Session") -> bool:
        """Let the session's last full proof be of this moment; tell whether it was still live."""
        return bool(self.live().filter(pk=session.pk, stamp=session.stamp).update(authenticated_at=Now()))

    def restamp(self, session: "Session", stamp: UUID) -> bool:
        """Let a session go on under its user's new stamp, from one the user had until now; tell whether it was live."""
        return bool(self.live().filter(pk=session.pk, stamp=session.stamp).update(stamp=stamp))

    def note_activity(self, session_ids: Iterable[UUID], *, older_than: timedelta) -> int:
        """Set the last activity of sessions to now where it is older than that; return of how many.

        Whatever another transaction holds is left out: so this waits for nobody, and nobody who
        ends several sessions at once can end up in a deadlock with it.
        """
        outdated = self.filter(pk__in=session_ids, ended_at__isnull=True, last_activity_at__lt=Now() - older_than)
        with transaction.atomic():
            free = outdated.select_for_update(skip_locked=True).values("pk")
            return Session.objects.filter(pk__in=free).update(last_activity_at=Now())

    def rotate(self, session: "Session", *, presented: bytes, successor: bytes, key_id: bytes) -> bool:
        """Replace the current refresh token by its successor; tell whether this caller did it.

        `presented` and `successor` are SHA-256 digests. Of any number of callers one wins.
        """
        update = _rotation(connection.vendor, settings.SESSION_MAX, settings.REFRESH_IDLE)
        return bool(update.run(session.pk, session.stamp, presented, successor, key_id))

    def end(self, reason: EndReason) -> int:
        """End those of these sessions that have not ended; return how many did."""
        return self.filter(ended_at__isnull=True).update(ended_at=Now(), end_reason=reason)


@lru_cache(maxsize=4)
def _rotation(_vendor: str, _session_max: timedelta, _refresh_idle: timedelta) -> CompiledUpdate:
    """Return the update of `rotate`, compiled for a database and the settings that `live` reads."""
    pk, stamp = UUID(int=1), UUID(int=2)
    presented, successor, key_id = b"presented", b"successor", b"key"
    return CompiledUpdate(
        SessionQuerySet(Session).live().filter(pk=pk, refresh_hash=presented, stamp=stamp),
        {
            "refresh_hash": successor,
            "refresh_generation": models.F("refresh_generation") + 1,
            "refresh_key_id": key_id,
            "refreshed_at": Now(),
            "last_activity_at": Now(),
        },
        placeholders=(pk, stamp, presented, successor, key_id),
    )


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
    known_device_id = models.UUIDField(null=True)  # no foreign key: a device goes without a scan for its sessions
    authenticated_at = models.DateTimeField(_("authenticated at"))
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    last_activity_at = models.DateTimeField(_("last activity"))
    refresh_salt = models.BinaryField(max_length=16)
    refresh_generation = models.PositiveIntegerField(default=0)
    refresh_hash = models.BinaryField(max_length=32)
    refresh_key_id = models.BinaryField(max_length=4)
    refreshed_at = models.DateTimeField(_("refreshed at"))
    ended_at = models.DateTimeField(_("ended at"), null=True)
    end_reason = models.CharField(_("reason"), max_length=12, choices=end_reasons, blank=True)

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
