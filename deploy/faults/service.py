"""The service whose processes are killed: `manage.py serve` from a copy of the tree."""

import os
import secrets
import shutil
import signal
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.bench.service import RAISED
from deploy.local_servers import Guarded, ServerFailed, free_port, postgresql, redis_server
from deploy.stack import ROOT, Stack

PARTS = ("config", "accounts", "authsvc", "audit")
POSTGRESQL, SQLITE = "postgresql", "sqlite"
START_SECONDS = 60.0
LOOK_SECONDS = 0.01


class Service:
    """The web server, and ways to kill it."""

    def __init__(self, tree: Path, env: Mapping[str, str]) -> None:
        """Migrate the database and start the server. Raises `ServerFailed`."""
        self.port = int(env["PORT"])
        self.processes = int(env.get("WEB_PROCESSES") or 1)
        self.env = env
        self.sqlite_file = tree / "var" / "authsvc.sqlite3"  # in embedded mode
        self._tree = tree
        self._command("migrate").wait_for_success(what="manage.py migrate")
        self._program = self._serve()

    def close(self) -> None:
        """End the server in an orderly way."""
        self._program.stop()

    def kill_worker(self) -> float:
        """Kill the oldest web process and wait until the service answers; return the seconds until then.

        Never one twice in a row: the server would take it for broken and end.
        """
        workers = self._workers()
        began = time.monotonic()
        os.kill(min(workers, key=_started_at), signal.SIGKILL)
        self._program.wait_until(self._answers, what="serve", seconds=START_SECONDS)
        return time.monotonic() - began

    def kill_all(self) -> float:
        """Kill the server with all its processes and start it anew; return the seconds until it answers."""
        began = time.monotonic()
        os.killpg(self._server(), signal.SIGKILL)
        self._program.stop()
        self._program = self._serve()
        return time.monotonic() - began

    def _serve(self) -> Guarded:
        program = self._command("serve")
        program.wait_until(self._answers, what="serve", seconds=START_SECONDS)
        return program

    def _command(self, command: str) -> Guarded:
        program = [sys.executable, str(self._tree / "manage.py"), command]
        return Guarded(program, log=self._tree / f"{command}.log", env=self.env, cwd=self._tree)

    def _answers(self) -> bool:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            try:
                connection.request("GET", "/healthz")
                return connection.getresponse().status == HTTPStatus.OK
            except (OSError, HTTPException):
                time.sleep(LOOK_SECONDS)
                return False

    def _server(self) -> int:
        (server,) = _children(self._program.pid)
        return server

    def _workers(self) -> list[int]:
        """Return the web processes; where one died lately, wait for the one that takes its place."""
        self._program.wait_until(lambda: len(self._web()) == self.processes, what="a web process")
        return self._web()

    def _web(self) -> list[int]:
        """Return the web processes there are; a helper of Python's that the server has beside them is none."""
        found = []
        for pid in _children(self._server()):
            with suppress(OSError):
                if b"tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found


@contextmanager
def running(database: str, place: Path) -> Iterator[Service]:
    """Run the service on a new database of a kind; all of it goes with this process. Raises `ServerFailed`.

    It runs from a copy, so that nobody changes its code meanwhile and embedded mode keeps its state there.
    """
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        tree = Path(stack.enter_context(TemporaryDirectory(dir=place)))
        for part in PARTS:
            shutil.copytree(ROOT / part, tree / part)
        shutil.copy(ROOT / "manage.py", tree)
        base = {"PATH": os.environ["PATH"], "PORT": str(free_port()), **RAISED}
        if database == POSTGRESQL:
            servers = {
                "DATABASE_URL": stack.enter_context(postgresql()).url,
                "REDIS_URL": stack.enter_context(redis_server()).url,
            }
            env = Stack(tree / "state", {**base, **servers}).environment({"CELERY_BROKER_URL": servers["REDIS_URL"]})
        else:
            key = urlsafe_b64encode(secrets.token_bytes(32)).decode()
            env = {"APP_ENV": "embedded", "SECRET_KEY": secrets.token_urlsafe(64), "ENCRYPTION_KEYS": key, **base}
            env["DJANGO_SETTINGS_MODULE"] = "config.settings"
        service = Service(tree, env)
        stack.callback(service.close)
        yield service


def _started_at(pid: int) -> int:
    """Return when a process was started, in ticks since the machine was (proc(5), field 22)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError as reason:
        raise ServerFailed(f"the server ended by itself ({reason.strerror})") from None
