"""Two web processes on one PostgreSQL and one Redis, as in production: what one does holds on the other."""

import os
import secrets
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest

from authsvc.tokens import freshness
from tests.crowd import at_once
from tests.measuring import measured
from tests.web_processes import STOP_SECONDS, Service, bearer, registration

# Steps of `nice`, and the scheduling policy.
HASHING, REQUESTS = (0, os.SCHED_OTHER), (15, os.SCHED_BATCH)


def statuses(answers: list[httpx.Response]) -> set[int]:
    return {answer.status_code for answer in answers}


def test_there_are_two_processes(service: Service) -> None:
    assert len(service.processes()) == 2


def test_requests_stand_behind_the_threads_that_hash_and_interrupt_none(service: Service) -> None:
    ask = partial(service.me, service.signed_in()["accessToken"])
    at_once([ask] * 20)

    for process in service.processes():
        tasks = [int(task.name) for task in Path(f"/proc/{process}/task").iterdir()]
        standings = [(os.getpriority(os.PRIO_PROCESS, task), os.sched_getscheduler(task)) for task in tasks]
        assert set(standings) == {HASHING, REQUESTS}
        assert (os.getpriority(os.PRIO_PROCESS, process), os.sched_getscheduler(process)) == REQUESTS
        assert standings.count(HASHING) >= 2  # a turn of the process's own, and one of its sibling


def test_fifty_refreshes_at_once_give_one_successor(service: Service) -> None:
    tokens = service.signed_in()
    refresh = partial(service.post, "/auth/refresh", {"refreshToken": tokens["refreshToken"]})

    answers = at_once([refresh] * 50)

    assert statuses(answers) == {HTTPStatus.OK}
    (successor,) = {answer.json()["data"]["refreshToken"] for answer in answers}
    assert service.sql("SELECT refresh_generation FROM tokens_session WHERE id = %s", tokens["session"]["id"]) == [(1,)]
    assert service.post("/auth/refresh", {"refreshToken": successor}).status_code == HTTPStatus.OK


def test_twenty_registrations_of_one_address_at_once_make_one_account(service: Service) -> None:
    email = f"{secrets.token_hex(8)}@example.org"

    answers = at_once([partial(service.post, "/auth/register", registration(email))] * 20)

    assert statuses(answers) == {HTTPStatus.CREATED}
    bodies = [answer.json() for answer in answers]
    ids = {body["data"].pop("id") for body in bodies}
    for body in bodies:
        assert body["data"].pop("createdAt") is not None
        assert set(body.pop("meta")) == {"timestamp", "requestId"}
    assert bodies == [bodies[0]] * 20
    ((user_id, password),) = service.sql("SELECT id, password FROM accounts_user WHERE email = %s", email)
    assert str(user_id) in ids
    assert password.startswith("argon2")


def test_signing_out_holds_on_every_connection_at_once(service: Service) -> None:
    tokens = service.signed_in()
    ask = partial(service.me, tokens["accessToken"])
    assert statuses(at_once([ask] * 20)) == {HTTPStatus.OK}

    assert service.post("/auth/logout", **bearer(tokens["accessToken"])).status_code == HTTPStatus.OK
    answers = at_once([ask] * 20)

    assert statuses(answers) == {HTTPStatus.UNAUTHORIZED}
    refreshed = service.post("/auth/refresh", {"refreshToken": tokens["refreshToken"]})
    assert refreshed.json()["errors"][0]["code"] == "invalid_token"


def test_a_deactivation_in_the_database_holds_on_every_connection_within_a_second(service: Service) -> None:
    tokens = service.signed_in()
    ask = partial(service.me, tokens["accessToken"])
    email = ask().json()["data"]["email"]
    assert statuses(at_once([ask] * 20)) == {HTTPStatus.OK}

    service.sql("UPDATE accounts_user SET is_active = false WHERE email = %s", email)
    time.sleep(freshness.TRUSTED_SECONDS)

    assert statuses(at_once([ask] * 20)) == {HTTPStatus.UNAUTHORIZED}


def test_both_processes_sign_with_one_key_and_publish_its_successor(service: Service) -> None:
    published = at_once([partial(service.http.get, "/.well-known/jwks.json")] * 20)

    assert len({(answer.text, answer.headers["ETag"]) for answer in published}) == 1
    assert service.sql("SELECT state FROM tokens_signingkey ORDER BY state") == [("active",), ("next",)]


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Bearer",
        b"Bearer  x",
        b"Bearer \xff\xfe",
        b"Bearer a.b.c",
        b"Basic x",
        b"Bearer " + b"a" * 10_240,
        b"\xe4",
    ],
)
def test_an_odd_authorization_header_is_refused_on_the_wire(service: Service, header: bytes) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as peer:
        peer.sendall(b"GET /api/v1/users/me HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: ")
        peer.sendall(header + b"\r\n\r\n")
        answer = b"".join(iter(partial(peer.recv, 65_536), b""))

    assert answer.startswith(b"HTTP/1.1 401 "), answer[:200]
    assert b"invalid_token" in answer


def test_a_server_told_to_stop_ends_with_0_and_leaves_no_process(start: Callable[..., Service]) -> None:
    server = start(**measured())
    tokens = server.signed_in()
    pids = server.processes()
    serve = int(Path(f"/proc/{pids[0]}/stat").read_text().rpartition(")")[2].split()[1])

    os.kill(serve, signal.SIGTERM)
    server.program._process.wait(STOP_SECONDS)

    assert server.program.exit_code == 0, server.program.last_lines()
    assert [pid for pid in (serve, *pids) if Path(f"/proc/{pid}").exists()] == []
    with pytest.raises(httpx.TransportError):
        server.me(tokens["accessToken"])
