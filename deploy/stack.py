"""The production shape on one machine: PostgreSQL, Redis, two web workers, a Celery worker and beat.

    python -m deploy.stack [FOLDER]

Secrets, data, mails and logs stay in the folder, var/stack by default, so the next start goes on where this one ended.
Whatever the environment sets is left as it is; DATABASE_URL or REDIS_URL there means that no such server is started.
"""

import fcntl
import os
import secrets
import shlex
import signal
import socket
import sys
import time
from argparse import ArgumentParser
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType
from typing import NoReturn
from urllib.parse import urlsplit, urlunsplit

from config.env import Environment
from deploy.local_servers import Guarded, ServerFailed, postgresql, redis_server, write_secret

ROOT = Path(__file__).resolve().parent.parent
APP_GRACE_SECONDS = 6.0
READY_SECONDS = 90.0
FIXED = {"APP_ENV": "production", "DJANGO_SETTINGS_MODULE": "config.settings"}
COMMANDS = {"web": "serve", "worker": "worker", "beat": "beat"}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stack:
    """The parts, and the folder that holds their state."""

    def __init__(self, folder: Path, given: Mapping[str, str]) -> None:
        """Keep state in `folder`, made where it is missing; take settings from `given` before making any."""
        self.folder = folder
        self.logs = folder / "logs"
        self.mail = folder / "mail"
        self.given = given
        self.port = int(given.get("PORT") or 8000)
        self.parts: dict[str, Guarded] = {}
        for path in (folder.parent, folder, self.logs, self.mail, folder / "secrets"):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def run(self) -> NoReturn:
        """Start everything and watch it. Raises `ServerFailed` when a part does not start, or ends."""
        with self._only_one(), ExitStack() as running:
            began = time.monotonic()
            _refuse_taken(self.port)
            env = self.environment(self._start_servers(running))
            self._write_env_file(env)
            say("migrating the database")
            self._command("migrate", env=env, log="migrate").wait_for_success(what="manage.py migrate")
            self._start_apps(running, env)
            say(f"ready in {time.monotonic() - began:.1f} s at {env.get('PUBLIC_URL')} (Ctrl-C stops everything)")
            say(f"mails   {self.mail}")
            say(f"logs    {self.logs}")
            say(f"manage  set -a; . {shlex.quote(str(self.folder / 'env'))}; set +a; .venv/bin/python manage.py help")
            while True:
                self._refuse_ended()
                time.sleep(0.25)

    def environment(self, servers: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of every process: what is given, and production defaults for the rest."""
        key = urlsafe_b64encode(secrets.token_bytes(32)).decode()
        made = {
            "PORT": str(self.port),
            "PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "WEB_PROCESSES": "2",
            "EMAIL_URL": self.mail.as_uri(),
            "DEFAULT_FROM_EMAIL": "no-reply@example.com",
            "SECRET_KEY_FILE": self._kept_secret("secret_key", secrets.token_urlsafe(64)),
            "ENCRYPTION_KEYS_FILE": self._kept_secret("encryption_keys", key),
            **servers,
        }
        return {**self.given, **{name: value for name, value in made.items() if not self._is_given(name)}, **FIXED}

    def _start_servers(self, running: ExitStack) -> dict[str, str]:
        """Start what is not given, and return the variables that name all servers."""
        urls = {}
        if not self._is_given("DATABASE_URL"):
            say("starting PostgreSQL")
            database = running.enter_context(postgresql(self.folder / "postgres"))
            self.parts["PostgreSQL"], urls["DATABASE_URL"] = database.program, database.url
        if not self._is_given("REDIS_URL"):
            say("starting Redis")
            cache = running.enter_context(redis_server(self.folder / "redis"))
            self.parts["Redis"], urls["REDIS_URL"] = cache.program, cache.url
        return {**urls, "CELERY_BROKER_URL": next_database(urls.get("REDIS_URL") or self._given_value("REDIS_URL"))}

    def _start_apps(self, running: ExitStack, env: Mapping[str, str]) -> None:
        say("starting web, worker and beat")
        apps = {name: self._command(command, env=env, log=name) for name, command in COMMANDS.items()}
        running.callback(_stop_together, apps)
        self.parts |= apps
        apps["web"].wait_until(self._is_ready, what="web", seconds=READY_SECONDS)

    def _command(self, command: str, *, env: Mapping[str, str], log: str) -> Guarded:
        program = [sys.executable, str(ROOT / "manage.py"), command]
        return Guarded(program, log=self.logs / f"{log}.log", env=env, cwd=ROOT, grace=APP_GRACE_SECONDS)

    def _is_ready(self) -> bool:
        self._refuse_ended()
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            try:
                connection.request("GET", "/readyz")
                return connection.getresponse().status == HTTPStatus.OK
            except (OSError, HTTPException):
                return False

    def _refuse_ended(self) -> None:
        for name, part in self.parts.items():
            if part.exit_code is not None:
                raise ServerFailed(f"{name} ended with exit code {part.exit_code}:\n{part.last_lines()}")

    def _is_given(self, name: str) -> bool:
        name = name.removesuffix("_FILE")
        return bool(self.given.get(name) or self.given.get(f"{name}_FILE"))

    def _given_value(self, name: str) -> str:
        file = self.given.get(f"{name}_FILE")
        return (Path(file).read_text() if file else self.given.get(name, "")).strip()

    def _kept_secret(self, name: str, fresh: str) -> str:
        """Return the file of a secret, made on the first start."""
        path = self.folder / "secrets" / name
        if not path.exists():
            write_secret(path, fresh)
        return str(path)

    def _write_env_file(self, env: Mapping[str, str]) -> None:
        """Write every setting as a shell file, for commands of manage.py beside the stack."""
        known = {*Environment.model_fields, *FIXED}
        settings = {name: value for name, value in sorted(env.items()) if name.removesuffix("_FILE") in known}
        write_secret(self.folder / "env", "".join(f"{name}={shlex.quote(settings[name])}\n" for name in settings))

    @contextmanager
    def _only_one(self) -> Iterator[None]:
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ServerFailed(f"a stack is running in {self.folder} already") from None
            yield


def main() -> int:
    """Run the stack until it is told to stop (exit code 0) or one of its parts ends (1)."""
    arguments = ArgumentParser(description=__doc__)
    arguments.add_argument("folder", nargs="?", type=Path, default=ROOT / "var" / "stack", help="where state is kept")
    folder = arguments.parse_args().folder
    for number in SIGNALS:
        signal.signal(number, _stop_once)
    try:
        Stack(folder.resolve(), os.environ).run()
    except KeyboardInterrupt:
        say("stopped")
        return 0
    except ServerFailed as reason:
        say(f"failed: {reason}")
        return 1


def say(line: str) -> None:
    """Print a line of progress, unless the terminal is gone: that must not keep anything from being stopped."""
    with suppress(OSError):
        print(f"stack: {line}", flush=True)


def next_database(redis_url: str) -> str:
    """Return the URL of the Redis database beside a given one: jobs must survive a flush of the cache."""
    address = urlsplit(redis_url)
    return urlunsplit(address._replace(path=f"/{int(address.path.strip('/') or 0) + 1}"))


def _stop_together(apps: Mapping[str, Guarded]) -> None:
    say("stopping")
    for app in apps.values():
        app.begin_stop()
    for app in apps.values():
        app.stop()


def _stop_once(_signal: int, _frame: FrameType | None) -> None:
    """Begin to stop; a second Ctrl-C must not interrupt that and leave something running."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as reason:
            raise ServerFailed(f"port {port} cannot be used ({reason.strerror}): make stack PORT=…") from None


if __name__ == "__main__":
    sys.exit(main())
