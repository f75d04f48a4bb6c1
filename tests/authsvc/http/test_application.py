"""The service as the web server calls it (PEP 3333)."""

import io
import sys
from collections.abc import Iterable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from django.conf import settings
from django.core import signals
from django.core.handlers.base import reset_urlconf
from django.db import close_old_connections, reset_queries
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from authsvc.http.application import Application


def _cookies(_request: HttpRequest) -> HttpResponse:
    response = HttpResponse("cookies")
    response.set_cookie("one", "1")
    response.set_cookie("two", "2", httponly=True)
    return response


def _streamed(_request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(iter([b"a ", b"stream"]))


def _failing(_request: HttpRequest) -> HttpResponse:
    raise RuntimeError("for a test")


urlpatterns = [
    path("cookies", _cookies),
    path("streamed", _streamed),
    path("api/failing", _failing),
]
# At the end of a request every connection is looked at.
pytestmark = pytest.mark.django_db
handler500 = "authsvc.http.errors.server_error"


class Call:
    """One request, as a web server makes it."""

    def __init__(self, application: Application, path_info: str, **environ: Any) -> None:
        self.status, self.headers = "", list[tuple[str, str]]()
        self.body: Iterable[bytes] = application(
            {
                "REQUEST_METHOD": "GET",
                "PATH_INFO": path_info,
                "QUERY_STRING": "",
                "SERVER_NAME": "localhost",
                "SERVER_PORT": "80",
                "REMOTE_ADDR": "192.0.2.1",
                "wsgi.url_scheme": "http",
                "wsgi.input": io.BytesIO(),
                "wsgi.errors": sys.stderr,
                **environ,
            },
            self._start,
        )

    def _start(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.status, self.headers = status, headers

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


@pytest.fixture
def application() -> Iterator[Application]:
    """Return the application; Django's receivers are back afterwards."""
    yield Application()
    signals.request_started.connect(close_old_connections)
    signals.request_started.connect(reset_queries)
    signals.request_finished.connect(reset_urlconf)


@pytest.fixture
def finished() -> Iterator[Mock]:
    """Return what is called when a request has given everything back."""
    receiver = Mock()
    signals.request_finished.connect(receiver)
    yield receiver
    signals.request_finished.disconnect(receiver)


def test_an_answer_comes_in_one_piece_once_everything_is_given_back(application: Application, finished: Mock) -> None:
    call = Call(application, "/healthz")

    finished.assert_called_once()
    assert isinstance(call.body, list)
    (body,) = call.body
    assert call.status == "200 OK"
    assert call.all("Content-Length") == [str(len(body))]
    assert call.all("Content-Type") == ["application/json"]
    assert len({name.lower() for name, _value in call.headers}) == len(call.headers)


@pytest.mark.urls(__name__)
def test_a_stream_is_passed_on_and_gives_back_at_its_end(application: Application, finished: Mock) -> None:
    call = Call(application, "/streamed")

    assert b"".join(call.body) == b"a stream"
    finished.assert_not_called()
    call.body.close()  # type: ignore[attr-defined] # as PEP 3333 asks of a server
    finished.assert_called_once()


@pytest.mark.urls(__name__)
def test_each_cookie_has_a_header(application: Application) -> None:
    call = Call(application, "/cookies")

    first, second = call.all("Set-Cookie")
    assert first == "one=1; Path=/"
    assert second.startswith("two=2;")
    assert "HttpOnly" in second


@pytest.mark.urls(__name__)
def test_a_failure_is_answered_and_gives_back(
    application: Application, finished: Mock, caplog: pytest.LogCaptureFixture
) -> None:
    call = Call(application, "/api/failing")

    assert call.status == "500 Internal Server Error"
    assert b'"internal_error"' in b"".join(call.body)
    finished.assert_called_once()
    assert [record.exc_info is not None for record in caplog.records if record.name == "django.request"] == [True]


def test_the_routes_are_those_of_the_settings_below_no_path(application: Application) -> None:
    call = Call(application, "/api/v1/nowhere", SCRIPT_NAME="/mounted", SCRIPT_URL="/elsewhere/api/v1/nowhere")

    assert settings.FORCE_SCRIPT_NAME == ""
    assert call.status == "404 Not Found"
    assert call.all("API-Version") == ["v1"]
