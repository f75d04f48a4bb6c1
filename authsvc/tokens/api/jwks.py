"""The public signing keys (RFC 7517)."""

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, set_response_etag
from django.views.decorators.http import require_safe

from authsvc.http.envelope import dump
from authsvc.tokens.services.keys import ring

MAX_AGE_SECONDS = 300


@require_safe
def jwks(request: HttpRequest) -> HttpResponseBase:
    """Answer the set of keys that verify access tokens; any cache may keep it for five minutes.

    Whoever names the set it has in `If-None-Match` is told with 304 that nothing changed.
    """
    whole = HttpResponse(
        dump({"keys": ring.published()}),
        content_type="application/json",
        headers={"Cache-Control": f"public, max-age={MAX_AGE_SECONDS}"},
    )
    set_response_etag(whole)
    response = get_conditional_response(request, etag=whole.headers["ETag"], response=whole) or whole
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response
