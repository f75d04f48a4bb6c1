"""The cast, and a clean process for every test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management.color import Style
from django.core.management.commands import flush
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import translation
from pytest_django.plugin import DjangoDbBlocker
from whitenoise.middleware import WhiteNoiseMiddleware

from accounts.models import Role, User
from audit import triggers
from authsvc import afterwards
from authsvc.hashing import Argon2id
from authsvc.lots import Lots
from authsvc.mail import queue
from authsvc.tokens.services import access
from authsvc.tokens.services.keys import ring
from tests.cast import Api, enrol

# What starts processes and waits for them: first, so that at the end of a run no worker is left alone with one.
LONG = (
    "config/test_serve.py",
    "contract/test_generated_client.py",
    "deploy/",
    "races/test_revocation_while_reading.py",
    "races/test_revocation_without_redis.py",
    "races/test_rotation_under_load.py",
    "races/test_two_processes.py",
)
WRITTEN_BY_MIGRATIONS = {"auth_permission", "django_content_type"}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long; the rest keeps the order that pytest-randomly gave it."""
    tests = Path(__file__).parent
    items.sort(key=lambda item: not item.path.relative_to(tests).as_posix().startswith(LONG))


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Empty the tables after a test with transactions of its own in a few milliseconds.

    Django would truncate, for which PostgreSQL makes every table and index anew, and then write the permissions and
    content types again. The audit log, which refuses that a row is deleted, is no exception here.
    """
    if connection.vendor == "sqlite":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(triggers.DROP_SQLITE_DELETE_TRIGGER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "sql_flush", _deletions)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *_args, **_options: None)
        yield


def _deletions(style: Style, database: BaseDatabaseWrapper, **options: bool) -> list[str]:
    existing = database.introspection.django_table_names(only_existing=True, include_views=False)
    tables = [name for name in existing if name not in WRITTEN_BY_MIGRATIONS]
    is_postgresql = database.vendor == "postgresql"
    if is_postgresql and database.connection.info.parameter_status("is_superuser") == "on":
        names = [database.ops.quote_name(name) for name in tables]
        return [
            "SET LOCAL session_replication_role = replica",  # no trigger fires
            f"LOCK TABLE {', '.join(names)} IN EXCLUSIVE MODE",  # what a thread still writes is waited for
            *[f"DELETE FROM {name}" for name in names],  # noqa: S608 - of our own tables
        ]
    return database.ops.sql_flush(style, tables, **options)


@pytest.fixture(scope="session", autouse=True)
def _static_files_listed_once() -> Iterator[None]:
    """Let every client's middleware take the list of static files that the first one made."""
    listed: dict[tuple[object, ...], dict[str, Any]] = {}
    list_files = WhiteNoiseMiddleware.add_files_from_finders

    def take(self: WhiteNoiseMiddleware) -> None:
        known = (self.static_prefix, self.max_age)
        if known not in listed:
            list_files(self)
            listed[known] = dict(self.files)
        self.files.update(listed[known])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", take)
        yield


@pytest.fixture(scope="session", autouse=True)
def _everything_announced() -> Iterator[None]:
    """Leave nothing to be announced to a broker that ends with the tests."""
    yield
    queue._announcements.flush()


@pytest.fixture(autouse=True)
def _forgetful_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start each test with a process that remembers nothing of the one before.

    What begins after an answer waits for whoever asks for the mails: its thread sees no test's transaction.
    """
    ring.forget()
    access.forget()
    translation.deactivate()
    monkeypatch.setattr(afterwards, "_begun", Lots(afterwards._do, name="never", pause_seconds=3600))
    yield
    cache.clear()


_verdicts: dict[tuple[type[Argon2id], str, str], bool] = {}


@pytest.fixture(autouse=True)
def _checked_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check no password against the same hash twice: the answer is the same, and took a core for tens of milliseconds.

    Nearly every test signs somebody in whose hash `cast.enrol` made once for all.
    """
    verify = Argon2id.verify

    def recall(self: Argon2id, password: str, encoded: str) -> bool:
        asked = (type(self), password, encoded)
        if asked not in _verdicts:
            _verdicts[asked] = verify(self, password, encoded)
        return _verdicts[asked]

    monkeypatch.setattr(Argon2id, "verify", recall)


@pytest.fixture
def api() -> Api:
    """A consumer on a network of its own."""
    return Api(REMOTE_ADDR="192.0.2.10", HTTP_USER_AGENT="tests")


@pytest.fixture
def alice(db: None) -> User:
    """A person with a verified account."""
    return enrol("alice@example.org", name="Alice")


@pytest.fixture
def bob(db: None) -> User:
    """Another one."""
    return enrol("bob@example.org", name="Bob")


@pytest.fixture
def charlie(db: None) -> User:
    """Somebody who must see nothing of the others."""
    return enrol("charlie@example.org", name="Charlie")


@pytest.fixture
def admin(db: None) -> User:
    """Staff."""
    return enrol("admin@example.org", name="Adele", role=Role.ADMIN)
