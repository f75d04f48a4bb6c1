"""The public signing keys (RFC 7517)."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from authsvc.http.envelope import dump
from authsvc.tokens.services.keys import ring

MAX_AGE_SECONDS = 300


@require_safe
def jwks(_request: HttpRequest) -> HttpResponse:
    """Answer the set of keys that verify access tokens; any cache may keep it for five minutes."""
    keys: list[dict[str, Any]] = ring.published()
    return HttpResponse(
        dump({"keys": keys}),
        content_type="application/json",
        headers={
            "Cache-Control": f"public, max-age={MAX_AGE_SECONDS}",
            "Cross-Origin-Resource-Policy": "cross-origin",
            "Access-Control-Allow-Origin": "*",
        },
    )
