"""Devices that their owner has signed in with before."""

from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from django.conf import settings
from django.db import connection, models
from django.db.models.functions import Coalesce, Now, NullIf
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from authsvc.compiled import CompiledUpdate
from authsvc.ids import uuid7

if TYPE_CHECKING:
    from accounts.models import User


class KnownDeviceQuerySet(models.QuerySet["KnownDevice"]):
    """The one update that tells whether a device is known, and the reads around it."""

    def known(self) -> "KnownDeviceQuerySet":
        """Leave out devices that were not seen for so long that they are unknown again."""
        return self.filter(last_seen_at__gt=Now() - KnownDevice.UNSEEN_LIFE)

    def note_seen(self, device_id: UUID, *, user: "User", digest: bytes, name: str) -> bool:
        """Let a user's device have been seen now, under a name if it gives one; tell whether it is known."""
        return bool(_sighting(connection.vendor).run(device_id, user.pk, digest, name))


class KnownDevice(models.Model):
    """A device that keeps a token of ours, of which only the SHA-256 is here.

    Known is not trusted: `trusted_until` says until when its owner wants no second factor asked.
    Voiding a device deletes its row. One that was not seen for a year is unknown again.
    """

    UNSEEN_LIFE = timedelta(days=365)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user"))
    digest = models.BinaryField(max_length=32, unique=True)
    name = models.CharField(_("device name"), max_length=100, blank=True)
    user_agent = models.CharField(_("user agent"), max_length=400, blank=True)
    trusted_until = models.DateTimeField(_("trusted until"), null=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    last_seen_at = models.DateTimeField(_("last seen"), default=timezone.now)

    objects: ClassVar[models.Manager["KnownDevice"]] = KnownDeviceQuerySet.as_manager()

    class Meta:
        verbose_name = _("known device")
        verbose_name_plural = _("known devices")
        indexes: ClassVar = [models.Index(fields=["last_seen_at"], name="known_device_last_seen")]

    def __str__(self) -> str:
        return f"device {self.pk}"


@lru_cache(maxsize=2)
def _sighting(_vendor: str) -> CompiledUpdate:
    """Return the update of `note_seen`, compiled for a database."""
    pk, user, digest, name = UUID(int=1), UUID(int=2), b"digest", "name"
    given = NullIf(models.Value(name), models.Value(""))
    return CompiledUpdate(
        KnownDeviceQuerySet(KnownDevice).known().filter(pk=pk, user_id=user, digest=digest),
        {"last_seen_at": Now(), "name": Coalesce(given, models.F("name"))},
        placeholders=(pk, user, digest, name),
    )
