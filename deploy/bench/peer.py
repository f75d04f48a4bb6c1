"""The other systems of a comparison: their environments, databases and servers."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.sql import SQL, Identifier

from deploy.bench.dialects import DJ_REST_AUTH, DJOSER, Dialect
from deploy.bench.people import PASSWORD
from deploy.bench.systems import Program, System, answers
from deploy.local_servers import Guarded, free_port
from deploy.stack import ROOT

PEERS = Path(__file__).with_name("peers")
WORKERS = 2
_REFUSED = 401


@dataclass(frozen=True, slots=True)
class Peer:
    """A system to compare with: a Django project below `peers`, and its lock file."""

    name: str
    project: str
    requirements: str
    dialect: Dialect
    server_options: tuple[str, ...] = ()
    same_hash: bool = False


# dj-rest-auth answers most requests per second with one thread a process; djoser has the server's own default.
ALL = (
    Peer("dj-rest-auth", "dj_rest_auth", "dj-rest-auth", DJ_REST_AUTH, ("--blocking-threads", "1")),
    Peer("djoser", "djoser", "djoser", DJOSER),
    Peer(
        "dj-rest-auth, same hash",
        "dj_rest_auth",
        "dj-rest-auth",
        DJ_REST_AUTH,
        ("--blocking-threads", "1"),
        same_hash=True,
    ),
)


def install(peer: Peer, folder: Path) -> Path:
    """Return the interpreter of the peer's environment below `folder`, made where the lock file asks for it.

    Needs the package index that pip is set up for. Raises `ServerFailed`.
    """
    lock = PEERS / f"{peer.requirements}.txt"
    place = folder / peer.requirements
    python, stamp = place / "venv" / "bin" / "python", place / f"installed-{sha256(lock.read_bytes()).hexdigest()[:16]}"
    if not stamp.exists():
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = place / "log"
        venv = Guarded([sys.executable, "-m", "venv", "--clear", place / "venv"], log=log)
        venv.wait_for_success(what=f"the environment of {peer.requirements}")
        quiet = ["--quiet", "--disable-pip-version-check"]
        pip = Guarded([python, "-m", "pip", "install", *quiet, "--no-deps", "--require-hashes", "-r", lock], log=log)
        pip.wait_for_success(what=f"pip install of {peer.requirements}")
        stamp.touch()
    return python


@contextmanager
def running(peer: Peer, python: Path, *, beside: str, users: int, path: str) -> Iterator[System]:
    """Run the peer with `users` people in a new database on the server of the URL `beside`.

    Raises `ServerFailed`.
    """
    database_url = _new_database(beside, f"peer_{secrets.token_hex(4)}")
    env = {
        "PATH": path,
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": f"deploy.bench.peers.{peer.project}.settings",
        "DATABASE_URL": database_url,
        "SECRET_KEY": secrets.token_urlsafe(64),
        "PEER_HASH": "same" if peer.same_hash else "own",
    }

    def web(port: int) -> Program:
        where = ["--host", "127.0.0.1", "--port", str(port), "--workers", str(WORKERS), *peer.server_options]
        application = ["--interface", "wsgi", "--factory", "django.core.wsgi:get_wsgi_application"]
        return Program([str(python), "-m", "granian", *where, *application], env)

    log, port, probe = python.parents[2] / "log", free_port(), (peer.dialect.me, _REFUSED)
    for command in (["django", "migrate"], ["deploy.bench.peers.seed", str(users), PASSWORD]):
        preparation = Guarded([python, "-m", *command], log=log, env=env, cwd=ROOT)
        preparation.wait_for_success(what=f"{command[0]} of {peer.name}")
    with psycopg.connect(database_url, autocommit=True) as database:
        database.execute("VACUUM ANALYZE")
    server = Guarded(web(port).command, log=log, env=env, cwd=ROOT, grace=10)
    try:
        server.wait_until(lambda: answers(port, probe), what=peer.name)
        yield System(peer.name, port, server.pid, peer.dialect, database_url, web, probe)
    finally:
        server.stop()


def _new_database(beside: str, name: str) -> str:
    with psycopg.connect(beside, autocommit=True) as server:
        server.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    return urlunsplit(urlsplit(beside)._replace(path=f"/{name}"))
