import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from deploy import local_servers
from tests.measuring import unmeasured

ROOT = Path(local_servers.__file__).parent.parent


def refuses_connections(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return True
    return False


def within(seconds: float, fact: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_postgresql_answers_its_password_only_and_stops_with_its_block() -> None:
    with local_servers.postgresql() as server:
        with psycopg.connect(server.url) as connection:
            row = connection.execute("SELECT current_setting('server_version_num')::int >= 160000").fetchone()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.url.replace("authsvc:", "authsvc:x"))

    assert row == (True,)
    assert refuses_connections(server.url)


def test_a_folder_gives_postgresql_its_data_again(place: Path) -> None:
    with local_servers.postgresql(place / "kept") as server, psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE note AS SELECT 'still here' AS text")

    with local_servers.postgresql(place / "kept") as server, psycopg.connect(server.url) as connection:
        row = connection.execute("SELECT text FROM note").fetchone()

    assert row == ("still here",)
    assert (place / "kept" / "password").stat().st_mode & 0o777 == 0o600


def test_an_interrupted_first_start_is_begun_again(place: Path) -> None:
    (place / "data.unfinished").mkdir()
    (place / "data.unfinished" / "PG_VERSION").write_text("18")

    with local_servers.postgresql(place) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_redis_answers_its_password_only_and_stops_with_its_block() -> None:
    with local_servers.redis_server() as server, redis.Redis.from_url(server.url) as client:
        stored = client.set("note", "here")
        port = urlsplit(server.url).port or 0
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.get("note")

    assert stored is True
    with redis.Redis.from_url(server.url) as client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_a_folder_gives_redis_its_data_again(place: Path) -> None:
    with local_servers.redis_server(place) as server, redis.Redis.from_url(server.url) as client:
        client.set("note", "still here")

    with local_servers.redis_server(place) as server, redis.Redis.from_url(server.url) as client:
        assert client.get("note") == b"still here"


@pytest.mark.parametrize("death", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_server_and_no_data_outlives_the_process_that_started_it(death: signal.Signals, place: Path) -> None:
    program = (
        "import time\nfrom deploy.local_servers import postgresql\n"
        "with postgresql() as server:\n    print(server.url, flush=True)\n    time.sleep(60)\n"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env={**unmeasured(), "TMPDIR": str(place)},
    )
    with starter:
        assert starter.stdout is not None
        url = starter.stdout.readline().strip()
        assert not refuses_connections(url)

        starter.send_signal(death)

    assert within(10, lambda: refuses_connections(url))
    assert within(10, lambda: list(place.iterdir()) == [])


def test_a_program_that_ignores_the_request_to_end_is_killed_after_its_grace(place: Path) -> None:
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    log = place / "log"
    program = local_servers.Guarded([sys.executable, "-c", deaf], log=log, grace=0.2)
    program.wait_until(lambda: log.read_text() == "deaf\n", what="the program")

    program.stop()

    assert program.exit_code == 128 + signal.SIGKILL


def test_a_server_that_cannot_start_says_why(place: Path) -> None:
    (place / "data").mkdir()
    (place / "password").write_text("secret")

    with pytest.raises(local_servers.ServerFailed) as failure, local_servers.postgresql(place):
        pass

    assert str(failure.value).startswith("PostgreSQL did not start:\n")
    assert f"{place}/data" in str(failure.value)
