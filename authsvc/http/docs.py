"""The API reference as pages: Swagger UI and ReDoc, with every asset from this service."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from authsvc.http.envelope import error_response
from authsvc.http.exceptions import METHOD_NOT_ALLOWED

# Both draw with inline styles; ReDoc searches in a worker made from a blob. No script but our files'.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "worker-src 'self' blob:; connect-src 'self'; object-src 'none'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


def docs(request: HttpRequest) -> HttpResponse:
    """Answer Swagger UI: the reference to try calls in."""
    return _page(request, "authsvc/docs.html")


def redoc(request: HttpRequest) -> HttpResponse:
    """Answer ReDoc: the reference to read."""
    return _page(request, "authsvc/redoc.html")


def _page(request: HttpRequest, template: str) -> HttpResponse:
    """These paths are the API's: no middleware for pages adds its headers, and a refusal has the envelope."""
    if request.method not in {"GET", "HEAD"}:
        return error_response(request, status=405, problems=[METHOD_NOT_ALLOWED], headers={"Allow": "GET, HEAD"})
    context = {"schema_url": reverse("schema"), "docs_url": reverse("docs"), "redoc_url": reverse("redoc")}
    answer = render(request, template, context)
    answer.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return answer
