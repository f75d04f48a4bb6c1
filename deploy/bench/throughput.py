"""Requests per second, and what each costs in CPU time."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from deploy.bench import processor
from deploy.bench.client import Client, Failed
from deploy.bench.people import PASSWORD, Kind, Person, people
from deploy.bench.processor import Usage

PARTS = ("app", "PostgreSQL", "Redis", "worker", "client")

# Does one request. Each connection has one of its own.
Step = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Rate:
    """What was done in one period, and the CPU time that it took."""

    name: str
    requests: int
    usage: Usage

    def row(self) -> str:
        """Return a row of the table."""
        microseconds = [f"{self.usage.parts.get(part, 0.0) / self.requests * 1e6:.0f}" for part in PARTS]
        per_second = f"{self.requests / self.usage.read_at:.0f}"
        return f"| {self.name} | {per_second} | {' | '.join(microseconds)} | {self.usage.elsewhere:.2f} |"


def measure(port: int, *, connections: int, seconds: float) -> list[Rate]:
    """Measure one operation after the other over a few connections. Raises `Failed` at the first failure."""
    clients = [Client(port) for _connection in range(connections)]
    persons = people([Kind.KNOWN] * connections)
    makers = {"`GET /users/me`": _me, "`POST /auth/refresh`": _refresh, "`POST /auth/login`": _login}
    rates = []
    for name, maker in makers.items():
        steps = [maker(client, person) for client, person in zip(clients, persons, strict=True)]
        _drive(steps, seconds=1)
        rates.append(_rate(name, steps, seconds=seconds))
    for client in clients:
        client.__exit__()
    return rates


def table(rates: Sequence[Rate]) -> str:
    """Return the rates as a Markdown table."""
    head = f"| operation | requests/s | {' | '.join(f'{part} µs' for part in PARTS)} | CPUs busy elsewhere |"
    return "\n".join([head, f"| --- |{' ---: |' * (len(PARTS) + 2)}", *(rate.row() for rate in rates)])


def _rate(name: str, steps: Sequence[Step], *, seconds: float) -> Rate:
    before = processor.read()
    requests = _drive(steps, seconds=seconds)
    return Rate(name, requests, processor.read().since(before))


def _drive(steps: Sequence[Step], *, seconds: float) -> int:
    """Repeat each step in a thread of its own until time is up; return how often in all."""
    deadline = time.monotonic() + seconds
    with ThreadPoolExecutor(len(steps)) as threads:
        return sum(threads.map(partial(_repeat, deadline), steps))


def _repeat(deadline: float, step: Step) -> int:
    count = 0
    while time.monotonic() < deadline:
        step()
        count += 1
    return count


def _me(client: Client, person: Person) -> Step:
    token = _signed_in(client, person)["accessToken"]

    def step() -> None:
        _expect_ok(client.get("/users/me", token=token).status)

    return step


def _refresh(client: Client, person: Person) -> Step:
    tokens = _signed_in(client, person)

    def step() -> None:
        tokens.update(client.post("/auth/refresh", {"refreshToken": tokens["refreshToken"]}).data)

    return step


def _login(client: Client, person: Person) -> Step:
    def step() -> None:
        _signed_in(client, person)

    return step


def _signed_in(client: Client, person: Person) -> dict[str, str]:
    tokens: dict[str, str] = client.post("/auth/login", {"email": person.email, "password": PASSWORD}).data
    return tokens


def _expect_ok(status: int) -> None:
    if status != HTTPStatus.OK:
        raise Failed(f"status {status}")
