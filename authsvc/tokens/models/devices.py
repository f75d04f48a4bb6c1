"""Devices that their owner has signed in with before."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from authsvc.ids import uuid7


class KnownDevice(models.Model):
    """A device that keeps a token of ours, of which only the SHA-256 is here.

    Known is not trusted: `trusted_until` says until when its owner wants no second factor asked.
    Voiding a device deletes its row.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user"))
    digest = models.BinaryField(max_length=32, unique=True)
    name = models.CharField(_("device name"), max_length=100, blank=True)
    user_agent = models.CharField(_("user agent"), max_length=400, blank=True)
    trusted_until = models.DateTimeField(_("trusted until"), null=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    last_seen_at = models.DateTimeField(_("last seen"), default=timezone.now)

    class Meta:
        verbose_name = _("known device")
        verbose_name_plural = _("known devices")
        indexes: ClassVar = [models.Index(fields=["last_seen_at"], name="known_device_last_seen")]

    def __str__(self) -> str:
        return f"device {self.pk}"
