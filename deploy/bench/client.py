"""A client that keeps its connection open and times each exchange."""

import json
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any, Self

V1 = "/api/v1"


class Failed(Exception):
    """An answer that makes the whole measurement void."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and the seconds from the first byte sent to the last one received."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str
    seconds: float

    @property
    def data(self) -> Any:
        """What a successful operation returned. Raises `Failed` for any other."""
        document = json.loads(self.body)
        if not document["success"]:
            raise Failed(f"{self.status}: {self.body}")
        return document["data"]


class Client:
    """One connection to the service on this machine."""

    def __init__(self, port: int) -> None:
        """Connect with the first request."""
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_failure: object) -> None:
        self._connection.close()

    def get(self, path: str, *, token: str) -> Answer:
        """GET as a signed-in user."""
        return self._exchange("GET", path, None, {"Authorization": f"Bearer {token}"})

    def post(self, path: str, body: dict[str, str]) -> Answer:
        """POST a JSON document."""
        return self._exchange("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        began = time.perf_counter()
        self._connection.request(method, V1 + path, body, headers)
        response = self._connection.getresponse()
        text = response.read().decode()
        seconds = time.perf_counter() - began
        return Answer(response.status, tuple(response.getheaders()), text, seconds)
