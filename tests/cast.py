"""The people of the tests, and the hands they use: HTTP, as any consumer would."""

import json
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.core import mail as django_mail
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.models import Role, User
from authsvc import afterwards, hashing
from authsvc.mail import delivery, mailbox
from authsvc.mail.models import MailState, OutgoingMail

PASSWORD = "correct-Horse-7-battery"
OTHER_PASSWORD = "another-Horse-8-stapler"
V1 = "/api/v1"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: HTTPStatus
    headers: dict[str, str]
    body: Any
    raw: bytes = field(repr=False)

    @property
    def data(self) -> Any:
        """What the operation returned."""
        return self.body["data"]

    @property
    def codes(self) -> list[str]:
        """The codes of everything that was wrong."""
        return [problem["code"] for problem in self.body["errors"]]

    @property
    def problems(self) -> dict[str | None, str]:
        """Code by field."""
        return {problem["field"]: problem["code"] for problem in self.body["errors"]}


class Api:
    """A consumer of the API. One of these per network or device, where that matters."""

    def __init__(self, **environ: Any) -> None:
        """`environ` are WSGI variables of every request: REMOTE_ADDR, HTTP_USER_AGENT, …"""
        self._client = Client(raise_request_exception=False, **environ)

    def get(self, path: str, *, token: str | None = None, **headers: str) -> Answer:
        """GET."""
        return self._call("GET", path, None, token, headers)

    def post(self, path: str, body: object = None, *, token: str | None = None, **headers: str) -> Answer:
        """POST a JSON document, or nothing."""
        return self._call("POST", path, body, token, headers)

    def patch(self, path: str, body: object = None, *, token: str | None = None, **headers: str) -> Answer:
        """PATCH with a JSON document."""
        return self._call("PATCH", path, body, token, headers)

    def delete(self, path: str, *, token: str | None = None, **headers: str) -> Answer:
        """DELETE."""
        return self._call("DELETE", path, None, token, headers)

    def raw(self, method: str, path: str, data: bytes = b"", content_type: str = "", **headers: str) -> Answer:
        """Send anything."""
        return _answer(
            self._client.generic(method, path, data, content_type=content_type, headers=_named(headers))  # type: ignore[arg-type]
        )

    def _call(self, method: str, path: str, body: object, token: str | None, headers: dict[str, str]) -> Answer:
        if token is not None:
            headers = {"authorization": f"Bearer {token}", **headers}
        data = b"" if body is None else json.dumps(body).encode()
        return self.raw(method, path, data, "" if body is None else "application/json", **headers)

    def register(self, email: str, password: str = PASSWORD, name: str = "Ada Lovelace", **headers: str) -> Answer:
        """Open an account."""
        return self.post(f"{V1}/auth/register", {"name": name, "email": email, "password": password}, **headers)

    def verify(self, token: str, password: str | None = None) -> Answer:
        """Follow a verification link."""
        body = {"token": token} if password is None else {"token": token, "password": password}
        return self.post(f"{V1}/auth/verify-email", body)

    def login(self, email: str, password: str = PASSWORD, **more: str) -> Answer:
        """Sign in."""
        return self.post(f"{V1}/auth/login", {"email": email, "password": password, **more})

    def refresh(self, token: str) -> Answer:
        """Go on with a session."""
        return self.post(f"{V1}/auth/refresh", {"refreshToken": token})

    def me(self, token: str) -> Answer:
        """Ask who is signed in."""
        return self.get(f"{V1}/users/me", token=token)


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _answer(response: HttpResponse) -> Answer:
    is_json = "json" in response.headers.get("Content-Type", "")
    body = json.loads(response.content) if is_json and response.content else None
    return Answer(HTTPStatus(response.status_code), dict(response.headers), body, response.content)


@dataclass(frozen=True, slots=True)
class Letter:
    """A delivered mail."""

    to: str
    subject: str
    text: str
    html: str

    @property
    def token(self) -> str:
        """The token of the link in it."""
        found = re.search(r"#token=([\w-]+)", self.text)
        assert found is not None, self.text
        return found[1]


def post_round() -> list[Letter]:
    """Deliver every queued mail as the worker would; return the new ones, oldest first."""
    afterwards.finish()
    waiting = OutgoingMail.objects.filter(state=MailState.QUEUED).order_by("created_at", "id")
    return [_delivered(mail) for mail in waiting]


def _delivered(mail: OutgoingMail) -> Letter:
    before = len(django_mail.outbox)
    delivery.deliver(mail_id=mail.id)
    mail.refresh_from_db()
    assert mail.state == MailState.SENT, mail.last_error
    if mail.rendered:
        rendered = mailbox.mail(mail.id)
        assert rendered is not None
        return Letter(mail.recipient, rendered.subject, rendered.text, rendered.html)
    (sent,) = django_mail.outbox[before:]
    return Letter(mail.recipient, str(sent.subject), str(sent.body), str(sent.alternatives[0][0]))  # type: ignore[union-attr]


def enrol(email: str, *, name: str = "Alice", password: str = PASSWORD, role: Role = Role.USER, **more: Any) -> User:
    """Insert a verified account, as if its flow had been walked long ago."""
    user = User.objects.create_user(email=email, name=name, password_hash=_hash(password))
    more = {"verified_at": timezone.now(), "role": role, **more}
    User.objects.filter(pk=user.pk).update(**more)
    return User.objects.get(pk=user.pk)


_hashes: dict[str, str] = {}


def _hash(password: str) -> str:
    if password not in _hashes:
        _hashes[password] = hashing.make(password)
    return _hashes[password]
