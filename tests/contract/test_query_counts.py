"""What a call costs: statements to the database, and round trips to the cache. More needs a reason."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import pytest
from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache
from django.db import connection
from pytest_django.fixtures import Settings
from redis.connection import AbstractConnection

from accounts.models import User
from authsvc import hashing
from config.values import Rate
from tests.cast import OTHER_PASSWORD, PASSWORD, V1, Answer, Api, enrol, post_round
from tests.lineage import Tokens, change

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

_BRACKETS = ("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT")
READ, WRITE = "SELECT", ("INSERT", "UPDATE", "DELETE", "WITH row0 AS (INSERT")


class Cost:
    """What was asked of the servers while this was watching."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.cache_calls = 0

    @property
    def reads(self) -> int:
        return sum(statement.startswith(READ) for statement in self.statements)

    @property
    def writes(self) -> int:
        return sum(statement.startswith(WRITE) for statement in self.statements)

    @property
    def all(self) -> tuple[int, int, int]:
        """Reads, writes, cache round trips. Every statement is one of the first two."""
        assert len(self.statements) == self.reads + self.writes, self.statements
        return self.reads, self.writes, self.cache_calls


def at_once(rows: int) -> int:
    """Writes that rows inserted together cost."""
    return 1 if connection.vendor == "postgresql" else rows


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Count while a `with` block runs."""

    def counting(cost: Cost, original: Callable[..., Any]) -> Callable[..., Any]:
        def count(*args: Any, **kwargs: Any) -> Any:
            cost.cache_calls += 1
            return original(*args, **kwargs)

        return count

    @contextmanager
    def watch() -> Iterator[Cost]:
        cost = Cost()

        def note(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
            if not sql.startswith(_BRACKETS):
                cost.statements.append(sql)
            return execute(sql, *rest)

        with monkeypatch.context() as patched, connection.execute_wrapper(note):
            send = AbstractConnection.send_packed_command
            patched.setattr(AbstractConnection, "send_packed_command", counting(cost, send))
            for name in ("get", "set", "add", "incr", "touch", "delete", "has_key", "clear"):
                patched.setattr(LocMemCache, name, counting(cost, getattr(LocMemCache, name)))
            yield cost

    return watch


@pytest.fixture
def warm(api: Api, bob: User) -> None:
    """A process that has served before: its keys and hashes are made."""
    hashing.warm_up()
    tokens = api.login(bob.email).data
    api.me(tokens["accessToken"])
    cache.get("warm")


Watched = Callable[[], Any]


def good(answer: Answer) -> bool:
    return answer.status in {HTTPStatus.OK, HTTPStatus.CREATED}


@pytest.fixture
def tokens(api: Api, alice: User, warm: None) -> Tokens:
    data: Tokens = api.login(alice.email).data
    return data


def test_the_counter_counts(watched: Watched, warm: None) -> None:
    with watched() as cost:
        cache.set("key", "value")
        assert cache.get("key") == "value"
        list(User.objects.all())
        User.objects.update(name="Bob")

    assert cost.all == (1, 1, 2)


def test_me_costs_one_read(api: Api, tokens: Tokens, watched: Watched) -> None:
    with watched() as cost:
        assert good(api.me(tokens["accessToken"]))

    assert cost.all == (1, 0, 0)


def test_a_good_refresh_costs_one_read_and_one_write(api: Api, tokens: Tokens, watched: Watched) -> None:
    with watched() as cost:
        assert good(api.refresh(tokens["refreshToken"]))

    assert cost.all == (1, 1, 0)


def test_a_repeated_refresh_costs_one_read_more(api: Api, tokens: Tokens, watched: Watched) -> None:
    api.refresh(tokens["refreshToken"])
    with watched() as cost:
        assert good(api.refresh(tokens["refreshToken"]))

    assert cost.all == (2, 1, 0)


def test_a_sign_in_on_a_known_device_costs_four_statements(api: Api, alice: User, warm: None, watched: Watched) -> None:
    token = api.login(alice.email).data["deviceToken"]
    with watched() as cost:
        assert good(api.login(alice.email, deviceToken=token))

    assert cost.all == (1, 2 + at_once(2), 0)


def test_one_on_an_unknown_device_costs_two_more_for_making_room_for_it_and_mailing_its_owner(
    api: Api, alice: User, warm: None, watched: Watched
) -> None:
    with watched() as cost:
        assert good(api.login(alice.email))

    assert cost.all == (1, 2 + at_once(3) + 2, 0)


def test_a_failed_sign_in_costs_the_same_whoever_it_names(api: Api, alice: User, warm: None, watched: Watched) -> None:
    enrol("inactive@example.org", is_active=False)
    enrol("unverified@example.org", verified_at=None)
    attempts = [
        ("alice@example.org", OTHER_PASSWORD),
        ("nobody@example.org", PASSWORD),
        ("inactive@example.org", PASSWORD),
        ("unverified@example.org", PASSWORD),
    ]
    costs = []
    for email, password in attempts:
        with watched() as cost:
            assert api.login(email, password).codes == ["invalid_credentials"]
        costs.append(cost.all)

    assert costs == [(1, 1, 0)] * 4


def test_a_registration_costs_four_statements(api: Api, warm: None, watched: Watched) -> None:
    with watched() as cost:
        assert good(api.register("ada@example.org"))

    assert cost.all == (3, at_once(4), 0)


def test_a_verification_costs_five_statements(api: Api, warm: None, watched: Watched) -> None:
    api.register("ada@example.org")
    token = post_round()[-1].token
    with watched() as cost:
        assert good(api.verify(token))

    assert cost.all == (2, 3, 0)


FORGOT, RESET, CHANGE = (f"{V1}/auth/password/{deed}" for deed in ("forgot", "reset", "change"))


def test_asking_for_a_new_password_costs_the_same_whoever_it_names(
    api: Api, alice: User, warm: None, watched: Watched, settings: Settings
) -> None:
    settings.LIMIT_MAIL = Rate(1, 3600)
    enrol("inactive@example.org", is_active=False)
    enrol("unverified@example.org", verified_at=None)
    costs = []
    for name in ("alice", "nobody", "inactive", "unverified", "alice"):  # the last time beyond the limit
        with watched() as cost:
            assert api.post(FORGOT, {"email": f"{name}@example.org"}).status == HTTPStatus.ACCEPTED
        costs.append(cost.all)

    assert costs == [(4, 4, 0)] * 5


def test_a_reset_costs_ten_statements(api: Api, alice: User, tokens: Tokens, watched: Watched) -> None:
    post_round()
    api.post(FORGOT, {"email": alice.email})
    token = post_round()[0].token
    with watched() as cost:
        assert good(api.post(RESET, {"token": token, "newPassword": OTHER_PASSWORD}))

    assert cost.all == (2, 8, 0)


def test_a_reset_with_a_wrong_token_costs_one_read(api: Api, warm: None, watched: Watched) -> None:
    with watched() as cost:
        assert api.post(RESET, {"token": "A" * 43, "newPassword": OTHER_PASSWORD}).codes == ["invalid_token"]

    assert cost.all == (1, 0, 0)


def test_a_change_of_the_password_costs_ten_statements(api: Api, tokens: Tokens, watched: Watched) -> None:
    body = {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD}
    with watched() as cost:
        assert good(api.post(CHANGE, body, token=tokens["accessToken"]))

    assert cost.all == (2, 8, 0)


def test_a_wrong_current_password_costs_a_read_and_its_entry_in_the_log(
    api: Api, tokens: Tokens, watched: Watched
) -> None:
    body = {"currentPassword": OTHER_PASSWORD, "newPassword": PASSWORD}
    with watched() as cost:
        assert api.post(CHANGE, body, token=tokens["accessToken"]).codes == ["password_incorrect"]

    assert cost.all == (1, 1, 0)


def test_a_sign_out_costs_three_statements(api: Api, tokens: Tokens, watched: Watched) -> None:
    with watched() as cost:
        assert good(api.post(f"{V1}/auth/logout", token=tokens["accessToken"]))

    assert cost.all == (1, 2, 0)


def test_a_second_sign_out_costs_one(api: Api, tokens: Tokens, watched: Watched) -> None:
    api.post(f"{V1}/auth/logout", token=tokens["accessToken"])
    with watched() as cost:
        assert good(api.post(f"{V1}/auth/logout", token=tokens["accessToken"]))

    assert cost.all == (0, 1, 0)


def test_a_sign_out_everywhere_costs_three_statements_however_many_sessions_there_are(
    api: Api, alice: User, tokens: Tokens, watched: Watched
) -> None:
    api.login(alice.email)
    api.login(alice.email)
    with watched() as cost:
        assert good(api.post(f"{V1}/auth/logout-all", token=tokens["accessToken"]))

    assert cost.all == (1, 2, 0)


@pytest.mark.parametrize("token", ["forged", "a.b.c", "A" * 91])
def test_a_forgery_costs_next_to_nothing(api: Api, tokens: Tokens, watched: Watched, token: str) -> None:
    with watched() as cost:
        assert api.me(token).codes == ["invalid_token"]

    assert cost.all == (0, 0, 0)


def test_a_forged_refresh_token_of_no_form_costs_nothing_and_a_well_formed_one_a_read(
    api: Api, tokens: Tokens, watched: Watched
) -> None:
    with watched() as malformed:
        assert api.refresh(tokens["refreshToken"][:-1]).codes == ["invalid_token"]
    with watched() as wrong_tag:
        assert api.refresh(tokens["refreshToken"][:-8] + "AAAAAAAA").codes == ["invalid_token"]

    assert (malformed.all, wrong_tag.all) == ((0, 0, 0), (1, 0, 0))


def test_an_ended_session_costs_a_read_and_its_entry_in_the_log(api: Api, tokens: Tokens, watched: Watched) -> None:
    change(tokens, ended_at="2026-01-01T00:00:00Z")
    with watched() as cost:
        assert api.refresh(tokens["refreshToken"]).codes == ["invalid_token"]

    assert cost.all == (1, 1, 0)


def test_the_public_keys_cost_nothing(api: Api, warm: None, watched: Watched) -> None:
    with watched() as cost:
        assert good(api.get("/.well-known/jwks.json"))

    assert cost.all == (0, 0, 0)
