"""Where a `GET /users/me` spends its time: CPU µs of each step, in one process and one thread.

Run by `python -m deploy.bench.breakdown`; the figures of docs/performance.md come from here.
"""

import io
import logging.config
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.local_servers import postgresql, redis_server

_ROUNDS = 5
_RUNS = 1000
_ME = "/api/v1/users/me"


def main() -> None:
    """Print the table."""
    with _django():
        for step, work in _steps():
            sys.stdout.write(f"| {step} | {_microseconds(work):.0f} |\n")


@contextmanager
def _django() -> Iterator[None]:
    """Set Django up on servers of its own, with the access log of production into nothing."""
    with postgresql() as database, redis_server() as redis:
        os.environ.update(
            TEST_DATABASE_URL=database.url, TEST_REDIS_URL=redis.url, DJANGO_SETTINGS_MODULE="config.settings_test"
        )
        import django  # noqa: PLC0415 - after the settings are named
        from django.core.management import call_command  # noqa: PLC0415

        django.setup()
        call_command("migrate", verbosity=0)
        import config.wsgi  # noqa: F401, PLC0415 - it sets the log up too, so before what follows
        from config.logs import configuration  # noqa: PLC0415

        with Path(os.devnull).open("w") as nothing:
            logs = configuration(level="INFO", style="json")
            logs["handlers"]["stderr"]["stream"] = nothing
            logging.config.dictConfig(logs)
            yield


def _steps() -> list[tuple[str, Callable[[], object]]]:
    from django.db import connection  # noqa: PLC0415 - after Django's set-up
    from django.utils import timezone  # noqa: PLC0415

    from accounts.models import User  # noqa: PLC0415
    from accounts.services import signin  # noqa: PLC0415
    from audit.origin import Origin  # noqa: PLC0415
    from authsvc import hashing  # noqa: PLC0415
    from authsvc.tokens import selectors  # noqa: PLC0415
    from authsvc.tokens.freshness import memory  # noqa: PLC0415
    from authsvc.tokens.models import Session  # noqa: PLC0415
    from authsvc.tokens.services import access, sessions  # noqa: PLC0415
    from authsvc.tokens.services.known_devices import Presented  # noqa: PLC0415

    password = "correct-Horse-7-battery"  # noqa: S105 - nobody's
    origin = Origin.system("breakdown")
    user = User.objects.create_user(email="ada@example.org", name="Ada", password_hash=hashing.make(password))
    User.objects.filter(pk=user.pk).update(verified_at=timezone.now())
    issued = signin.sign_in(email=user.email, password=password, device=Presented(), origin=origin)
    session, token = issued.session, issued.access_token

    def verified_afresh() -> object:
        access.forget()
        return access.verify(token)

    lineage = [issued.refresh_token]

    def refreshed() -> None:
        lineage.append(sessions.refresh(token=lineage[-1], origin=origin).refresh_token)

    def by_orm() -> object:
        live = Session.objects.live().select_related("user")
        return live.filter(pk=session.id, user_id=user.id, user__is_active=True).first()

    def found() -> object:
        return selectors.signed_in_session(session_id=session.id, user_id=user.id)

    def read() -> object:
        memory.forget()
        return found()

    def read_for(request: Callable[[], object]) -> Callable[[], object]:
        def work() -> None:
            memory.forget()
            request()

        return work

    me = _request(_ME, token)
    memory.trust(until=float("inf"))  # the watch of a server that is up; the last steps take it away
    connection.ensure_connection()
    return [
        ("the same middleware and log line around a view that does nothing (`/healthz`)", _request("/healthz", token)),
        ("verify a token for the first time (ES256)", verified_afresh),
        ("verify it again", lambda: access.verify(token)),
        ("find session and user, remembered", found),
        ("**`GET /users/me`, whole**, remembered", me),
        ("sign an access token (ES256)", lambda: access.mint(session, role="user")),
        ("a whole refresh, without HTTP", refreshed),
        ("read session and user by the ORM, for comparison", by_orm),
        ("read session and user by the compiled, prepared statement", read),
        ("`GET /users/me`, whole, where it must be read; the pool's connection included", read_for(me)),
    ]


def _request(path: str, token: str) -> Callable[[], object]:
    from config.wsgi import application  # noqa: PLC0415 - after Django's set-up

    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_ACCEPT": "*/*",
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
    }

    def call() -> bytes:
        return b"".join(application(environ.copy(), lambda _status, _headers: None))

    return call


def _microseconds(work: Callable[[], object]) -> float:
    """Return the median CPU µs of one run, of the rounds."""
    for _ in range(100):
        work()
    return statistics.median(_round(work) for _ in range(_ROUNDS))


def _round(work: Callable[[], object]) -> float:
    started = time.process_time_ns()
    for _ in range(_RUNS):
        work()
    return (time.process_time_ns() - started) / _RUNS / 1000


if __name__ == "__main__":
    main()
