"""Revocation within a second on every node, with Redis stopped or frozen just before."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import pytest

from authsvc.tokens import freshness
from deploy.local_servers import Server, redis_server
from tests.cast import OTHER_PASSWORD, PASSWORD
from tests.web_processes import Service, bearer, children

Tokens = dict[str, Any]
Change = Callable[[Service, Tokens], None]


def ok(status: int) -> None:
    assert status in {HTTPStatus.OK, HTTPStatus.ACCEPTED}, status


def signed_out(node: Service, tokens: Tokens) -> None:
    ok(node.post("/auth/logout", **bearer(tokens["accessToken"])).status_code)


def ended_by_its_owner(node: Service, tokens: Tokens) -> None:
    path = f"/api/v1/users/me/sessions/{tokens['session']['id']}"
    ok(node.http.delete(path, headers=bearer(tokens["accessToken"])).status_code)


def deactivated(node: Service, tokens: Tokens) -> None:
    node.command("deactivate_user", tokens["email"])


def deleted(node: Service, tokens: Tokens) -> None:
    ok(node.http.delete("/api/v1/users/me", headers=bearer(tokens["accessToken"])).status_code)


def password_changed_on_another_device(node: Service, tokens: Tokens) -> None:
    other = node.post("/auth/login", {"email": tokens["email"], "password": PASSWORD}).json()["data"]
    body = {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD}
    ok(node.post("/auth/password/change", body, **bearer(other["accessToken"])).status_code)


def role_changed(node: Service, tokens: Tokens) -> None:
    node.command(
        "shell",
        "-c",
        "from accounts.models import Role, User\nfrom accounts.services import staff\nfrom audit.origin import Origin\n"
        f"user = User.objects.get(email={tokens['email']!r})\n"
        "assert staff.change_role(user_id=user.pk, role=Role.ADMIN, origin=Origin.system('tests'))",
    )


CHANGES: tuple[Change, ...] = (
    signed_out,
    ended_by_its_owner,
    deactivated,
    deleted,
    password_changed_on_another_device,
    role_changed,
)


@pytest.fixture
def redis() -> Iterator[Server]:
    """A Redis of this test's own, which it may stop or freeze."""
    with redis_server() as server:
        yield server
        with suppress(ProcessLookupError):
            os.kill(pid_of(server), signal.SIGCONT)


def pid_of(server: Server) -> int:
    return next(iter(children(server.program.pid)), 0)


@pytest.mark.parametrize("fate", [signal.SIGKILL, signal.SIGSTOP], ids=["stopped", "frozen"])
def test_what_is_revoked_on_one_node_is_refused_on_the_other_a_second_later(
    start: Callable[..., Service], redis: Server, fate: signal.Signals
) -> None:
    one = "http://127.0.0.1:8000"  # two nodes of one service, each on a port of its own
    env = {"REDIS_URL": redis.url, "CELERY_BROKER_URL": redis.url, "JWT_ISSUER": one, "JWT_AUDIENCE": one}
    node, other = start(**env), start(**env)
    people = {change: node.signed_in() for change in CHANGES}
    for tokens in people.values():
        tokens["email"] = other.me(tokens["accessToken"]).json()["data"]["email"]
    assert {other.me(tokens["accessToken"]).status_code for tokens in people.values()} == {HTTPStatus.OK}

    os.kill(pid_of(redis), fate)
    for change, tokens in people.items():
        change(node, tokens)
    time.sleep(freshness.TRUSTED_SECONDS)

    for change, tokens in people.items():
        asked = [other.me(tokens["accessToken"]) for _ in range(3)]
        asked += [service.post("/auth/refresh", {"refreshToken": tokens["refreshToken"]}) for service in (node, other)]
        assert {answer.status_code for answer in asked} == {HTTPStatus.UNAUTHORIZED}, change.__name__
        assert node.me(tokens["accessToken"]).status_code == HTTPStatus.UNAUTHORIZED
