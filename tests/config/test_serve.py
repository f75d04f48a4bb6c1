"""`manage.py serve`, `worker` and `beat` as processes, from a tree of their own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from config.env import Environment
from tests.measuring import unmeasured

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("config", "accounts", "authsvc", "audit")
START_SECONDS = 30
STOP_SECONDS = 10


class Served:
    """A running service in embedded mode."""

    def __init__(self, tree: Path, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "serve"],
            cwd=tree,
            env=environ(PORT=str(port)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def get(self, path: str, accept: str = "application/json") -> bytes:
        with urlopen(Request(self.base + path, headers={"Accept": accept}), timeout=5) as answer:  # noqa: S310
            return bytes(answer.read())

    def post(self, path: str, body: dict[str, str]) -> int:
        request = Request(self.base + path, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
        with urlopen(request, timeout=10) as answer:  # noqa: S310
            return int(answer.status)

    def wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with suppress(URLError, ConnectionError):
                self.get("/healthz")
                return
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def stop(self, number: signal.Signals) -> tuple[int, str, str]:
        """Signal the whole process group, as a terminal and systemd do."""
        os.killpg(self.process.pid, number)
        out, err = self.process.communicate(timeout=STOP_SECONDS)
        return self.process.returncode, out, err


def environ(**own: str) -> dict[str, str]:
    names = {*Environment.model_fields, "DJANGO_SETTINGS_MODULE"}
    return {**{name: value for name, value in unmeasured().items() if name not in names}, **own}


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(tree: Path) -> Iterator[Served]:
    served = Served(tree, free_port())
    try:
        served.wait()
        yield served
    finally:
        if served.process.poll() is None:
            os.killpg(served.process.pid, signal.SIGKILL)
            served.process.communicate()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "manage.py", folder)
    return folder


def test_one_command_serves_delivers_and_stops_cleanly(tree: Path) -> None:
    with running(tree) as served:
        person = {"name": "Ann", "email": "ann@example.com", "password": "Quiet-Harbour-71-lanterns"}
        assert served.post("/api/v1/auth/register", person) == 201
        mails: list[dict[str, str]] = []
        deadline = time.monotonic() + 10
        while not mails and time.monotonic() < deadline:
            mails = json.loads(served.get("/mailbox"))
            time.sleep(0.05)
        assert [mail["to"] for mail in mails] == ["ann@example.com"]
        assert b"<svg" in served.get("/static/authsvc/logo.svg")

        code, out, err = served.stop(signal.SIGINT)

    assert code == 0
    assert [line for line in err.splitlines() if "authsvc.access" not in line] == []
    for path in ("/", "/api/v1/docs", "/mailbox", "/admin/"):
        assert f"{served.base}{path}\n" in out
    assert "Traceback" not in out
    assert (tree / "var").stat().st_mode & 0o777 == 0o700
    assert (tree / "var/secrets.json").stat().st_mode & 0o777 == 0o600

    secrets = (tree / "var/secrets.json").read_text()
    with running(tree) as served:
        assert [mail["to"] for mail in json.loads(served.get("/mailbox"))] == ["ann@example.com"]
        assert served.stop(signal.SIGTERM)[0] == 0
    assert (tree / "var/secrets.json").read_text() == secrets


def test_a_port_in_use_is_one_line_and_an_exit_code(tree: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        served = Served(tree, int(taken.getsockname()[1]))
        out, err = served.process.communicate(timeout=START_SECONDS)

    assert served.process.returncode == 1
    assert out == ""
    assert err.splitlines() == [
        f"CommandError: Port {taken_port(served)} is in use. Stop what listens there, or set PORT."
    ]


def taken_port(served: Served) -> str:
    return served.base.rpartition(":")[2]


def test_an_unknown_path_is_answered_while_serving(tree: Path) -> None:
    with running(tree) as served, pytest.raises(HTTPError) as missing:
        served.get("/api/v1/nothing-here")

    assert missing.value.code == 404
    missing.value.close()


@pytest.mark.parametrize("command", ["worker", "beat"])
@override_settings(EMBEDDED=True)
def test_embedded_mode_refuses_processes_that_could_do_nothing(command: str) -> None:
    with pytest.raises(CommandError, match="Embedded mode needs no"):
        call_command(command)
