"""A system under measurement, whoever made it."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.bench.dialects import Dialect
from deploy.local_servers import Guarded, ServerFailed, free_port

START_SECONDS = 60.0
_PAUSE_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Program:
    """How a web server is started on some port."""

    command: Sequence[str]
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class System:
    """A running system: where it answers, how it is asked, and the process below which it runs.

    `web` says how to start its web server once more on another port; `probe` is a path that any
    caller may ask for, and the status it then has.
    """

    name: str
    port: int
    root: int
    dialect: Dialect
    database_url: str
    web: Callable[[int], Program]
    probe: tuple[str, int]
    delivers_apart: bool = False


def seconds_to_first_answer(system: System, *, cwd: Path) -> float:
    """Start the system's web server beside the running one, end it again, and return how long it took to answer.

    Raises `ServerFailed`.
    """
    port = free_port()
    program = system.web(port)
    with TemporaryDirectory() as place:
        began = time.monotonic()
        server = Guarded(program.command, log=Path(place) / "log", env=program.env, cwd=cwd, grace=10)
        try:
            while not answers(port, system.probe):
                if server.exit_code is not None or time.monotonic() - began > START_SECONDS:
                    raise ServerFailed(f"{system.name} did not start:\n{server.last_lines()}")
                time.sleep(_PAUSE_SECONDS)
            return time.monotonic() - began
        finally:
            server.stop()


def answers(port: int, probe: tuple[str, int]) -> bool:
    """Tell whether a server answers a path with a status."""
    path, status = probe
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        try:
            connection.request("GET", path)
            return connection.getresponse().status == status
        except (OSError, HTTPException):
            return False
