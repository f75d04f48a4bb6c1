"""What every request passes, and the short lane on which the API is answered.

Sessions, messages, CSRF and the rest of Django's stack serve pages and the admin. They would cost
an API request more than its own work, so those paths skip them: they run through
`RequestMiddleware` and, where front ends on other origins are allowed, CORS alone.
"""

import logging
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from http import HTTPStatus
from io import BytesIO
from typing import cast
from urllib.parse import quote

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.handlers.base import BaseHandler
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase, ResponseHeaders
from django.urls import ResolverMatch, URLResolver, get_resolver
from django.utils import translation
from django.utils.translation import gettext_lazy as _
from django.utils.translation import trans_real

from authsvc.errors import DomainError, ErrorCode, Kind
from authsvc.http import errors
from authsvc.http.envelope import JSON, error_response
from authsvc.http.exceptions import INTERNAL, METHOD_NOT_ALLOWED, BodyTooLarge, describe
from authsvc.http.origin import is_secure
from authsvc.ids import uuid7

Handler = Callable[[HttpRequest], HttpResponseBase]

MAX_BODY_BYTES = 64 * 1024
VERSION = "v1"
_PROBES = ("/healthz", "/readyz")
_API_PREFIXES = ("/api/", "/.well-known/", *_PROBES)
_VERSIONED = f"/api/{VERSION}/"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{8,128}")
_LANGUAGE_HEADER_MAX = 200
_API_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

access_log = logging.getLogger("authsvc.access")


class InsecureTransport(DomainError):
    """A credential may have crossed the network in clear; a redirect would hide that."""

    code = ErrorCode.INSECURE_TRANSPORT
    kind = Kind.FORBIDDEN
    message = _("Use https.")


class UnknownHost(DomainError):
    """The request names a host that this service does not answer for."""

    code = ErrorCode.INVALID_FORMAT
    message = _("This host is not served here.")
    field = "Host"


class RequestMiddleware:
    """Names the request, picks its lane, logs it."""

    def __init__(self, get_response: Handler) -> None:
        """Keep Django's chain for pages and build the short one for the API."""
        self.pages = get_response
        self.api = _api_lane()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer one request."""
        started = time.perf_counter()
        request.request_id = _request_id(request.META.get("HTTP_X_REQUEST_ID", ""))  # type: ignore[attr-defined]
        is_api = request.path_info.startswith(_API_PREFIXES)
        response = self.api(request) if is_api else self.pages(request)
        response.headers["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        access_log.info(
            "request",
            extra={
                "method": request.method,
                "path": request.path,
                "status": response.status_code,
                "milliseconds": round((time.perf_counter() - started) * 1000, 2),
                "request_id": request.request_id,  # type: ignore[attr-defined]
            },
        )
        return response


class BodyLimitMiddleware:
    """Bounds the bodies of pages before the CSRF check reads them: it would take an upload of any size."""

    def __init__(self, get_response: Handler) -> None:
        """Stand before `CsrfViewMiddleware`."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer one request of a page or the admin."""
        try:
            _bound_body(request)
        except BodyTooLarge as refusal:
            return errors.refuse(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, refusal.problems[0])
        return self.get_response(request)


def _api_lane() -> Handler:
    """Return a chain that resolves and calls the view, with nothing of `MIDDLEWARE` around it."""
    lane = cast("Handler", convert_exception_to_response(_Views().call))
    if settings.CORS_ALLOWED_ORIGINS:
        lane = cast("Handler", CorsMiddleware(lane))
    return _ApiLane(lane)


class _Views(BaseHandler):
    """Django's resolving and calling of views, without the hooks of any middleware."""

    def __init__(self) -> None:
        self._view_middleware: list[Handler] = []
        self._template_response_middleware: list[Handler] = []
        self._exception_middleware: list[Handler] = []
        self._matches: dict[tuple[URLResolver, str], ResolverMatch] = {}

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        """Return the match of a path. One without variable parts is looked for once: there are no more than routes."""
        resolver = get_resolver()
        match = self._matches.get((resolver, request.path_info))
        if match is None:
            match = resolver.resolve(request.path_info)
            if not match.kwargs:
                self._matches[resolver, request.path_info] = match
        request.resolver_match = match
        return match

    def call(self, request: HttpRequest) -> HttpResponseBase:
        return cast("HttpResponseBase", self._get_response(request))  # type: ignore[attr-defined]


