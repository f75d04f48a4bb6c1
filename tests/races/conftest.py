"""Web processes on a database of their own, for the tests that race over HTTP."""

import os
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from config.env import Environment
from deploy.local_servers import Guarded
from tests.measuring import unmeasured
from tests.web_processes import MANAGE, ROOT, Service, own_database


@pytest.fixture(autouse=True)
def _checked_before() -> None:
    """Check every password: how long that takes is a part of the race."""


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a web process in production, on a database that nobody has used yet."""
    folder = tmp_path_factory.mktemp("production")
    with own_database() as database:
        kept = {name: value for name, value in unmeasured().items() if name not in Environment.model_fields}
        env = {
            **kept,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "APP_ENV": "production",
            "WEB_PROCESSES": "2",
            "SECRET_KEY": secrets.token_urlsafe(64),
            "ENCRYPTION_KEYS": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "DATABASE_URL": database,
            "REDIS_URL": os.environ["TEST_REDIS_URL"],
            "CELERY_BROKER_URL": os.environ["TEST_BROKER_URL"],
            "EMAIL_URL": f"file://{folder}/mail",
            "DEFAULT_FROM_EMAIL": "authsvc <no-reply@authsvc.example>",
            "PUBLIC_URL": "http://127.0.0.1:8000",
            "ALLOWED_HOSTS": "127.0.0.1",
            "LOG_LEVEL": "WARNING",
            "HASH_WAIT_SECONDS": "30",
        }
        Guarded([*MANAGE, "migrate", "--verbosity=0"], log=folder / "migrate.log", env=env, cwd=ROOT).wait_for_success(
            what="migrate"
        )
        yield env


@pytest.fixture(scope="module")
def start(production: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Service]]:
    """Start another server on the module's own database; what is given changes its environment."""
    folder = tmp_path_factory.mktemp("two-processes")
    migrated = urlsplit(production["DATABASE_URL"]).path.strip("/")
    with own_database(like=migrated) as database, ExitStack() as running:
        env = {**production, "DATABASE_URL": database}

        def another(**given: str) -> Service:
            service = Service(database=database, env={**env, **given}, folder=folder)
            running.callback(service.close)
            return service

        yield another


@pytest.fixture(scope="module")
def service(start: Callable[..., Service]) -> Service:
    """The server that the tests of this module share."""
    return start()
