"""When a session was last used: at most once a minute, and never at a request's expense."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from threading import Event as Signal
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from authsvc.lots import Lots
from authsvc.tokens import activity
from authsvc.tokens.models import Session, SessionQuerySet
from tests.cast import Api
from tests.crowd import at_once
from tests.lineage import Tokens, change, refused, row

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

Notes = Lots[UUID]
MINUTE = timedelta(minutes=1)
PATIENCE = 10.0


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Notes]:
    """Notes that are written down soon, by a thread that this test starts."""
    quick = Lots(activity._write, name="quick", pause_seconds=0.05)
    monkeypatch.setattr(activity, "_notes", quick)
    yield quick
    eventually(lambda: not quick._waiting)


@pytest.fixture
def hers(api: Api, alice: User, notes: Notes) -> Tokens:
    """Alice signed in, and was last active an hour ago."""
    tokens: Tokens = api.login(alice.email).data
    active(tokens, timezone.now() - 60 * MINUTE)
    return tokens


def active(tokens: Tokens, when: datetime) -> None:
    change(tokens, last_activity_at=when)


def last_activity(tokens: Tokens) -> datetime:
    found: datetime = row(tokens)["last_activity_at"]
    return found


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_request_moves_it_soon(api: Api, hers: Tokens) -> None:
    assert api.me(hers["accessToken"]).status == HTTPStatus.OK

    eventually(lambda: timezone.now() - last_activity(hers) < MINUTE)


def test_the_request_itself_asks_nothing_more_of_the_database(api: Api, hers: Tokens) -> None:
    with CaptureQueriesContext(connection) as captured:
        api.me(hers["accessToken"])

    assert [query["sql"].split()[0] for query in captured] == ["SELECT"]


def test_within_a_minute_nothing_is_noted(api: Api, hers: Tokens, notes: Notes) -> None:
    active(hers, timezone.now() - MINUTE + timedelta(seconds=5))

    api.me(hers["accessToken"])

    assert (notes._waiting, notes._thread) == ({}, None)


def test_a_refused_request_is_no_activity(api: Api, hers: Tokens, notes: Notes) -> None:
    change(hers, ended_at=timezone.now(), end_reason="logout")

    assert refused(api.me(hers["accessToken"])) == "invalid_token"

    assert notes._thread is None


def test_many_requests_at_once_are_one_note_and_write_once(
    hers: Tokens, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    note_activity = SessionQuerySet.note_activity

    def counted(self: SessionQuerySet, ids: set[UUID], **more: Any) -> int:
        written.append(note_activity(self, ids, **more))
        return written[-1]

    monkeypatch.setattr(SessionQuerySet, "note_activity", counted)
    asking = partial(Api().me, hers["accessToken"])

    answers = at_once([asking] * 8)

    assert {answer.status for answer in answers} == {HTTPStatus.OK}
    eventually(lambda: timezone.now() - last_activity(hers) < MINUTE)
    time.sleep(0.2)
    assert sum(written) == 1


def test_what_another_process_noted_meanwhile_is_left_alone(hers: Tokens, notes: Notes) -> None:
    noted = timezone.now() - MINUTE / 2
    active(hers, noted)

    notes.add(UUID(hers["session"]["id"]))
    notes.flush()

    assert abs(last_activity(hers) - noted) < timedelta(milliseconds=2)


def test_many_sessions_are_written_by_one_statement(alice: User, notes: Notes) -> None:
    with CaptureQueriesContext(connection) as captured:
        for _ in range(100):
            notes._waiting[uuid4()] = None
        notes.flush()

    assert [query["sql"].split()[0] for query in captured if query["sql"].startswith("UPDATE")] == ["UPDATE"]


def test_an_ended_session_has_no_activity_any_more(hers: Tokens, notes: Notes) -> None:
    change(hers, ended_at=timezone.now(), end_reason="logout")
    before = row(hers)

    notes.add(UUID(hers["session"]["id"]))
    notes.flush()

    assert row(hers) == before


def test_it_keeps_nobody_signed_in(api: Api, hers: Tokens, notes: Notes) -> None:
    ends = row(hers)["refreshed_at"]

    api.me(hers["accessToken"])
    eventually(lambda: timezone.now() - last_activity(hers) < MINUTE)

    assert row(hers)["refreshed_at"] == ends


def test_no_more_than_so_many_are_remembered(notes: Notes) -> None:
    small = Lots(activity._write, name="small", pause_seconds=60, capacity=3)

    for _ in range(10):
        small.add(uuid4())

    assert len(small._waiting) == 3


def test_a_dead_database_costs_a_request_nothing_and_the_thread_goes_on(
    api: Api, hers: Tokens, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Signal()

    def dead(*_args: object, **_more: object) -> int:
        failed.set()
        raise OperationalError("the server closed the connection")

    with monkeypatch.context() as patched:
        patched.setattr(SessionQuerySet, "note_activity", dead)
        began = time.monotonic()
        assert api.me(hers["accessToken"]).status == HTTPStatus.OK
        assert time.monotonic() - began < 1
        assert failed.wait(PATIENCE)
    thread = notes._thread

    api.me(hers["accessToken"])
    eventually(lambda: timezone.now() - last_activity(hers) < MINUTE)
    assert notes._thread is thread


def test_what_another_transaction_holds_is_not_waited_for(api: Api, alice: User, hers: Tokens, notes: Notes) -> None:
    other: Tokens = api.login(alice.email).data
    active(other, timezone.now() - 60 * MINUTE)
    notes._waiting = dict.fromkeys(UUID(tokens["session"]["id"]) for tokens in (hers, other))
    if connection.vendor != "postgresql":  # SQLite has one writer at a time, so nobody holds some rows only
        notes.flush()
        assert timezone.now() - last_activity(other) < MINUTE
        return

    def write() -> None:
        notes.flush()
        connection.close()

    with transaction.atomic():
        Session.objects.select_for_update().get(pk=hers["session"]["id"])
        writing = Thread(target=write)
        began = time.monotonic()
        writing.start()
        writing.join(PATIENCE)
        assert time.monotonic() - began < 1

    assert timezone.now() - last_activity(hers) > MINUTE
    assert timezone.now() - last_activity(other) < MINUTE


def test_a_forked_process_starts_a_thread_of_its_own(notes: Notes) -> None:
    program = (
        "import os, time\n"
        "from uuid import uuid4\n"
        "import django; django.setup()\n"
        "from authsvc.tokens import activity\n"
        "from authsvc.tokens.models import SessionQuerySet\n"
        "written = []\n"
        "SessionQuerySet.note_activity = lambda self, ids, older_than: written.extend(ids)\n"
        "activity._notes._pause_seconds = 0.05\n"
        "activity._notes.add(uuid4())\n"
        "activity._notes._lock.acquire()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    written.clear()\n"
        "    mine = uuid4()\n"
        "    activity._notes.add(mine)\n"
        "    end = time.monotonic() + 10\n"
        "    while mine not in written and time.monotonic() < end: time.sleep(0.02)\n"
        "    os._exit(0 if written == [mine] else 1)\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )

    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
