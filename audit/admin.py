"""The log, for staff: to search and read, never to write."""

from collections.abc import Mapping
from functools import cached_property
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from audit.models import Event

if TYPE_CHECKING:
    EventModelAdmin = admin.ModelAdmin[Event]
    EventPaginator = Paginator[Event]
else:
    EventModelAdmin = admin.ModelAdmin
    EventPaginator = Paginator

COUNTED_AT_MOST = 10_000


class BoundedPaginator(EventPaginator):
    """Counts up to a bound only: what lies beyond is found by filtering, not by turning pages."""

    @cached_property
    def count(self) -> int:
        """Return the number of entries, or the bound where there are more."""
        rows = self.object_list
        return rows.order_by()[:COUNTED_AT_MOST].count() if isinstance(rows, QuerySet) else len(rows)


@admin.register(Event)
class EventAdmin(EventModelAdmin):
    """Read-only. People appear under their audit keys: the log knows no names."""

    list_display = ("created_at", "action", "outcome", "ip", "subject", "actor")
    list_filter = ("outcome", "created_at", "action")
    list_per_page = 50
    ordering = ("-created_at",)
    paginator = BoundedPaginator
    search_fields = ("subject", "actor", "request_id", "ip")
    search_help_text = _("A whole audit key, session id, request id or IP address")
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    fields = (
        "id",
        "created_at",
        "action",
        "outcome",
        "subject",
        "actor",
        "resource",
        "session_id",
        "request_id",
        "ip",
        "user_agent",
        "metadata",
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Event], search_term: str
    ) -> tuple[QuerySet[Event], bool]:
        """Match whole values only, each against the columns it can stand in: substrings would scan the table."""
        del request
        term = search_term.strip()
        return (queryset.filter(_matches(term)) if term else queryset), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: entries come from `audit.services.record`."""
        del request
        return False

    def has_change_permission(self, request: HttpRequest, obj: Event | None = None) -> bool:
        """Refuse: the log is append-only."""
        del request, obj
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Event | None = None) -> bool:
        """Refuse: the log is append-only."""
        del request, obj
        return False


def _matches(term: str) -> Q:
    columns: Mapping[str, Any] = {"request_id": term, **_as_ip(term), **_as_uuid(term)}
    found = Q()
    for column, value in columns.items():
        found |= Q(**{column: value})
    return found


def _as_ip(term: str) -> dict[str, str]:
    try:
        return {"ip": str(ip_address(term))}
    except ValueError:
        return {}


def _as_uuid(term: str) -> dict[str, UUID]:
    try:
        key = UUID(term)
    except ValueError:
        return {}
    return {"subject": key, "actor": key, "session_id": key, "id": key}
