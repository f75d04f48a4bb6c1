"""Sessions, known devices, signing keys and service clients, for staff: to look at, to end and to revoke."""

from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from authsvc.http.origin import origin_of
from authsvc.tokens.models import (
    EndReason,
    KnownDevice,
    ServiceClient,
    ServiceClientKey,
    Session,
    SessionQuerySet,
    SigningKey,
)
from authsvc.tokens.services import clients, known_devices, sessions
from authsvc.tokens.services.known_devices import NoSuchDevice

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

    SessionModelAdmin = admin.ModelAdmin[Session]
    DeviceModelAdmin = admin.ModelAdmin[KnownDevice]
    KeyModelAdmin = admin.ModelAdmin[SigningKey]
    ClientModelAdmin = admin.ModelAdmin[ServiceClient]
    ClientKeyModelAdmin = admin.ModelAdmin[ServiceClientKey]
else:
    SessionModelAdmin = DeviceModelAdmin = KeyModelAdmin = ClientModelAdmin = ClientKeyModelAdmin = admin.ModelAdmin


class ReadOnly:
    """Refuses every form, and every filter by a column that is not named in `lookups`."""

    lookups: frozenset[str] = frozenset()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuse other columns: `refresh_hash__startswith` would read digests byte by byte."""
        del value, request
        return lookup in self.lookups

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: services make these rows."""
        del request
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: services change these rows."""
        del request, obj
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: rows go when their owner or their time is over."""
        del request, obj
        return False


