"""The service as production runs it: `manage.py serve` with two web processes, and a consumer of it."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg

from deploy.local_servers import Guarded, free_port
from tests.cast import PASSWORD, V1

ROOT = Path(__file__).resolve().parents[1]
MANAGE = [sys.executable, str(ROOT / "manage.py")]
STOP_SECONDS = 30.0


class Service:
    """A running `manage.py serve`, and a consumer with as many connections as there are threads."""

    def __init__(self, *, database: str, env: Mapping[str, str], folder: Path) -> None:
        self.database = database
        self.env = dict(env)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        own = {"PORT": str(self.port), "PUBLIC_URL": self.url}
        self.program = Guarded(
            [*MANAGE, "serve"], log=folder / "serve.log", env={**env, **own}, cwd=ROOT, grace=STOP_SECONDS
        )
        self.program.wait_until(self._answers, what="serve")
        self.http = httpx.Client(base_url=self.url, timeout=30, limits=httpx.Limits(max_connections=100))

    def close(self) -> None:
        self.http.close()
        self.program.stop()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz").status_code == HTTPStatus.OK
        except httpx.TransportError:
            return False

    def post(self, path: str, body: object = None, **headers: str) -> httpx.Response:
        return self.http.post(f"{V1}{path}", json=body, headers=headers)

    def me(self, token: str) -> httpx.Response:
        return self.http.get(f"{V1}/users/me", headers=bearer(token))

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def command(self, *words: str) -> str:
        """Run a command of the service; return what it prints."""
        done = subprocess.run([*MANAGE, *words], env=self.env, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def enrolled(self) -> str:
        """Open a verified account; return its address."""
        email = f"{secrets.token_hex(8)}@example.org"
        assert self.post("/auth/register", registration(email)).status_code == HTTPStatus.CREATED
        self.sql("UPDATE accounts_user SET verified_at = now() WHERE email = %s", email)
        return email

    def signed_in(self) -> dict[str, Any]:
        answer = self.post("/auth/login", {"email": self.enrolled(), "password": PASSWORD})
        assert answer.status_code == HTTPStatus.OK, answer.text
        tokens: dict[str, Any] = answer.json()["data"]
        return tokens

    def processes(self) -> list[int]:
        """The web processes, as the system lists them."""
        guard = self.program._process.pid
        (serve,) = children(guard)
        return [pid for pid in children(serve) if b"tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()]


def children(pid: int) -> list[int]:
    return [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def registration(email: str) -> dict[str, str]:
    return {"name": "Ada Lovelace", "email": email, "password": PASSWORD}


@contextmanager
def own_database(*, like: str = "template1") -> Iterator[str]:
    """Make a database on the server of the tests, a copy of another one there, and leave none behind."""
    server, name = os.environ["TEST_DATABASE_URL"], f"two_processes_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{like}"'.encode())
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
