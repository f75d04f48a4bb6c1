"""The service as a WSGI application: Django's, without what each request would pay for and none needs."""

from collections.abc import Callable, Iterable
from typing import Any, cast

from django.conf import settings
from django.core import signals
from django.core.handlers.base import reset_urlconf
from django.core.handlers.wsgi import WSGIHandler
from django.db import close_old_connections, reset_queries
from django.http import HttpRequest, HttpResponse

StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Application(WSGIHandler):
    """Answers in one piece what is not streamed, and gives back what a request held before that is sent.

    A server that is given an iterator sends it piece by piece. The service has one table of routes and
    is never mounted below a path, so that no request sets these for its thread.
    """

    _middleware_chain: Callable[[HttpRequest], Any]

    def __init__(self) -> None:
        """Load the middleware. Raises what Django raises where that is set up wrongly."""
        super().__init__()
        # After a request too, every connection is looked at; and queries are only kept for debugging.
        signals.request_started.disconnect(close_old_connections)
        if not settings.DEBUG:
            signals.request_started.disconnect(reset_queries)
        signals.request_finished.disconnect(reset_urlconf)

    # The stubs know of no other iterable than a response.
    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:  # type: ignore[override]
        """Answer one request (PEP 3333)."""
        signals.request_started.send(sender=self.__class__, environ=environ)
        request = self.request_class(environ)
        # `get_response` would also log each refusal once more.
        response = self._middleware_chain(request)
        response._resource_closers.append(request.close)  # noqa: SLF001 - as `get_response` does
        response._handler_class = self.__class__  # noqa: SLF001 - the sender of `request_finished`
        headers = [*response.headers._store.values()]  # noqa: SLF001 - `items` looks each of them up
        headers += [("Set-Cookie", cookie.OutputString()) for cookie in response.cookies.values()]
        start_response(f"{response.status_code} {response.reason_phrase}", headers)
        if not isinstance(response, HttpResponse):
            return cast("Iterable[bytes]", response)
        try:
            return [response.content]
        finally:
            response.close()
