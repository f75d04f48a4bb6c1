"""An address that is given up while somebody registers with it."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import pytest
from django.db import connection, connections, transaction

from accounts.models import User
from accounts.services import email_change
from audit.origin import Origin
from authsvc import hashing
from tests.cast import OTHER_PASSWORD, V1, Api, post_round

pytestmark = pytest.mark.django_db(transaction=True)

ALICE, HELD, NEWER = "alice@example.org", "alice.king@example.org", "alice.queen@example.org"
PATIENCE_SECONDS = 20


@contextmanager
def stopped_at_its_hash(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Event, Event]]:
    """Stop whoever makes a hash; yield what tells that somebody did, and what lets them go on."""
    reached, go_on = Event(), Event()
    make = hashing.make

    def stopped(password: str) -> str:
        reached.set()
        assert go_on.wait(PATIENCE_SECONDS)
        return make(password)

    with monkeypatch.context() as patched:
        patched.setattr(hashing, "make", stopped)
        try:
            yield reached, go_on
        finally:
            go_on.set()


def link_to(api: Api, address: str, *, token: str) -> str:
    """Ask for an address; return the token of the confirmation that is mailed there."""
    api.post(f"{V1}/users/me/email", {"newEmail": address}, token=token)
    return next(letter.token for letter in post_round() if letter.to == address)


def confirm(token: str) -> None:
    email_change.confirm(token=token, origin=Origin.system("test"))


def wait_for_a_lock() -> None:
    """Return once another connection waits for what this one holds."""
    until = time.monotonic() + PATIENCE_SECONDS
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    with connection.cursor() as cursor:
        while time.monotonic() < until:
            cursor.execute(waiting)
            if cursor.fetchone()[0]:
                return
            time.sleep(0.01)
    pytest.fail("nobody waits")


def test_whoever_registers_while_the_address_is_given_up_does_not_get_it(
    api: Api, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def register() -> int:
        try:
            return api.register(HELD, OTHER_PASSWORD).status
        finally:
            connections.close_all()

    first = link_to(api, HELD, token=api.login(ALICE).data["accessToken"])
    with ThreadPoolExecutor(1) as thread, stopped_at_its_hash(monkeypatch) as (reached, go_on):
        registering = thread.submit(register)  # nobody has the address yet
        assert reached.wait(PATIENCE_SECONDS)
        confirm(first)
        second = link_to(api, NEWER, token=api.login(HELD).data["accessToken"])
        with transaction.atomic():
            confirm(second)
            go_on.set()
            wait_for_a_lock()
        assert registering.result(PATIENCE_SECONDS) == 201

    assert not User.objects.filter(email=HELD).exists()
    assert User.objects.get(email=NEWER).pk == alice.pk
