"""pytest plugin: a real PostgreSQL and a real Redis for the whole run, before Django reads its settings.

The first process of a run starts what TEST_DATABASE_URL and TEST_REDIS_URL do not name already, and puts the URLs
there; the workers of pytest-xdist inherit them. A run with TEST_PROFILE=embedded needs no server and starts none.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit, urlunsplit

import pytest

from deploy.local_servers import postgresql, redis_server

MAX_WORKERS = 8
REDIS_DATABASES_EACH = 2  # cache and broker


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Start the servers: a wrapper of this hook runs before pytest-django loads the settings in it."""
    if os.environ.get("TEST_PROFILE") != "embedded":
        servers = ExitStack()
        early_config.add_cleanup(servers.close)
        _start_missing(servers)
        _take_own_redis_databases()
    return (yield)


def _start_missing(servers: ExitStack) -> None:
    if not os.environ.get("TEST_DATABASE_URL"):
        os.environ["TEST_DATABASE_URL"] = servers.enter_context(postgresql()).url
        servers.callback(os.environ.pop, "TEST_DATABASE_URL", None)
    if not os.environ.get("TEST_REDIS_URL"):
        databases = REDIS_DATABASES_EACH * (MAX_WORKERS + 1)
        os.environ["TEST_REDIS_URL"] = servers.enter_context(redis_server(databases=databases)).url
        servers.callback(os.environ.pop, "TEST_REDIS_URL", None)


def _take_own_redis_databases() -> None:
    """Give every xdist worker a cache and a broker of its own, as pytest-django gives it a database of its own."""
    address = urlsplit(os.environ["TEST_REDIS_URL"])
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    first = int(address.path.strip("/") or 0) + REDIS_DATABASES_EACH * (int(worker.removeprefix("gw")) if worker else 0)
    os.environ["TEST_REDIS_URL"] = urlunsplit(address._replace(path=f"/{first}"))
    os.environ["TEST_BROKER_URL"] = urlunsplit(address._replace(path=f"/{first + 1}"))