class StateFilter(admin.SimpleListFilter):
    """By whether a session can still be used."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer the three states."""
        return [("live", _("live")), ("ended", _("ended")), ("expired", _("expired"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Session]) -> QuerySet[Session]:
        """Keep the sessions in the chosen state."""
        if self.value() == "ended":
            return queryset.filter(ended_at__isnull=False)
        if self.value() == "live":
            return _live(queryset)
        if self.value() == "expired":
            return queryset.filter(ended_at__isnull=True).exclude(pk__in=_live(queryset).values("pk"))
        return queryset


@admin.register(Session)
class SessionAdmin(ReadOnly, SessionModelAdmin):
    """Signed-in devices. What tokens are made of is on no page."""

    actions = ("end_selected",)
    list_display = ("user", "state", "device_name", "ip", "created_at", "last_activity_at")
    list_filter = (StateFilter, "created_at")
    list_per_page = 50
    list_select_related = ("user",)
    lookups = frozenset({"state", "user__id__exact", "created_at__gte", "created_at__lt"})
    ordering = ("-created_at",)
    search_fields = ("user__email",)
    show_full_result_count = False
    fields = (
        "user",
        "state",
        "device_name",
        "user_agent",
        "ip",
        "amr",
        "authenticated_at",
        "created_at",
        "last_activity_at",
        "refreshed_at",
        "expires_at",
        "ended_at",
        "end_reason",
    )
    readonly_fields = ("state", "expires_at")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Session], search_term: str
    ) -> tuple[QuerySet[Session], bool]:
        """Find a session by its whole id or by its whole IP address; else by a part of its owner's address."""
        term = search_term.strip()
        with suppress(ValueError):
            return queryset.filter(pk=UUID(term)), False
        with suppress(ValueError):
            return queryset.filter(ip=str(ip_address(term))), False
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description=_("state"))
    def state(self, session: Session) -> "str | _StrPromise":
        """Tell whether the session can still be used."""
        if session.ended_at is not None:
            return _("ended")
        return _("live") if session.is_live(timezone.now()) else _("expired")

    @admin.display(description=_("expires at"))
    def expires_at(self, session: Session) -> Any:
        """Tell when the session ends if nothing refreshes it."""
        return session.expires_at

    @admin.action(description=_("End selected sessions"), permissions=["view"])
    def end_selected(self, request: HttpRequest, queryset: QuerySet[Session]) -> None:
        """End each of them, with an entry in the audit log."""
        origin = origin_of(request)
        chosen = list(queryset.values_list("pk", flat=True))
        ended = sum(sessions.end(session_id=session_id, reason=EndReason.STAFF, origin=origin) for session_id in chosen)
        self.message_user(
            request,
            ngettext("%(ended)d session was ended.", "%(ended)d sessions were ended.", ended) % {"ended": ended},
            messages.SUCCESS,
        )

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Lead on to what the audit log has about the session."""
        del request, extra_context
        query = urlencode({"session_id": object_id})
        return HttpResponseRedirect(f"{reverse('admin:audit_event_changelist')}?{query}")


@admin.register(KnownDevice)
class KnownDeviceAdmin(ReadOnly, DeviceModelAdmin):
    """The devices that people signed in with before. What their tokens are made of is on no page."""

    actions = ("remove_selected",)
    list_display = ("user", "name", "user_agent", "trusted_until", "created_at", "last_seen_at")
    list_display_links = ("last_seen_at",)
    list_per_page = 50
    list_select_related = ("user",)
    lookups = frozenset({"user__id__exact"})
    ordering = ("-last_seen_at",)
    search_fields = ("user__email",)
    show_full_result_count = False
    fields = ("user", "name", "user_agent", "trusted_until", "created_at", "last_seen_at")

    @admin.action(description=_("Remove selected devices"), permissions=["view"])
    def remove_selected(self, request: HttpRequest, queryset: QuerySet[KnownDevice]) -> None:
        """Make each of them unknown again, with an entry in the audit log."""
        origin = origin_of(request)
        removed = 0
        for device in queryset.select_related("user"):
            with suppress(NoSuchDevice):
                known_devices.remove(user=device.user, device_id=device.pk, origin=origin)
                removed += 1
        text = ngettext("%(removed)d device was removed.", "%(removed)d devices were removed.", removed)
        self.message_user(request, text % {"removed": removed}, messages.SUCCESS)


@admin.register(SigningKey)
class SigningKeyAdmin(ReadOnly, KeyModelAdmin):
    """The keys that verify access tokens, in their public part."""

    list_display = ("kid", "algorithm", "state", "created_at")
    ordering = ("-created_at",)
    fields = ("kid", "algorithm", "state", "created_at", "public_jwk")


@admin.register(ServiceClient)
class ServiceClientAdmin(ReadOnly, ClientModelAdmin):
    """The machines that may ask about tokens and revoke them; `create_service_client` makes them."""

    actions = ("disable_selected",)
    list_display = ("name", "id", "created_at", "disabled_at")
    list_per_page = 50
    ordering = ("name",)
    search_fields = ("name",)
    show_full_result_count = False
    fields = ("id", "name", "created_at", "disabled_at")

    @admin.action(description=_("Disable selected service clients"), permissions=["view"])
    def disable_selected(self, request: HttpRequest, queryset: QuerySet[ServiceClient]) -> None:
        """Refuse each of them from now on, with an entry in the audit log."""
        origin = origin_of(request)
        chosen = list(queryset.values_list("pk", flat=True))
        disabled = sum(clients.disable(client_id=client_id, origin=origin) for client_id in chosen)
        text = ngettext(
            "%(disabled)d service client was disabled.", "%(disabled)d service clients were disabled.", disabled
        )
        self.message_user(request, text % {"disabled": disabled}, messages.SUCCESS)


@admin.register(ServiceClientKey)
class ServiceClientKeyAdmin(ReadOnly, ClientKeyModelAdmin):
    """The keys that service clients sign with. What they are made of is on no page."""

    actions = ("revoke_selected",)
    list_display = ("id", "client", "algorithm", "created_at", "revoked_at")
    list_per_page = 50
    list_select_related = ("client",)
    ordering = ("-created_at",)
    search_fields = ("client__name",)
    show_full_result_count = False
    fields = ("id", "client", "algorithm", "created_at", "revoked_at")

    @admin.action(description=_("Revoke selected keys"), permissions=["view"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ServiceClientKey]) -> None:
        """Revoke each of them, with an entry in the audit log."""
        origin = origin_of(request)
        chosen = list(queryset.values_list("pk", flat=True))
        revoked = sum(clients.revoke_key(key_id=key_id, origin=origin) for key_id in chosen)
        text = ngettext("%(revoked)d key was revoked.", "%(revoked)d keys were revoked.", revoked)
        self.message_user(request, text % {"revoked": revoked}, messages.SUCCESS)


def _live(queryset: QuerySet[Session]) -> QuerySet[Session]:
    return cast("SessionQuerySet", queryset).live()
