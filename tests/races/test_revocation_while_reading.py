"""A node that is asked without a pause, while another process switches accounts off and on."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from threading import Event

import psycopg

from authsvc.tokens import freshness
from tests.crowd import at_once
from tests.web_processes import Service

PEOPLE = 6
SECONDS = 4.0  # and the round that is going on then
LONGER_THAN_TRUSTED = freshness.TRUSTED_SECONDS + 0.5


@dataclass
class Account:
    """What was done to an account, and what the reader of its `me` got."""

    token: str
    email: str
    offs: list[tuple[float, float]] = field(default_factory=list)  # from the commit to just before it was on again
    answers: list[tuple[float, float, int]] = field(default_factory=list)  # asked for, answered, and the status

    def asked_late(self) -> list[int]:
        """The statuses of what was asked later than a second after a commit, and answered before it was undone."""
        return [
            status
            for committed, on_again in self.offs
            for asked, answered, status in self.answers
            if committed + freshness.TRUSTED_SECONDS <= asked and answered < on_again
        ]


def toggle(account: Account, node: Service, done: Event) -> None:
    """Switch an account off and on: in bursts, then off for longer than a node may trust what it knows."""
    ends = time.monotonic() + SECONDS
    with psycopg.connect(node.database, autocommit=True) as connection:
        switch = "UPDATE accounts_user SET is_active = %s WHERE email = %s"
        while time.monotonic() < ends:
            for pause in (*[secrets.randbelow(120) / 1000 for _ in range(6)], LONGER_THAN_TRUSTED):
                connection.execute(switch, (False, account.email))
                committed = time.monotonic()
                time.sleep(pause)
                account.offs.append((committed, time.monotonic()))
                connection.execute(switch, (True, account.email))
                time.sleep(pause / 4)
    done.set()


def read(account: Account, node: Service, done: Event) -> None:
    while not done.is_set():
        asked = time.monotonic()
        status = node.me(account.token).status_code
        account.answers.append((asked, time.monotonic(), status))


def test_nobody_is_let_in_later_than_a_second_after_each_of_many_deactivations(start: Callable[..., Service]) -> None:
    one = "http://127.0.0.1:8000"  # two nodes of one service, each on a port of its own
    nodes = [start(JWT_ISSUER=one, JWT_AUDIENCE=one) for _ in range(2)]
    accounts = []
    for _ in range(PEOPLE):
        token = nodes[0].signed_in()["accessToken"]
        accounts.append(Account(token, nodes[0].me(token).json()["data"]["email"]))
    done = [Event() for _ in accounts]

    toggles = [partial(toggle, account, nodes[0], end) for account, end in zip(accounts, done, strict=True)]
    readers = [partial(read, account, node, end) for account, end in zip(accounts, done, strict=True) for node in nodes]
    at_once([*toggles, *readers])

    for account in accounts:
        assert {status for *_times, status in account.answers} == {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}
        assert set(account.asked_late()) == {HTTPStatus.UNAUTHORIZED}
