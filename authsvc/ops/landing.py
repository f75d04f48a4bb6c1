"""The page at the root: what this is, and where its parts are."""

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from authsvc.errors import Text


@dataclass(frozen=True, slots=True)
class Place:
    """A link of the page."""

    path: str
    title: Text
    text: Text


_REFERENCE = (
    Place("/api/v1/docs", _("API reference"), _("Every call, to read and to try in the browser.")),
    Place("/api/v1/redoc", "ReDoc", _("The same reference on one page, made for reading.")),
    Place("/api/v1/schema", "OpenAPI", _("The document that clients are generated from.")),
    Place("/.well-known/jwks.json", _("Signing keys"), _("Public keys to check access tokens with, anywhere.")),
)
_MAILBOX = Place("/mailbox", _("Mailbox"), _("Every mail that this machine would have sent."))
_ADMIN = Place("/admin/", _("Administration"), _("Accounts, sessions and the audit log."))
_HEALTH = Place("/readyz", _("Health"), _("Whether the service and what it needs are up."))


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """Answer the page. It names only what is open in this deployment."""
    places = [*_REFERENCE]
    if settings.EMBEDDED:
        places.append(_MAILBOX)
    if settings.ADMIN_OPEN:
        places.append(_ADMIN)
    places.append(_HEALTH)
    context = {"base": f"{settings.PUBLIC_URL}/api/v1", "mailbox_open": settings.EMBEDDED, "places": places}
    return render(request, "authsvc/landing.html", context)
