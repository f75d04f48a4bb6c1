"""A lean HTTP/1.1 client: many kept-open connections in one thread, prebuilt requests, no pipelining.

Each connection is replaced about once a second: which process of a server gets it is chance, and a measurement must
not hang on one throw of the dice.
"""

import random
import re
import select
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Self

from deploy.bench import processor
from deploy.bench.processor import Usage

SILENCE_SECONDS = 60.0
LIFE_SECONDS = (0.5, 1.5)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_STATUS = slice(9, 12)


class Silent(Exception):
    """A server answered nothing for a long time."""


@dataclass(slots=True)
class Talk:
    """What one connection says: a request, the status that is right for it, and what comes next.

    `following` gets the body of a right answer and returns the next request; without it the same one is repeated.
    """

    request: bytes
    expects: int
    following: Callable[[bytes], bytes] | None = None


@dataclass(slots=True)
class Tally:
    """What a group of connections got: right answers by their seconds, wrong ones by number and first example."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    first_failure: str = ""

    @property
    def p95(self) -> float:
        """The 95th percentile of the seconds that right answers took."""
        return quantiles(self.seconds, n=20)[-1] if len(self.seconds) > 1 else sum(self.seconds)

    def fail(self, why: str) -> None:
        """Count a wrong answer."""
        self.failed += 1
        self.first_failure = self.first_failure or why


@dataclass(frozen=True, slots=True)
class Drive:
    """One period of load: a tally for each group, and the CPU time that it took."""

    tallies: Mapping[str, Tally]
    usage: Usage


def drive(port: int, groups: Mapping[str, Sequence[Talk]], *, seconds: float, warm_up: float) -> Drive:
    """Let every talk go on over a connection of its own; count the answers of `seconds` after the warm-up.

    Raises `Silent`. Talks go on where they are in a later drive: their last answers are waited for.
    """
    with ExitStack() as opened, closing(select.epoll()) as ready:
        lines: dict[int, _Line] = {}
        for group, talks in groups.items():
            for talk in talks:
                line = opened.enter_context(_Line(port, talk, group))
                lines[line.open(ready)] = line
                line.send()
        _run(ready, lines, {group: Tally() for group in groups}, seconds=warm_up)
        tallies = {group: Tally() for group in groups}
        before = processor.read()
        _run(ready, lines, tallies, seconds=seconds)
        usage = processor.read().since(before)
        _drain(ready, lines)
    return Drive(tallies, usage)


def get(port: int, path: str, *, token: str) -> bytes:
    """Return a GET of somebody who is signed in."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def post(port: int, path: str, body: str) -> bytes:
    """Return a POST of a JSON document."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body.encode())}\r\n\r\n{body}".encode()


def complete(received: bytes) -> tuple[int, bytes] | None:
    """Return status and body as soon as an answer is complete. Understands a length and chunks."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head, body = received[:end], received[end + 4 :]
    length = _LENGTH.search(head)
    if length is not None:
        return (int(head[_STATUS]), body) if len(body) >= int(length[1]) else None
    if _CHUNKED.search(head) is not None:
        return (int(head[_STATUS]), _joined(body)) if body.endswith(b"0\r\n\r\n") else None
    return int(head[_STATUS]), b""


class _Line:
    """One connection, kept open, and the talk over it."""

    def __init__(self, port: int, talk: Talk, group: str) -> None:
        self.talk = talk
        self.group = group
        self.sent_at: float | None = None
        self._port = port
        self._received = b""
        self._socket: socket.socket | None = None
        self._old_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_failure: object) -> None:
        if self._socket is not None:
            self._socket.close()

    @property
    def is_old(self) -> bool:
        return time.perf_counter() >= self._old_at

    def open(self, ready: select.epoll) -> int:
        """Connect, anew if need be, and return the number by which `ready` tells of answers."""
        self.__exit__()
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=SILENCE_SECONDS)
        self._socket.settimeout(None)  # a socket with a timeout polls before every call
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._old_at = time.perf_counter() + random.uniform(*LIFE_SECONDS)  # noqa: S311 - no secret
        number = self._socket.fileno()
        ready.register(number, select.EPOLLIN)
        return number

    @property
    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise Silent("not connected")
        return self._socket

    def send(self) -> None:
        self._received = b""
        self.sent_at = time.perf_counter()
        self._open_socket.sendall(self.talk.request)

    def receive(self) -> tuple[int, bytes] | None:
        """Return status and body of a complete answer. Raises `Silent` where the server hung up."""
        more = self._open_socket.recv(65536)
        if not more:
            raise Silent(f"the server closed a connection of group {self.group}")
        self._received += more
        return complete(self._received)

    def note(self, answer: tuple[int, bytes], tally: Tally) -> None:
        """Count an answer and prepare the next request."""
        seconds = time.perf_counter() - (self.sent_at or 0.0)
        self.sent_at = None
        status, body = answer
        if status != self.talk.expects:
            tally.fail(f"{status} {body[:200].decode(errors='replace')}")
            return
        tally.seconds.append(seconds)
        if self.talk.following is not None:
            self.talk.request = self.talk.following(body)


def _run(ready: select.epoll, lines: dict[int, _Line], tallies: Mapping[str, Tally], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    heard = time.monotonic()
    while (now := time.monotonic()) < deadline:
        if now - heard > SILENCE_SECONDS:
            raise Silent(f"no answer within {SILENCE_SECONDS:.0f} s")
        for number, _event in ready.poll(deadline - now):
            line, heard = lines[number], now
            answer = line.receive()
            if answer is not None:
                line.note(answer, tallies[line.group])
                if line.is_old:
                    del lines[number]
                    lines[line.open(ready)] = line
                line.send()


def _drain(ready: select.epoll, lines: Mapping[int, _Line]) -> None:
    """Wait for the answers that are under way, count none of them, and let each talk have its own."""
    while any(line.sent_at is not None for line in lines.values()):
        events = ready.poll(SILENCE_SECONDS)
        if not events:
            raise Silent(f"no answer within {SILENCE_SECONDS:.0f} s")
        for number, _event in events:
            line = lines[number]
            answer = line.receive()
            if answer is not None:
                line.note(answer, Tally())


def _joined(chunks: bytes) -> bytes:
    body = b""
    while chunks:
        size, _, rest = chunks.partition(b"\r\n")
        length = int(size, 16)
        body, chunks = body + rest[:length], rest[length + 2 :]
    return body
