"""Liveness and readiness."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import orjson
import pytest
from django.test import Client, RequestFactory
from pytest_django import Settings

from authsvc.ops import health
from authsvc.ops.health import Check, Probe, readyz
from config import readiness

PROMPT_SECONDS = 5.0


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that accepts connections and never says a word, like a frozen one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def dead_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def works() -> None:
    return


def is_down() -> None:
    raise ConnectionRefusedError


def ask(**checks: Check) -> Any:
    return readyz(checks)(RequestFactory().get("/readyz"))


def body(answer: Any) -> Any:
    return orjson.loads(answer.content)


def test_liveness_asks_nothing_of_other_parts(client: Client) -> None:
    answer = client.get("/healthz")

    assert answer.status_code == HTTPStatus.OK
    assert answer.json() == {"status": "ok"}
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.django_db
def test_probes_take_any_host_and_are_never_redirected(client: Client, settings: Settings, path: str) -> None:
    settings.SECURE_SSL_REDIRECT, settings.SECURE_REDIRECT_EXEMPT = True, []

    answer = client.get(path, headers={"Host": "10.1.2.3:9999"})

    assert answer.status_code == HTTPStatus.OK


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_only_answer_reading(client: Client, path: str) -> None:
    assert client.post(path).status_code == HTTPStatus.METHOD_NOT_ALLOWED


@pytest.mark.django_db
def test_readiness_asks_the_real_parts_of_the_profile(client: Client, settings: Settings) -> None:
    parts = ["database", "redis", "emailQueue"] if settings.HAS_REDIS else ["database", "emailQueue"]

    answer = client.get("/readyz")

    said = answer.json()
    assert answer.status_code == HTTPStatus.OK
    assert answer.headers["Cache-Control"] == "no-store"
    assert said["status"] == "ready"
    assert said["checks"] == dict.fromkeys(parts, "ok")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(said["timestamp"])).total_seconds() < 5


def test_a_failed_part_that_gates_makes_503_and_is_named(settings: Settings) -> None:
    settings.READINESS_GATES = ("database", "redis")

    answer = ask(database=works, redis=is_down, emailQueue=works)

    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert body(answer)["status"] == "not ready"
    assert body(answer)["checks"] == {"database": "ok", "redis": "error", "emailQueue": "ok"}


def test_a_failed_part_that_gates_nothing_is_named_and_answers_200(settings: Settings) -> None:
    settings.READINESS_GATES = ("database",)

    answer = ask(database=works, redis=is_down)

    assert answer.status_code == HTTPStatus.OK
    assert body(answer)["status"] == "ready"
    assert body(answer)["checks"] == {"database": "ok", "redis": "error"}


def test_the_answer_does_not_tell_why_a_part_failed(settings: Settings) -> None:
    def fails() -> None:
        raise RuntimeError("password=hunter2 host=db.internal")

    settings.READINESS_GATES = ("database",)

    assert b"hunter2" not in ask(database=fails).content


def test_frozen_parts_cost_one_deadline_together(settings: Settings, silent_port: int) -> None:
    def is_frozen() -> None:
        with socket.create_connection(("127.0.0.1", silent_port), timeout=3) as frozen:
            frozen.recv(1)

    settings.READINESS_GATES = ("database",)
    started = time.monotonic()

    answer = ask(database=is_frozen, redis=is_frozen, emailQueue=works)

    assert health.CHECK_TIMEOUT_SECONDS <= time.monotonic() - started < health.CHECK_TIMEOUT_SECONDS + PROMPT_SECONDS
    assert body(answer)["checks"] == {"database": "error", "redis": "error", "emailQueue": "ok"}


def test_a_part_that_stays_frozen_holds_one_thread_and_fails_later_probes_at_once(settings: Settings) -> None:
    thaw, entered = threading.Event(), []

    def is_frozen() -> None:
        entered.append(threading.get_ident())
        thaw.wait(30)

    settings.READINESS_GATES = ("database",)
    view, request = readyz({"database": is_frozen}), RequestFactory().get("/readyz")
    assert view(request).status_code == HTTPStatus.SERVICE_UNAVAILABLE
    started = time.monotonic()

    later = [view(request).status_code for _ in range(20)]

    assert time.monotonic() - started < PROMPT_SECONDS
    assert later == [HTTPStatus.SERVICE_UNAVAILABLE] * 20
    assert len(entered) == 1
    thaw.set()
    _wait_until_ready(view)


def test_probes_at_the_same_time_share_one_check() -> None:
    answers, runs = threading.Event(), []

    def is_slow() -> None:
        runs.append(1)
        answers.wait(30)

    probe = Probe("database", is_slow)
    for _ in range(8):
        probe.start()
    answers.set()

    with ThreadPoolExecutor(8) as waiting:
        passed = list(waiting.map(lambda _: probe.passed(), range(8)))

    assert passed == [True] * 8
    assert len(runs) == 1


def test_a_dead_broker_fails_its_check_at_once(monkeypatch: pytest.MonkeyPatch, dead_port: int) -> None:
    monkeypatch.setenv("CELERY_BROKER_WRITE_URL", f"redis://127.0.0.1:{dead_port}/0")
    started = time.monotonic()

    answer = ask(emailQueue=readiness.email_queue)

    assert body(answer)["checks"] == {"emailQueue": "error"}
    assert time.monotonic() - started < health.CHECK_TIMEOUT_SECONDS


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_frozen_broker_fails_its_check_in_time(
    monkeypatch: pytest.MonkeyPatch, silent_port: int, scheme: str
) -> None:
    monkeypatch.setenv("CELERY_BROKER_WRITE_URL", f"{scheme}://127.0.0.1:{silent_port}//")
    started = time.monotonic()

    answer = ask(emailQueue=readiness.email_queue)

    assert body(answer)["checks"] == {"emailQueue": "error"}
    assert time.monotonic() - started < health.CHECK_TIMEOUT_SECONDS + PROMPT_SECONDS


def test_a_frozen_redis_fails_its_check_in_time(settings: Settings, silent_port: int) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": f"redis://127.0.0.1:{silent_port}/0",
            "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 0.2, "SOCKET_TIMEOUT": 0.2},
        }
    }
    started = time.monotonic()

    answer = ask(redis=readiness.redis)

    assert body(answer)["checks"] == {"redis": "error"}
    assert time.monotonic() - started < health.CHECK_TIMEOUT_SECONDS + PROMPT_SECONDS


def _wait_until_ready(view: health.View) -> None:
    deadline = time.monotonic() + 5
    while view(RequestFactory().get("/readyz")).status_code != HTTPStatus.OK:
        assert time.monotonic() < deadline, "the part works again, readiness doesn't say so"
        time.sleep(0.02)
