"""The ledger: what was done, by whom, to whom, from where."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AuditConfig(AppConfig):
    """The app that owns the audit log. It imports nothing of the others."""

    name = "audit"
    label = "audit"
    verbose_name = _("Audit log")
