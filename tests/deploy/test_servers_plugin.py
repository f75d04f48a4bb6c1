import subprocess
import sys
from pathlib import Path

from tests import servers
from tests.measuring import unmeasured

ROOT = Path(servers.__file__).parent.parent

SHOW_URLS = """
import os

def test_show():
    for name in ("TEST_DATABASE_URL", "TEST_REDIS_URL", "TEST_BROKER_URL"):
        print(name, os.environ.get(name))
"""


def urls_seen_by_a_test(tmp_path: Path, **environment: str) -> dict[str, str]:
    (tmp_path / "test_urls.py").write_text(SHOW_URLS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    inherited = {name: value for name, value in unmeasured().items() if not name.startswith(("TEST_", "PYTEST_"))}
    plugins = ["--disable-plugin-autoload", "-p", "tests.servers", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-s", "-q", "--rootdir", tmp_path, *plugins, tmp_path / "test_urls.py"],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return dict(line.split() for line in run.stdout.splitlines() if line.startswith("TEST_"))


def test_servers_named_by_the_environment_are_used_and_none_is_started(tmp_path: Path) -> None:
    database, cache = "postgresql://u:p@db.example:5432/auth", "redis://:p@cache.example:6379/4"

    seen = urls_seen_by_a_test(tmp_path, TEST_DATABASE_URL=database, TEST_REDIS_URL=cache)

    assert seen == {
        "TEST_DATABASE_URL": database,
        "TEST_REDIS_URL": cache,
        "TEST_BROKER_URL": "redis://:p@cache.example:6379/5",
    }


def test_each_worker_has_redis_databases_of_its_own(tmp_path: Path) -> None:
    named = {"TEST_DATABASE_URL": "postgresql://db.example/auth", "TEST_REDIS_URL": "redis://cache.example/0"}

    seen = urls_seen_by_a_test(tmp_path, **named, PYTEST_XDIST_WORKER="gw3")

    assert seen["TEST_REDIS_URL"] == "redis://cache.example/6"
    assert seen["TEST_BROKER_URL"] == "redis://cache.example/7"


def test_without_urls_both_servers_are_started_on_loopback(tmp_path: Path) -> None:
    seen = urls_seen_by_a_test(tmp_path)

    assert "@127.0.0.1:" in seen["TEST_DATABASE_URL"]
    assert "@127.0.0.1:" in seen["TEST_REDIS_URL"]


def test_the_embedded_profile_starts_no_server(tmp_path: Path) -> None:
    seen = urls_seen_by_a_test(tmp_path, TEST_PROFILE="embedded")

    assert seen == {"TEST_DATABASE_URL": "None", "TEST_REDIS_URL": "None", "TEST_BROKER_URL": "None"}
