"""The outbox as a Django app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MailConfig(AppConfig):
    """Mails that leave with the transaction that caused them."""

    name = "authsvc.mail"
    label = "mail"
    verbose_name = _("Mail")
