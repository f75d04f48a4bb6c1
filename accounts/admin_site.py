"""The admin site: its name, its front page, and what of Django's own is closed."""

from datetime import timedelta
from functools import wraps
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.core.exceptions import BadRequest, ValidationError
from django.db import DataError
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import include, path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.mail_samples import MAIL_SAMPLES
from audit import selectors as audit_log
from audit.events import EventType
from authsvc.mail.previews import Previews

FIGURES = {
    EventType.ACCOUNT_REGISTRATION_CREATED: _("New registrations"),
    EventType.ACCOUNT_SIGNIN_SUCCEEDED: _("Sign-ins"),
    EventType.ACCOUNT_SIGNIN_FAILED: _("Failed sign-ins"),
    EventType.SESSION_REFRESH_REUSED: _("Refresh tokens used twice"),
}
FIGURES_COVER = timedelta(hours=24)
LATEST_EVENTS = 10


class StaffSite(AdminSite):
    """For verified, active administrators only."""

    site_title = "authsvc"
    site_header = "authsvc"
    index_title = _("Administration")
    index_template = "accounts/admin/index.html"

    def has_permission(self, request: HttpRequest) -> bool:
        """Tell whether this is somebody whom `AdminBackend` would let in today."""
        return super().has_permission(request) and getattr(request.user, "is_verified", False)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show the last day in figures, the latest events, and the way to every list."""
        context = {"figures": _figures(), "latest_events": audit_log.latest(LATEST_EVENTS)}
        return super().index(request, {**context, **(extra_context or {})})

    def get_urls(self) -> list[Any]:
        """Return the routes and the previews of mails, less the one that looks up anything for "view on site"."""
        own = [route for route in super().get_urls() if getattr(route, "name", None) != "view_on_site"]
        previews = Previews(
            MAIL_SAMPLES, base="admin/base_site.html", name="admin:mail-preview", context=self.each_context
        )
        return [path("mail/outgoingmail/", include(previews.urls(self.admin_view))), *own]

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        """Wrap a view of the site; a filter in the address that means nothing to the database is a bad request."""
        inner = super().admin_view(view, cacheable)

        @wraps(inner)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                return cast("HttpResponse", inner(request, *args, **kwargs))
            except (ValueError, OverflowError, ValidationError, DataError) as reason:
                if request.method != "GET" or not request.GET:
                    raise
                raise BadRequest("no such filter") from reason

        return guarded

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Answer 404: Django's form would set a password past the policy, the stamp and the audit log."""
        raise Http404

    def password_change_done(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Answer 404, like `password_change`."""
        raise Http404


def _figures() -> list[dict[str, Any]]:
    since = timezone.now() - FIGURES_COVER
    counts = audit_log.counts_since(since, of=FIGURES)
    events = reverse("admin:audit_event_changelist")
    return [
        {
            "label": FIGURES[event],
            "count": count,
            "url": f"{events}?{urlencode({'action__exact': event.value, 'created_at__gte': since.isoformat()})}",
        }
        for event, count in counts.items()
    ]
