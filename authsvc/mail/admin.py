"""The outbox for staff: what waits, what went, what failed. Nothing here shows a secret."""

from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from authsvc.mail.models import OutgoingMail

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[OutgoingMail]
else:
    _ModelAdmin = admin.ModelAdmin  # not generic at run time


@admin.register(OutgoingMail)
class OutgoingMailAdmin(_ModelAdmin):
    """A list to look at. Mails that were given up are wiped, so only waiting ones can be hastened."""

    list_display = ("created_at", "recipient", "template", "state", "attempts", "next_attempt_at", "last_error")
    list_filter = ("state", "template", "language")
    search_fields = ("recipient",)
    ordering = ("-created_at",)
    show_full_result_count = False
    fields = (
        "id",
        "recipient",
        "template",
        "language",
        "state",
        "attempts",
        "created_at",
        "next_attempt_at",
        "claimed_until",
        "sent_at",
        "last_error",
    )
    readonly_fields = fields
    actions = ("send_now",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Mails are written by what causes them."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: OutgoingMail | None = None) -> bool:
        """Nobody edits a mail."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: OutgoingMail | None = None) -> bool:
        """The purge deletes, nobody else."""
        return False

    @admin.action(description=_("Send now"), permissions=["view"])
    def send_now(self, request: HttpRequest, chosen: QuerySet[OutgoingMail]) -> None:
        """Make waiting mails due; the next sweep, seconds away, delivers them."""
        count = OutgoingMail.objects.filter(pk__in=chosen.values("pk")).hasten(timezone.now())
        text = ngettext("%(count)d mail is on its way.", "%(count)d mails are on their way.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)