class _ApiLane:
    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        headers = dict(_API_HEADERS)
        if settings.SECURE_TRANSPORT:
            headers["Strict-Transport-Security"] = _hsts()
        self.headers = _pairs(ResponseHeaders(headers))

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        language = _language(request.META.get("HTTP_ACCEPT_LANGUAGE", "")[:_LANGUAGE_HEADER_MAX])
        with _speaking(language):
            response = _enveloped(request, self._answer(request))
        # As `response.headers.setdefault`, which checks and converts each of them for every answer anew.
        own = _pairs(response.headers)
        for key, pair in self.headers.items():
            own.setdefault(key, pair)
        own.setdefault("content-language", ("Content-Language", language))
        if isinstance(response, HttpResponse):
            own["content-length"] = ("Content-Length", str(len(response.content)))
        if request.path_info.startswith("/api/"):
            own["api-version"] = ("API-Version", VERSION)
            if not request.path_info.startswith(_VERSIONED) and response.status_code != HTTPStatus.NOT_FOUND:
                versioned = quote(_VERSIONED + request.path_info.removeprefix("/api/"))
                response.headers["Link"] = f'<{versioned}>; rel="canonical"'
        return response

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        try:
            _refuse_misdirected(request)
            _bound_body(request)
        except DomainError as refusal:
            status, problems, headers = describe(refusal, request)
            return error_response(request, status=status, problems=problems, headers=headers)
        return self.get_response(request)


def _speaking(language: str) -> AbstractContextManager[object]:
    return nullcontext() if translation.get_language() == language else translation.override(language)


def _pairs(headers: ResponseHeaders) -> dict[str, tuple[str, str]]:
    """Return what headers are kept in: name and value, by the name in lower case."""
    return headers._store  # noqa: SLF001


def _enveloped(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Give the refusal of a plain Django view, such as an empty 405, the body that every error has."""
    if response.status_code < HTTPStatus.BAD_REQUEST or response.headers.get("Content-Type") == JSON:
        return response
    problem = METHOD_NOT_ALLOWED if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED else INTERNAL
    kept = {name: value for name, value in response.headers.items() if name == "Allow"}
    return error_response(request, status=response.status_code, problems=[problem], headers=kept)


def _refuse_misdirected(request: HttpRequest) -> None:
    """Refuse hosts that are not ours, and plain HTTP where TLS is due; probes come from inside."""
    if request.path_info in _PROBES:
        return
    try:
        request.get_host()
    except SuspiciousOperation as reason:
        raise UnknownHost from reason
    if settings.SECURE_TRANSPORT and not is_secure(request):
        raise InsecureTransport


def _bound_body(request: HttpRequest) -> None:
    """Refuse a body over the limit before anything reads it; give a chunked one its length."""
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.isascii() and length.isdecimal():
        if int(length) > MAX_BODY_BYTES:
            raise BodyTooLarge
    elif "HTTP_TRANSFER_ENCODING" in request.META:
        body = request.environ["wsgi.input"].read(MAX_BODY_BYTES + 1)  # type: ignore[attr-defined]
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge
        request.META["CONTENT_LENGTH"] = str(len(body))
        request._stream = BytesIO(body)  # noqa: SLF001 - what Django would have read from itself


def _request_id(incoming: str) -> str:
    return incoming if _REQUEST_ID.fullmatch(incoming) else str(uuid7())


@lru_cache(maxsize=256)
def _language(accepted: str) -> str:
    """Return the first language of the header that we speak, as Django's `LocaleMiddleware` would."""
    for tag, _quality in trans_real.parse_accept_lang_header(accepted):
        if tag == "*":
            break
        try:
            return translation.get_supported_language_variant(tag)
        except LookupError:
            continue
    return settings.LANGUAGE_CODE


def _hsts() -> str:
    value = f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains"
    return f"{value}; preload" if settings.SECURE_HSTS_PRELOAD else value
