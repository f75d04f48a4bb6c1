"""Log lines, and what must not be in them."""

import json
import logging
import logging.config
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

import pytest
from django.conf import settings
from django.test import RequestFactory

from config.logs import configuration

SECRET = "token-that-nobody-may-read"


@contextmanager
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, object]]]:
    """Collect what a process of production would write."""
    stderr, lines = StringIO(), list[dict[str, object]]()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stderr)
        logging.config.dictConfig(configuration(level="INFO", style="json"))
    try:
        yield lines
        lines += [json.loads(line) for line in stderr.getvalue().splitlines()]
    finally:
        logging.config.dictConfig(settings.LOGGING)


def fail() -> None:
    password = SECRET
    raise RuntimeError(f"broken after {len(password)}")


def test_a_record_is_one_line_of_json_with_its_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    with logged(monkeypatch) as lines:
        logging.getLogger("authsvc.access").info("request", extra={"status": 200, "path": "/two\nlines"})

    (line,) = lines
    assert line.pop("timestamp")
    assert line == {
        "event": "request",
        "level": "info",
        "logger": "authsvc.access",
        "status": 200,
        "path": "/two\nlines",
    }


def test_a_failure_shows_where_but_no_value_and_no_query_string(monkeypatch: pytest.MonkeyPatch) -> None:
    request = RequestFactory().get("/verify-email", {"token": SECRET})

    with logged(monkeypatch) as lines:
        try:
            fail()
        except RuntimeError:
            logging.getLogger("django.request").exception("Internal Server Error", extra={"request": request})

    text = json.dumps(lines)
    assert len(lines) == 1
    assert "broken after 26" in text
    assert "test_logs.py" in text
    assert SECRET not in text


def test_refusals_are_in_the_access_log_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with logged(monkeypatch) as lines:
        logging.getLogger("django.request").warning("Not Found: /nothing", extra={"status_code": 404})

    assert lines == []
