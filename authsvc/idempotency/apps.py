"""Idempotency as a Django app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class IdempotencyConfig(AppConfig):
    """Requests that are answered once, however often they are sent."""

    name = "authsvc.idempotency"
    label = "idempotency"
    verbose_name = _("Idempotency")
