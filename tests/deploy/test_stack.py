import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

import pytest

from config.env import load
from deploy import stack
from deploy.local_servers import free_port
from tests.measuring import measured

SERVERS = {
    "DATABASE_URL": "postgresql://u:p@127.0.0.1:5432/db",
    "REDIS_URL": "redis://:p@127.0.0.1:6379/0",
    "CELERY_BROKER_URL": "redis://:p@127.0.0.1:6379/1",
}


@contextmanager
def running_stack(folder: Path, *, port: int, **more: str) -> Iterator[subprocess.Popen[str]]:
    bare = {"PATH": os.environ["PATH"], "PORT": str(port), **more}
    with subprocess.Popen(
        [sys.executable, "-m", "deploy.stack", folder],
        cwd=stack.ROOT,
        env=bare,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()  # nothing to kill unless the test failed


def output_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    seen: list[str] = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return "".join(seen)
    pytest.fail(f"{text!r} is not in:\n{''.join(seen)}")


def programs_below(folder: Path) -> list[int]:
    """The processes that were started with this folder in their arguments or environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            known = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in known:
            found.append(int(entry.name))
    return found


def is_worker(pid: int) -> bool:
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    return command.endswith(b"/manage.py\0worker\0") and b"guard.py" not in command


def status_of(port: int, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


def test_one_ctrl_c_ends_all_parts_within_ten_seconds_and_the_next_start_goes_on(place: Path) -> None:
    folder, port = place / "stack", free_port()

    for _start in range(2):
        with running_stack(folder, port=port, **measured()) as process:
            output_until(process, "ready in")
            assert status_of(port, "/readyz") == HTTPStatus.OK
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
            assert time.monotonic() - began < 10
        assert programs_below(folder) == []

    assert {(folder / name).stat().st_mode & 0o777 for name in ("env", "secrets/secret_key")} == {0o600}


def test_a_part_that_dies_is_named_and_ends_the_stack(place: Path) -> None:
    folder, port = place / "stack", free_port()

    with running_stack(folder, port=port) as process:
        output_until(process, "ready in")
        worker = min(pid for pid in programs_below(folder) if is_worker(pid))  # the first of its processes
        os.kill(worker, signal.SIGKILL)
        output_until(process, "failed: worker ended with exit code 137")
        assert process.wait(20) == 1

    assert programs_below(folder) == []


def test_the_made_environment_is_a_valid_production_one(place: Path) -> None:
    made = stack.Stack(place / "stack", {"PORT": "8123"}).environment(SERVERS)

    env = load(made)

    assert (env.APP_ENV, env.PUBLIC_URL, env.web_processes) == ("production", "http://127.0.0.1:8123", 2)


def test_the_secrets_of_the_first_start_are_kept(place: Path) -> None:
    first, second = (load(stack.Stack(place / "stack", {}).environment(SERVERS)) for _start in range(2))

    assert first.SECRET_KEY == second.SECRET_KEY
    assert first.ENCRYPTION_KEYS == second.ENCRYPTION_KEYS


def test_what_the_operator_sets_is_left_as_it_is(place: Path) -> None:
    key_file = place / "key"
    given = {"SECRET_KEY_FILE": str(key_file), "WEB_PROCESSES": "4", "EMAIL_URL": "smtp://mail.example:25"}

    made = stack.Stack(place / "stack", given).environment(SERVERS)

    assert given.items() <= made.items()


def test_the_broker_has_the_redis_database_beside_the_cache() -> None:
    assert stack.next_database("redis://:p@127.0.0.1:6379/0") == "redis://:p@127.0.0.1:6379/1"
    assert stack.next_database("rediss://cache.example:6380") == "rediss://cache.example:6380/1"
