"""What a process remembers of sessions, and how it knows that it may."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from authsvc.tokens import freshness, selectors
from authsvc.tokens.freshness import Watch, memory
from authsvc.tokens.models import AccountChange, Session
from authsvc.tokens.services import expiry
from tests.cast import V1, Api
from tests.lineage import Tokens, refused

# Committed for real: what is watched is what other processes commit.
pytestmark = pytest.mark.django_db(transaction=True)


class Clock:
    """The clock of the process, which a test may move."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._real = freshness._clock

    def __call__(self) -> float:
        return self._real() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(freshness, "_clock", moved)
    return moved


@pytest.fixture
def watch() -> Iterator[Watch]:
    """A process that watches, and has just heard that nothing changed."""
    watch = Watch()
    watch.ask()
    yield watch
    memory.forget()


@pytest.fixture
def hers(api: Api, alice: User, watch: Watch) -> Tokens:
    """Tokens of a session that the process remembers."""
    tokens: Tokens = api.login(alice.email).data
    watch.ask()
    assert api.me(tokens["accessToken"]).status == HTTPStatus.OK
    return tokens


def statements(work: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as captured:
        work()
    return len(captured)


def database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def elsewhere(sql: str, *values: str | UUID) -> None:
    """Change something as another process would: without a word to this one."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def test_what_is_remembered_costs_no_statement(api: Api, hers: Tokens) -> None:
    assert statements(lambda: api.me(hers["accessToken"])) == 0


def test_a_process_that_does_not_watch_asks_the_database_every_time(api: Api, hers: Tokens) -> None:
    memory.forget()

    assert [statements(lambda: api.me(hers["accessToken"])) for _ in range(2)] == [1, 1]


ENDINGS = {
    "session ended": "UPDATE tokens_session SET ended_at = now(), end_reason = 'staff' WHERE user_id = %s",
    "session of another stamp": "UPDATE tokens_session SET stamp = gen_random_uuid() WHERE user_id = %s",
    "session gone": "DELETE FROM tokens_session WHERE user_id = %s",
    "stamp changed": "UPDATE accounts_user SET stamp = gen_random_uuid() WHERE id = %s",
    "account off": "UPDATE accounts_user SET is_active = false WHERE id = %s",
    "proof of the address gone": "UPDATE accounts_user SET verified_at = NULL WHERE id = %s",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_another_process_ended_is_refused_once_the_watch_has_asked(
    api: Api, alice: User, hers: Tokens, watch: Watch, ending: str
) -> None:
    elsewhere(ENDINGS[ending], alice.pk)

    watch.ask()

    assert refused(api.me(hers["accessToken"])) == "invalid_token"


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_another_process_ended_is_refused_a_second_later_whatever_became_of_the_watch(
    api: Api, alice: User, hers: Tokens, clock: Clock, ending: str
) -> None:
    elsewhere(ENDINGS[ending], alice.pk)

    clock.ahead = freshness.TRUSTED_SECONDS

    assert refused(api.me(hers["accessToken"])) == "invalid_token"


def test_an_account_that_is_gone_is_refused_once_the_watch_has_asked(
    api: Api, alice: User, hers: Tokens, watch: Watch
) -> None:
    User.objects.filter(pk=alice.pk).delete()  # by no service: nothing tells this process

    watch.ask()

    assert refused(api.me(hers["accessToken"])) == "invalid_token"


CHANGES = {
    "role": ("UPDATE accounts_user SET role = %s WHERE id = %s", "admin"),
    "name": ("UPDATE accounts_user SET name = %s WHERE id = %s", "Alicia"),
    "locale": ("UPDATE accounts_user SET locale = %s WHERE id = %s", "de"),
    "email": ("UPDATE accounts_user SET email = %s WHERE id = %s", "alicia@example.org"),
}


@pytest.mark.parametrize("field", CHANGES)
def test_what_another_process_changed_is_shown_once_the_watch_has_asked(
    api: Api, alice: User, hers: Tokens, watch: Watch, field: str
) -> None:
    statement, value = CHANGES[field]
    elsewhere(statement, value, alice.pk)

    watch.ask()

    assert api.me(hers["accessToken"]).data[field] == value


def test_what_this_process_changed_is_seen_at_once(api: Api, hers: Tokens) -> None:
    token = hers["accessToken"]

    api.patch(f"{V1}/users/me", {"name": "Alicia"}, token=token)
    assert api.me(token).data["name"] == "Alicia"

    api.post(f"{V1}/auth/logout", token=token)
    assert refused(api.me(token)) == "invalid_token"


def test_a_sign_in_is_shown_at_once(api: Api, alice: User, hers: Tokens) -> None:
    before = api.me(hers["accessToken"]).data["lastLoginAt"]

    api.login(alice.email)

    assert api.me(hers["accessToken"]).data["lastLoginAt"] > before


def test_a_change_that_is_rolled_back_forgets_nothing(api: Api, alice: User, hers: Tokens) -> None:
    with transaction.atomic():
        freshness.changed(alice.pk)
        transaction.set_rollback(True)

    assert statements(lambda: api.me(hers["accessToken"])) == 0


def test_what_was_read_before_a_change_is_never_remembered(alice: User, hers: Tokens, watch: Watch) -> None:
    session_id = UUID(hers["session"]["id"])
    memory.forget()
    watch.ask()
    before = freshness.before_reading(alice.pk)
    read = selectors.signed_in_session(session_id=session_id, user_id=alice.pk)
    assert read is not None
    elsewhere(ENDINGS["session ended"], alice.pk)
    watch.ask()

    memory.keep(read, before, db_now=timezone.now())

    assert memory.recall(session_id=session_id, user_id=alice.pk) is None


def test_a_change_is_taken_once_however_often_it_is_read(alice: User, watch: Watch) -> None:
    elsewhere("UPDATE accounts_user SET name = 'Alicia' WHERE id = %s", alice.pk)
    before = freshness.mark(alice.pk)

    marks = []
    for _ in range(3):
        watch.ask()
        marks.append(freshness.mark(alice.pk))

    assert marks == [marks[0]] * 3
    assert marks[0] != before


def test_a_session_is_not_remembered_past_its_end(api: Api, hers: Tokens, watch: Watch, clock: Clock) -> None:
    memory.forget()
    Session.objects.update(refreshed_at=timezone.now() - timedelta(days=7) + timedelta(seconds=20))
    watch.ask()
    assert api.me(hers["accessToken"]).status == HTTPStatus.OK
    Session.objects.update(refreshed_at=timezone.now() - timedelta(days=7))  # no change that is noted: time passes

    clock.ahead = 21
    watch.ask()

    assert refused(api.me(hers["accessToken"])) == "invalid_token"


def test_nothing_is_remembered_longer_than_half_a_minute(api: Api, hers: Tokens, watch: Watch, clock: Clock) -> None:
    clock.ahead = 30
    watch.ask()

    assert statements(lambda: api.me(hers["accessToken"])) == 1


def test_what_a_view_is_given_is_its_own(alice: User, hers: Tokens) -> None:
    session_id = UUID(hers["session"]["id"])
    first = selectors.signed_in_session(session_id=session_id, user_id=alice.pk)
    assert first is not None
    first.user.name, first.device_name = "Mallory", "changed"

    second = selectors.signed_in_session(session_id=session_id, user_id=alice.pk)

    assert second is not None
    assert (second.user.name, second.device_name) == ("Alice", "")
    assert second.user._state.adding is second._state.adding is False


def test_a_session_is_remembered_for_its_owner_alone(hers: Tokens) -> None:
    assert memory.recall(session_id=UUID(hers["session"]["id"]), user_id=uuid4()) is None


def test_an_answer_counts_from_when_it_was_asked_for(api: Api, hers: Tokens, watch: Watch, clock: Clock) -> None:
    def slowly(execute: Callable[..., object], *statement: object) -> object:
        clock.ahead += freshness.TRUSTED_SECONDS
        return execute(*statement)

    with connection.execute_wrapper(slowly):
        watch.ask()

    assert statements(lambda: api.me(hers["accessToken"])) == 1


def test_changes_are_kept_for_an_hour(alice: User) -> None:
    elsewhere("UPDATE accounts_user SET name = 'Alicia' WHERE id = %s", alice.pk)
    elsewhere("INSERT INTO tokens_accountchange (user_id, at) VALUES (%s, now() - interval '2 hours')", alice.pk)

    expiry.purge()

    assert not AccountChange.objects.filter(at__lt=timezone.now() - timedelta(hours=1)).exists()
    assert AccountChange.objects.filter(user_id=alice.pk).exists()


def test_what_another_node_changed_a_moment_ago_can_be_changed_back(api: Api, alice: User, hers: Tokens) -> None:
    elsewhere("UPDATE accounts_user SET name = 'Alicia', locale = 'de' WHERE id = %s", alice.pk)

    changed = api.patch(f"{V1}/users/me", {"name": "Alice"}, token=hers["accessToken"])

    assert (changed.data["name"], changed.data["locale"]) == ("Alice", "de")
    assert User.objects.get(pk=alice.pk).name == "Alice"


def test_a_person_who_is_gone_by_now_changes_nothing(api: Api, alice: User, hers: Tokens) -> None:
    User.objects.filter(pk=alice.pk).delete()

    assert refused(api.patch(f"{V1}/users/me", {"name": "Alicia"}, token=hers["accessToken"])) == "invalid_token"


def test_a_change_is_noted_as_late_as_it_is_committed(alice: User, watch: Watch) -> None:
    with transaction.atomic():
        elsewhere("UPDATE accounts_user SET is_active = false WHERE id = %s", alice.pk)
        elsewhere("SELECT pg_sleep(0.2)")
        while_open = database_now()

    assert AccountChange.objects.filter(user_id=alice.pk).latest("at").at > while_open


def test_a_change_under_a_number_that_was_taken_before_is_a_change(alice: User, bob: User, watch: Watch) -> None:
    """As after the loss of a primary: a copy that had not heard of the last numbers gives them again."""
    elsewhere("INSERT INTO tokens_accountchange (id, user_id) VALUES (1000000000, %s)", bob.pk)
    watch.ask()
    before = freshness.mark(alice.pk)
    elsewhere("UPDATE tokens_accountchange SET user_id = %s WHERE id = 1000000000", alice.pk)

    watch.ask()

    assert freshness.mark(alice.pk) != before


def test_a_process_that_was_slow_to_void_brings_nothing_back(
    alice: User, hers: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = UUID(hers["session"]["id"])
    read = Session.objects.select_related("user").get(pk=session_id)

    class Slow(list[int]):
        """Marks to which the first write comes late: a sibling has kept a session and voided it meanwhile."""

        written = False

        def __setitem__(self, slot: Any, value: Any) -> None:
            if not self.written:
                self.written = True
                freshness._void(alice.pk)
                memory.keep(read, freshness.before_reading(alice.pk), db_now=timezone.now())
                freshness._void(alice.pk)
            super().__setitem__(slot, value)

    monkeypatch.setattr(freshness, "_marks", Slow(freshness._marks))
    freshness._void(alice.pk)

    assert memory.recall(session_id=session_id, user_id=alice.pk) is None


def test_what_took_long_to_read_is_remembered_no_longer_for_it(
    alice: User, hers: Tokens, watch: Watch, clock: Clock
) -> None:
    """A process that was stopped between reading and keeping has missed what changed since."""
    session_id = UUID(hers["session"]["id"])
    before = freshness.before_reading(alice.pk)
    read = selectors.signed_in_session(session_id=session_id, user_id=alice.pk)
    assert read is not None
    clock.ahead = 61
    watch.ask()

    memory.keep(read, before, db_now=timezone.now())

    assert memory.recall(session_id=session_id, user_id=alice.pk) is None


def test_while_too_much_changes_every_request_asks_the_database(
    api: Api, hers: Tokens, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freshness, "_CHANGES_MAX", 3)
    for name in ("Alicia", "Alisa", "Ally"):
        elsewhere("UPDATE accounts_user SET name = %s", name)
    watch.ask()
    assert [statements(lambda: api.me(hers["accessToken"])) for _ in range(2)] == [1, 1]

    AccountChange.objects.update(at=timezone.now() - timedelta(seconds=61))
    watch.ask()
    api.me(hers["accessToken"])

    assert statements(lambda: api.me(hers["accessToken"])) == 0
