"""The loads W1 to W7, as talks with a system."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from itertools import count, cycle, islice

from deploy.bench.systems import System
from deploy.bench.wire import Talk, get, post

ME_USERS = 16
CHAINS = 8
SIGNING_IN = 4
OK, CREATED = 200, 201
ME, SIGN_INS = "me", "sign-ins"

# The groups of talks of a load.
Groups = Mapping[str, Sequence[Talk]]
Workload = Callable[[System, Sequence[str]], Groups]


def names(*, users: int, spread_over: int) -> list[str]:
    """Return the names of `users` people, evenly spread over all of those in the database."""
    step = spread_over // users
    return [f"u{1 + number * step}" for number in range(users)]


def me(connections: int) -> Workload:
    """W1: `GET me` with the valid tokens of a few people."""

    def groups(system: System, people: Sequence[str]) -> Groups:
        answers = _signed_in(system, people[:ME_USERS])
        return {ME: [_me(system, answer) for answer in islice(cycle(answers), connections)]}

    return groups


def sign_in(system: System, people: Sequence[str]) -> Groups:
    """W2: sign-in with the right password, one person after the other."""
    return {SIGN_INS: _in_turn(system, [system.dialect.login_body(name) for name in people], OK)}


def refresh(system: System, people: Sequence[str]) -> Groups:
    """W3: a few chains of refreshes, each token used once."""
    return {"refreshes": [_chain(system, answer) for answer in _signed_in(system, people[:CHAINS])]}


def register(system: System, _people: Sequence[str]) -> Groups:
    """W4: registration of a new address each time."""
    lot = secrets.token_hex(4)
    requests = (
        post(system.port, system.dialect.register, system.dialect.register_body(f"n{lot}{number}"))
        for number in count()
    )
    return {"registrations": [_next_of(requests, CREATED) for _ in range(SIGNING_IN)]}


def wrong_sign_in(system: System, people: Sequence[str]) -> Groups:
    """W5: sign-in with a wrong password."""
    dialect = system.dialect
    return {SIGN_INS: _in_turn(system, [dialect.wrong_login_body(name) for name in people], dialect.wrong_status)}


def me_beside_sign_ins(system: System, people: Sequence[str]) -> Groups:
    """W7: W1 while others keep signing in."""
    return {**me(CHAINS)(system, people), **sign_in(system, people)}


ALL: Mapping[str, Workload] = {
    "W1c8": me(8),
    "W1c32": me(32),
    "W2": sign_in,
    "W3": refresh,
    "W4": register,
    "W5": wrong_sign_in,
    "W7": me_beside_sign_ins,
}


def _me(system: System, answer: bytes) -> Talk:
    return Talk(get(system.port, system.dialect.me, token=system.dialect.access_token(answer)), OK)


def _chain(system: System, answer: bytes) -> Talk:
    dialect = system.dialect

    def following(body: bytes) -> bytes:
        return post(system.port, dialect.refresh, dialect.refresh_body(dialect.refresh_token(body)))

    return Talk(following(answer), OK, following)


def _in_turn(system: System, bodies: Sequence[str], status: int) -> list[Talk]:
    requests = cycle([post(system.port, system.dialect.login, body) for body in bodies])
    return [_next_of(requests, status) for _ in range(SIGNING_IN)]


def _next_of(requests: Iterator[bytes], status: int) -> Talk:
    """Return a talk that takes its requests from what several of them share, whatever the answers."""
    return Talk(next(requests), status, lambda _body: next(requests))


def _signed_in(system: System, people: Sequence[str]) -> list[bytes]:
    """Sign people in and return what was answered. Raises `ValueError` later on, where that holds no token."""
    with ThreadPoolExecutor(SIGNING_IN) as threads:
        return list(threads.map(lambda name: _login(system, name), people))


def _login(system: System, name: str) -> bytes:
    connection = HTTPConnection("127.0.0.1", system.port, timeout=60)
    try:
        body, headers = system.dialect.login_body(name), {"Content-Type": "application/json"}
        connection.request("POST", system.dialect.login, body, headers)
        return connection.getresponse().read()
    finally:
        connection.close()
