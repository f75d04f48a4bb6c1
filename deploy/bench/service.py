"""The service itself in its production shape: a stack, the people in its database, its mail delivery."""

import os
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Composable, Identifier

from deploy.bench import processor
from deploy.bench.client import Client
from deploy.bench.dialects import AUTHSVC, DEVICE_SECRET_BYTES, address
from deploy.bench.people import NAME, PASSWORD
from deploy.bench.systems import Program, System
from deploy.local_servers import Guarded, free_port
from deploy.stack import ROOT

START_SECONDS = 120.0
STOP_SECONDS = 30.0
DRAIN_SECONDS = 120.0
# One client on one network does here what thousands do elsewhere.
RAISED = {"LIMIT_GLOBAL": "1000000/1s", "LIMIT_SIGNIN": "1000000/1s", "LIMIT_MAIL": "1000000/1s"}
_TEMPLATE = "template"
# What distinguishes one person from another, and one session from another; the rest is copied.
_PERSON = {
    "id": "uuidv7()",
    "email": "'u' || number || '@bench.example.org'",
    "stamp": "gen_random_uuid()",
    "audit_key": "gen_random_uuid()",
}
_SESSION = {
    "id": "uuidv7()",
    "user_id": "person.id",
    "stamp": "person.stamp",
    "refresh_salt": "uuid_send(gen_random_uuid())",
    "refresh_hash": "sha256(uuid_send(gen_random_uuid()))",
}
# A device that its owner has signed in with before; its token is that of `dialects.device_token`.
_DEVICE_ID = "md5('device of ' || split_part(person.email, '@', 1))::uuid"
_DEVICE = {
    "id": _DEVICE_ID,
    "user_id": "person.id",
    "digest": f"sha256(translate(encode(uuid_send({_DEVICE_ID}) || decode(repeat('00', {DEVICE_SECRET_BYTES}), 'hex'),"
    " 'base64'), '+/', '-_')::bytea)",
}


@dataclass(frozen=True, slots=True)
class Service:
    """A running stack: the system, and the environment of its processes."""

    system: System
    env: Mapping[str, str]


@contextmanager
def running(parent: Path, *, name: str, path: str, given: Mapping[str, str] | None = None) -> Iterator[Service]:
    """Run a new stack below `parent`; it and its data go with this process. `path` is the search path for programs.

    Raises `ServerFailed`.
    """
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    port = free_port()
    base = {"PATH": path, "PORT": str(port), **RAISED, **(given or {})}
    with tempfile.TemporaryDirectory(dir=parent) as place:
        folder = Path(place) / "stack"
        program = [sys.executable, "-m", "deploy.stack", str(folder)]
        removal = ["--remove", str(folder)]
        stack = Guarded(program, log=Path(place) / "log", options=removal, env=base, cwd=ROOT, grace=STOP_SECONDS)
        try:
            stack.wait_until(lambda: "ready in" in stack.last_lines(), what="the stack", seconds=START_SECONDS)
            yield _service(name, port, stack.pid, {**base, **_environment(folder / "env")})
        finally:
            stack.stop()


def _service(name: str, port: int, root: int, env: Mapping[str, str]) -> Service:
    def web(other_port: int) -> Program:
        return Program([sys.executable, str(ROOT / "manage.py"), "serve"], {**env, "PORT": str(other_port)})

    probe = ("/healthz", 200)
    return Service(System(name, port, root, AUTHSVC, env["DATABASE_URL"], web, probe, delivers_apart=True), env)


def counts_requests(port: int) -> bool:
    """Tell whether the service's limiter is at work: its answers then carry what is left."""
    with Client(port) as client:
        answer = client.post("/auth/login", {"email": address("nobody"), "password": PASSWORD})
    return any(name.lower().startswith("ratelimit") for name, _value in answer.headers)


def populate(system: System, *, users: int, sessions_each: int = 0) -> None:
    """Fill the database with people u1, u2, … who share one password hash, and their sessions.

    One person registers and signs in as anybody would; the rest are copies made by the database.
    """
    with Client(system.port) as client, psycopg.connect(system.database_url, autocommit=True) as database:
        template = address(_TEMPLATE)
        client.post("/auth/register", {"name": NAME, "email": template, "password": PASSWORD}).data  # noqa: B018
        database.execute("UPDATE accounts_user SET verified_at = now() WHERE email = %s", [template])
        client.post("/auth/login", {"email": template, "password": PASSWORD}).data  # noqa: B018
        people = SQL("accounts_user AS template, generate_series(1, {}) AS number WHERE template.email = {}")
        _copy(database, "accounts_user", _PERSON, people.format(users, template))
        known = SQL("tokens_knowndevice AS template, accounts_user AS person WHERE person.email <> {}")
        _copy(database, "tokens_knowndevice", _DEVICE, known.format(address(_TEMPLATE)))
        if sessions_each:
            sessions = SQL("tokens_session AS template, accounts_user AS person, generate_series(1, {})")
            _copy(database, "tokens_session", _SESSION, sessions.format(sessions_each))
        database.execute("VACUUM ANALYZE")
        database.execute("CHECKPOINT")


def _copy(database: psycopg.Connection, table: str, differences: Mapping[str, str], source: Composable) -> None:
    """Insert rows into a table that are like those of `template`, but for some columns."""
    query = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s"
    columns = [column for (column,) in database.execute(query, [table])]
    values = [
        SQL(differences[column]) if column in differences else Identifier("template", column) for column in columns
    ]
    insert = SQL("INSERT INTO {} ({}) SELECT {} FROM {}")
    names = SQL(", ").join(map(Identifier, columns))
    database.execute(insert.format(Identifier(table), names, SQL(", ").join(values), source))


@contextmanager
def delivery_paused(system: System) -> Iterator[None]:
    """Halt the processes that send mail, so that only queueing is paid for."""
    workers = [process.pid for process in processor.processes(system.root) if process.part == "worker"]
    _signal(workers, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(workers, signal.SIGCONT)


def mails_per_second(system: System) -> float:
    """Wait until the queue is empty and return how many mails left it per second; 0 where that takes too long."""
    with psycopg.connect(system.database_url, autocommit=True) as database:
        began, at_first = time.monotonic(), _queued(database)
        while _queued(database):
            if time.monotonic() - began > DRAIN_SECONDS:
                return 0.0
            time.sleep(0.02)
        return at_first / (time.monotonic() - began)


def _queued(database: psycopg.Connection) -> int:
    row = database.execute("SELECT count(*) FROM mail_outgoingmail WHERE state = 'queued'").fetchone()
    return int(row[0]) if row else 0


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, number)


def _environment(file: Path) -> dict[str, str]:
    """Return the variables that the stack set, as it wrote them for a shell."""
    assignments = shlex.split(file.read_text())
    return dict(assignment.split("=", maxsplit=1) for assignment in assignments)
