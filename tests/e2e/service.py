"""A service in embedded mode with a state of its own, and people who use its API."""

import re
import secrets
import shutil
import sys
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from deploy.local_servers import Guarded, free_port
from tests.cast import PASSWORD, V1
from tests.config.test_serve import PARTS, environ
from tests.web_processes import bearer

ROOT = Path(__file__).resolve().parents[2]
MAIL_SECONDS = 15.0
FRONT_END = "https://app.example.org"


class Embedded:
    """`make run` in a copy of the tree: the state lies beside the code."""

    def __init__(self, folder: Path, **settings: str) -> None:
        for part in PARTS:
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "manage.py", folder)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "serve.log"
        self._program = Guarded(
            [sys.executable, "manage.py", "serve"],
            log=self.log,
            env=environ(APP_ENV="embedded", PORT=str(port), **settings),
            cwd=folder,
        )
        self.http = httpx.Client(base_url=self.url, timeout=30)
        self._program.wait_until(self._answers, what="serve")

    def close(self) -> None:
        self.http.close()
        self._program.stop()

    def _answers(self) -> bool:
        try:
            return self.http.get("/healthz").status_code == HTTPStatus.OK
        except httpx.TransportError:
            return False

    def mails_to(self, email: str) -> list[dict[str, str]]:
        """The mails of one address, newest first."""
        everything: list[dict[str, str]] = self.http.get("/mailbox", headers={"Accept": "application/json"}).json()
        return [mail for mail in everything if mail["to"] == email]

    def mail_to(self, email: str, holding: str) -> dict[str, str]:
        """Wait for a mail to an address that has something like `holding` in it; return the newest."""
        deadline = time.monotonic() + MAIL_SECONDS
        while True:
            found = [mail for mail in self.mails_to(email) if re.search(holding, mail["text"])]
            if found:
                return found[0]
            assert time.monotonic() < deadline, [mail["subject"] for mail in self.mails_to(email)]
            time.sleep(0.05)


class Person:
    """Somebody with an address, and the front end that calls the API for them."""

    def __init__(self, service: Embedded, language: str, name: str = "Ada Lovelace") -> None:
        self.service = service
        self.name = name
        self.language = language
        self.email = new_address()
        self.password = PASSWORD

    def post(self, path: str, body: object = None, token: str = "") -> httpx.Response:
        headers = {"Accept-Language": self.language, **(bearer(token) if token else {})}
        return self.service.http.post(f"{V1}{path}", json=body, headers=headers)

    def register(self, password: str | None = None) -> None:
        body = {"name": self.name, "email": self.email, "password": password or self.password}
        answer = self.post("/auth/register", body)
        assert answer.status_code == HTTPStatus.CREATED, answer.text

    def enrolled(self) -> "Person":
        """Register and verify, all by the API."""
        self.register()
        link = self.service.mail_to(self.email, "/verify-email#")
        token = re.findall(r"#token=([\w-]+)", link["text"])[0]
        assert self.post("/auth/verify-email", {"token": token}).status_code == HTTPStatus.OK
        return self

    def try_to_sign_in(self, *, email: str | None = None, password: str | None = None, **more: str) -> httpx.Response:
        body = {"email": email or self.email, "password": password or self.password, **more}
        return self.post("/auth/login", body)

    def signed_in(self, **more: str) -> dict[str, Any]:
        answer = self.try_to_sign_in(**more)
        assert answer.status_code == HTTPStatus.OK, answer.text
        tokens: dict[str, Any] = answer.json()["data"]
        return tokens

    def can_sign_in(self, *, email: str | None = None, password: str | None = None) -> bool:
        answer = self.try_to_sign_in(email=email, password=password)
        assert answer.status_code in {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}, answer.text
        return answer.status_code == HTTPStatus.OK

    def is_signed_in(self, tokens: dict[str, Any]) -> bool:
        answer = self.service.http.get(f"{V1}/users/me", headers=bearer(tokens["accessToken"]))
        assert answer.status_code in {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}, answer.text
        return answer.status_code == HTTPStatus.OK


def new_address() -> str:
    return f"{secrets.token_hex(8)}@example.org"
