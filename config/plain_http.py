"""What a deployment by plain HTTP needs: on loopback, and in tests. Never part of one with TLS."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


class PlainCookies:
    """Takes `Secure` off cookies: several clients, Safari among them, keep no such cookie from http://127.0.0.1."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Keep the rest of the chain."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with cookies that come back."""
        response = self.get_response(request)
        for cookie in response.cookies.values():
            cookie["secure"] = ""
        return response
