"""Going on with a session: one lineage, one successor, and what happens to whoever presents anything else."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from audit.models import Event
from authsvc import crypto
from authsvc.tokens.models import Session
from authsvc.tokens.services.refresh_tokens import RefreshToken
from tests.cast import V1, Answer, Api
from tests.lineage import Tokens, change, refreshed, refused, row, rows, session_events

pytestmark = pytest.mark.django_db

REFRESH = f"{V1}/auth/refresh"
SECOND = timedelta(seconds=1)
NEW_KEY = b"another key for the tests, 32 by"


@pytest.fixture
def first(api: Api, alice: User) -> Tokens:
    """Alice has just signed in."""
    tokens: Tokens = api.login(alice.email).data
    return tokens


def taken_apart(tokens: Tokens) -> bytearray:
    return bytearray(crypto.b64decode(tokens["refreshToken"]))


def dead(api: Api, *everything: Tokens) -> bool:
    """Whether none of these tokens opens anything."""
    answers = [api.me(tokens["accessToken"]) for tokens in everything]
    answers += [api.refresh(tokens["refreshToken"]) for tokens in everything]
    return {refused(answer) for answer in answers} == {"invalid_token"}


# The good case


def test_a_refresh_gives_another_token_of_the_same_session(api: Api, first: Tokens) -> None:
    before = row(first)

    answer = api.refresh(first["refreshToken"])

    assert answer.status == HTTPStatus.OK
    assert answer.headers["Cache-Control"] == "no-store"
    second = answer.data
    assert second["refreshToken"] != first["refreshToken"]
    assert second["accessToken"] != first["accessToken"]
    assert second["session"]["id"] == first["session"]["id"]
    assert second["session"]["createdAt"] == first["session"]["createdAt"]
    assert second["session"]["lastActivity"] > first["session"]["lastActivity"]
    assert second["refreshExpiresIn"] == 7 * 24 * 3600
    assert Session.objects.count() == 1
    after = row(first)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"refresh_generation", "refresh_hash", "refreshed_at", "last_activity_at"}
    assert after["refresh_generation"] == 1


def test_each_of_a_long_line_follows_from_the_one_before(api: Api, first: Tokens) -> None:
    line = [first]
    for _ in range(5):
        line.append(api.refresh(line[-1]["refreshToken"]).data)

    assert len({tokens["refreshToken"] for tokens in line}) == 6
    assert [taken_apart(tokens)[16:20] for tokens in line] == [number.to_bytes(4, "big") for number in range(6)]
    assert all(api.me(tokens["accessToken"]).status == HTTPStatus.OK for tokens in line)


def test_a_good_refresh_writes_nothing_into_the_log(api: Api, first: Tokens) -> None:
    before = Event.objects.count()

    api.refresh(first["refreshToken"])
    api.refresh(first["refreshToken"])

    assert Event.objects.count() == before


# The direct parent again


def test_the_parent_presented_again_gets_the_very_same_successor(api: Api, first: Tokens) -> None:
    successor = api.refresh(first["refreshToken"]).data["refreshToken"]
    before = row(first)

    again = [api.refresh(first["refreshToken"]) for _ in range(3)]

    assert [answer.status for answer in again] == [HTTPStatus.OK] * 3
    assert {answer.data["refreshToken"] for answer in again} == {successor}
    assert all(api.me(answer.data["accessToken"]).status == HTTPStatus.OK for answer in again)
    assert row(first) == before
    assert api.refresh(successor).status == HTTPStatus.OK


def test_the_parent_is_welcome_for_ten_seconds(api: Api, first: Tokens) -> None:
    successor = api.refresh(first["refreshToken"]).data["refreshToken"]
    refreshed(first, 8 * SECOND)

    assert api.refresh(first["refreshToken"]).data["refreshToken"] == successor


def test_the_parent_presented_after_ten_seconds_ends_the_session(api: Api, alice: User, first: Tokens) -> None:
    elsewhere = api.login(alice.email).data
    second = api.refresh(first["refreshToken"]).data
    refreshed(first, 11 * SECOND)

    answer = api.refresh(first["refreshToken"])

    assert refused(answer) == "invalid_token"
    assert (row(first)["end_reason"], row(first)["ended_at"] is None) == ("reuse", False)
    assert session_events() == ["session.refresh.reused"]
    event = Event.objects.get(action="session.refresh.reused")
    assert (event.outcome, event.subject, str(event.session_id)) == (
        "refused",
        alice.audit_key,
        first["session"]["id"],
    )
    assert event.metadata == {"reason": "reuse", "generation": 0}
    assert (event.ip, event.user_agent) == ("192.0.2.10", "tests")
    assert dead(api, first, second)
    assert api.me(elsewhere["accessToken"]).status == HTTPStatus.OK
    assert api.refresh(elsewhere["refreshToken"]).status == HTTPStatus.OK


def test_a_session_ends_by_reuse_once(api: Api, first: Tokens) -> None:
    api.refresh(first["refreshToken"])
    refreshed(first, 11 * SECOND)
    api.refresh(first["refreshToken"])
    ended = row(first)

    assert refused(api.refresh(first["refreshToken"])) == "invalid_token"

    assert row(first) == ended
    assert session_events() == ["session.refresh.reused", "session.refresh.refused"]


# Anything older


def test_the_grandparent_ends_the_session_even_within_ten_seconds(api: Api, first: Tokens) -> None:
    second = api.refresh(first["refreshToken"]).data
    third = api.refresh(second["refreshToken"]).data

    assert refused(api.refresh(first["refreshToken"])) == "invalid_token"

    assert row(first)["end_reason"] == "reuse"
    assert Event.objects.get(action="session.refresh.reused").metadata == {"reason": "reuse", "generation": 0}
    assert dead(api, first, second, third)


def test_the_descendants_of_a_token_used_again_are_dead(api: Api, first: Tokens) -> None:
    line = [first]
    for _ in range(4):
        line.append(api.refresh(line[-1]["refreshToken"]).data)

    assert refused(api.refresh(line[1]["refreshToken"])) == "invalid_token"

    assert dead(api, *line)
    assert row(first)["refresh_generation"] == 4


# What happens between the look and the update


@contextmanager
def before_the_update(deed: Callable[[], object]) -> Iterator[None]:
    """Let another request do something right before the first UPDATE of a session."""
    pending = [deed]

    def intrude(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if pending and sql.startswith('UPDATE "tokens_session"'):
            pending.pop()()
        return execute(sql, *rest)

    with connection.execute_wrapper(intrude):
        yield
    assert pending == []


def test_a_session_that_ends_meanwhile_is_not_continued(api: Api, first: Tokens) -> None:
    with before_the_update(lambda: change(first, ended_at=timezone.now(), end_reason="logout")):
        answer = api.refresh(first["refreshToken"])

    assert refused(answer) == "invalid_token"
    assert row(first)["refresh_generation"] == 0
    assert dead(api, first)


def test_a_session_whose_stamp_moves_on_meanwhile_is_not_continued(api: Api, first: Tokens) -> None:
    with before_the_update(lambda: change(first, stamp=uuid4())):
        answer = api.refresh(first["refreshToken"])

    assert refused(answer) == "invalid_token"
    assert row(first)["refresh_generation"] == 0


def test_who_comes_second_gets_what_the_first_got(api: Api, first: Tokens) -> None:
    twin: list[Answer] = []
    with before_the_update(lambda: twin.append(api.refresh(first["refreshToken"]))):
        answer = api.refresh(first["refreshToken"])

    assert answer.data["refreshToken"] == twin[0].data["refreshToken"]
    assert row(first)["refresh_generation"] == 1


# What is not ours


def _changed(place: int) -> Callable[[Tokens, Tokens], str]:
    def forge(mine: Tokens, _other: Tokens) -> str:
        data = taken_apart(mine)
        data[place] ^= 1
        return crypto.b64encode(bytes(data))

    return forge


FORGERIES: dict[str, Callable[[Tokens, Tokens], str]] = {
    "session id changed": _changed(0),
    "generation changed": _changed(19),
    "secret changed": _changed(20),
    "end of the secret changed": _changed(51),
    "tag changed": _changed(52),
    "end of the tag changed": _changed(67),
    "session of another user": lambda mine, other: crypto.b64encode(
        bytes(taken_apart(other)[:16] + taken_apart(mine)[16:])
    ),
    "session that never was": lambda mine, _other: crypto.b64encode(uuid4().bytes + bytes(taken_apart(mine)[16:])),
    "session that never was, under our tag": lambda _mine, _other: RefreshToken(uuid4(), 0, b"s" * 32).encode(
        crypto.current_key_id()
    ),
    "tag of zeros": lambda mine, _other: crypto.b64encode(bytes(taken_apart(mine)[:52]) + bytes(16)),
    "what the database holds": lambda mine, _other: crypto.b64encode(
        bytes(taken_apart(mine)[:20]) + row(mine)["refresh_hash"] + bytes(16)
    ),
    "one character less": lambda mine, _other: mine["refreshToken"][:-1],
    "one character more": lambda mine, _other: mine["refreshToken"] + "A",
    "padded": lambda mine, _other: mine["refreshToken"] + "=",
    "blank in front": lambda mine, _other: " " + mine["refreshToken"],
    "blank behind": lambda mine, _other: mine["refreshToken"] + " ",
    "another spelling of the last character": lambda mine, _other: (
        mine["refreshToken"][:-1] + chr(ord(mine["refreshToken"][-1]) + 1)
    ),
    "other alphabet": lambda mine, _other: "+" + mine["refreshToken"][1:],
    "upper case": lambda mine, _other: mine["refreshToken"].upper(),
    "zeros": lambda _mine, _other: "A" * 91,
    "a word": lambda _mine, _other: "null",
    "a UUID": lambda _mine, _other: str(uuid4()),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_token_changes_nothing(api: Api, first: Tokens, bob: User, forgery: str) -> None:
    other = api.login(bob.email).data
    api.refresh(first["refreshToken"])
    api.refresh(other["refreshToken"])
    refreshed(first, 11 * SECOND)
    refreshed(other, 11 * SECOND)
    before, events = rows(), Event.objects.count()

    assert refused(api.refresh(FORGERIES[forgery](first, other))) == "invalid_token"

    assert rows() == before
    assert Event.objects.count() == events


def test_no_prefix_of_a_token_is_one(api: Api, first: Tokens) -> None:
    before = row(first)

    assert {refused(api.refresh(first["refreshToken"][:end])) for end in range(1, 91)} == {"invalid_token"}

    assert row(first) == before


def test_a_token_from_before_a_restored_backup_ends_nothing(api: Api, first: Tokens) -> None:
    backup = row(first)
    second = api.refresh(first["refreshToken"]).data
    third = api.refresh(second["refreshToken"]).data
    change(first, **{name: backup[name] for name in ("refresh_generation", "refresh_hash", "refreshed_at")})
    restored = row(first)

    for lost in (second, third):
        assert refused(api.refresh(lost["refreshToken"])) == "invalid_token"

    assert row(first) == restored
    assert session_events() == []
    assert api.refresh(first["refreshToken"]).status == HTTPStatus.OK


@pytest.mark.parametrize("generation", [0, 1, 2**31])
def test_another_secret_of_the_same_or_a_later_generation_ends_nothing(
    api: Api, first: Tokens, generation: int
) -> None:
    divergent = RefreshToken(UUID(first["session"]["id"]), generation, b"d" * 32).encode(crypto.current_key_id())
    before = row(first)

    assert refused(api.refresh(divergent)) == "invalid_token"

    assert row(first) == before
    assert session_events() == []


def test_another_parent_of_the_current_token_gets_nothing_and_ends_nothing(api: Api, first: Tokens) -> None:
    api.refresh(first["refreshToken"])
    divergent = RefreshToken(UUID(first["session"]["id"]), 0, b"d" * 32).encode(crypto.current_key_id())
    before = row(first)

    assert refused(api.refresh(divergent)) == "invalid_token"

    assert row(first) == before


# How long


@pytest.mark.parametrize(("left", "alive"), [(2 * SECOND, True), (-SECOND, False)])
def test_a_session_lives_seven_days_without_a_refresh(
    api: Api,
    alice: User,
    first: Tokens,
    left: timedelta,
    alive: bool,  # noqa: FBT001 - a column of the table above
) -> None:
    change(first, created_at=timezone.now() - timedelta(days=20))
    refreshed(first, timedelta(days=7) - left)

    assert_alive_or_refused(api, alice, first, alive=alive)


@pytest.mark.parametrize(("left", "alive"), [(2 * SECOND, True), (-SECOND, False)])
def test_a_session_lives_thirty_days_in_any_case(
    api: Api,
    alice: User,
    first: Tokens,
    left: timedelta,
    alive: bool,  # noqa: FBT001 - a column of the table above
) -> None:
    change(first, created_at=timezone.now() - timedelta(days=30) + left)

    assert_alive_or_refused(api, alice, first, alive=alive)


def assert_alive_or_refused(api: Api, user: User, tokens: Tokens, *, alive: bool) -> None:
    before = row(tokens)
    if alive:
        assert api.me(tokens["accessToken"]).status == HTTPStatus.OK
        assert api.refresh(tokens["refreshToken"]).status == HTTPStatus.OK
        assert session_events() == []
        return
    assert refused(api.me(tokens["accessToken"])) == "invalid_token"
    assert refused(api.refresh(tokens["refreshToken"])) == "invalid_token"
    assert row(tokens) == before
    event = Event.objects.get(action="session.refresh.refused")
    assert (event.outcome, event.subject, str(event.session_id)) == (
        "refused",
        user.audit_key,
        tokens["session"]["id"],
    )


def test_near_its_end_a_session_promises_no_more_than_it_has(api: Api, first: Tokens) -> None:
    change(first, created_at=timezone.now() - timedelta(days=29))

    second = api.refresh(first["refreshToken"]).data

    assert 24 * 3600 - 5 <= second["refreshExpiresIn"] <= 24 * 3600
    assert second["session"]["expiresAt"] < (timezone.now() + timedelta(days=1)).isoformat()


@pytest.mark.parametrize(("name", "column"), [("REFRESH_IDLE", "refreshed_at"), ("SESSION_MAX", "created_at")])
def test_a_shorter_setting_binds_sessions_that_exist(
    api: Api, first: Tokens, settings: Settings, name: str, column: str
) -> None:
    change(first, **{column: timezone.now() - timedelta(days=2)})
    assert api.me(first["accessToken"]).status == HTTPStatus.OK

    setattr(settings, name, timedelta(days=1))

    assert dead(api, first)


# Who may no longer


@pytest.mark.parametrize("change_of_user", [{"stamp": uuid4()}, {"is_active": False}], ids=["stamp", "deactivated"])
def test_a_user_who_must_not_act_gets_no_successor(
    api: Api, alice: User, first: Tokens, change_of_user: dict[str, Any]
) -> None:
    second = api.refresh(first["refreshToken"]).data
    before = row(first)
    User.objects.filter(pk=alice.pk).update(**change_of_user)

    for tokens in (second, first):
        assert refused(api.refresh(tokens["refreshToken"])) == "invalid_token"

    assert row(first) == before
    assert session_events() == ["session.refresh.refused"] * 2


def test_an_ended_session_stays_ended(api: Api, first: Tokens) -> None:
    change(first, ended_at=timezone.now(), end_reason="staff")
    before = row(first)

    assert dead(api, first)

    assert row(first) == before


# At rest


def test_the_database_holds_nothing_that_could_be_presented(api: Api, first: Tokens) -> None:
    line = [first, api.refresh(first["refreshToken"]).data]
    rest = "\n".join(
        f"{name} {bytes(value).hex() if isinstance(value, bytes | memoryview) else value}"
        for model in apps.get_models()
        for columns in model._default_manager.values()
        for name, value in columns.items()
    )

    assert row(first)["refresh_hash"].hex() in rest
    for tokens in line:
        token, whole = tokens["refreshToken"], bytes(taken_apart(tokens))
        secret = whole[20:52]
        for part in (token, token[30:60], whole.hex(), secret.hex(), crypto.b64encode(secret), tokens["accessToken"]):
            assert part not in rest


def test_the_stored_hash_is_that_of_the_newest_token(api: Api, first: Tokens) -> None:
    assert row(first)["refresh_hash"] == crypto.sha256(first["refreshToken"])

    second = api.refresh(first["refreshToken"]).data

    assert row(first)["refresh_hash"] == crypto.sha256(second["refreshToken"])


def test_two_sessions_share_no_salt(api: Api, alice: User, first: Tokens) -> None:
    other = api.login(alice.email).data

    assert row(first)["refresh_salt"] != row(other)["refresh_salt"]
    assert len(row(first)["refresh_salt"]) == 16


# Keys that roll


def appended(settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = (*django_settings.ENCRYPTION_KEYS[:1], NEW_KEY)


def moved_to_front(settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = tuple(reversed(django_settings.ENCRYPTION_KEYS))


def test_sessions_go_on_through_a_change_of_keys(api: Api, first: Tokens, settings: Settings) -> None:
    appended(settings)
    second = api.refresh(first["refreshToken"]).data
    old_key_id = row(first)["refresh_key_id"]
    moved_to_front(settings)
    third = api.refresh(second["refreshToken"]).data
    settings.ENCRYPTION_KEYS = (NEW_KEY,)

    fourth = api.refresh(third["refreshToken"])

    assert fourth.status == HTTPStatus.OK
    assert row(first)["refresh_key_id"] == crypto.current_key_id() != old_key_id
    assert row(first)["refresh_generation"] == 3


def test_the_parent_gets_the_same_successor_across_a_change_of_keys(
    api: Api, first: Tokens, settings: Settings
) -> None:
    appended(settings)
    successor = api.refresh(first["refreshToken"]).data["refreshToken"]
    moved_to_front(settings)

    again = api.refresh(first["refreshToken"])

    assert again.data["refreshToken"] == successor
    following = api.refresh(successor).data["refreshToken"]
    settings.ENCRYPTION_KEYS = tuple(reversed(django_settings.ENCRYPTION_KEYS))
    assert api.refresh(successor).data["refreshToken"] == following


@pytest.mark.parametrize("age", [timedelta(), 11 * SECOND], ids=["at once", "late"])
def test_a_node_without_the_key_of_a_row_sends_the_client_elsewhere(
    api: Api, first: Tokens, settings: Settings, age: timedelta
) -> None:
    old_keys = django_settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = (NEW_KEY, *old_keys)
    second = api.refresh(first["refreshToken"]).data
    refreshed(first, age)
    before = row(first)
    settings.ENCRYPTION_KEYS = old_keys

    for token in (second["refreshToken"], first["refreshToken"]):
        for answer in (api.refresh(token), api.post(f"{V1}/auth/logout", {"refreshToken": second["refreshToken"]})):
            assert (answer.status, answer.codes) == (HTTPStatus.SERVICE_UNAVAILABLE, ["unavailable"])
            assert answer.headers["Retry-After"] == "1"

    assert row(first) == before
    assert session_events() == []
    settings.ENCRYPTION_KEYS = (NEW_KEY, *old_keys)
    assert api.refresh(second["refreshToken"]).status == HTTPStatus.OK


def test_a_key_that_was_taken_away_leaves_no_token_behind_it(api: Api, first: Tokens, settings: Settings) -> None:
    before = row(first)
    settings.ENCRYPTION_KEYS = (NEW_KEY,)
    own_tag = RefreshToken(UUID(first["session"]["id"]), 0, bytes(taken_apart(first)[20:52]))

    answer = api.refresh(own_tag.encode(crypto.current_key_id()))

    assert answer.status != HTTPStatus.OK
    assert row(first) == before


# Malformed bodies


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"refreshToken": "required"}),
        ({"refreshToken": None}, {"refreshToken": "invalid_type"}),
        ({"refreshToken": 5}, {"refreshToken": "invalid_type"}),
        ({"refreshToken": True}, {"refreshToken": "invalid_type"}),
        ({"refreshToken": ["{token}"]}, {"refreshToken": "invalid_type"}),
        ({"refreshToken": {"token": "{token}"}}, {"refreshToken": "invalid_type"}),
        ({"refreshToken": ""}, {"refreshToken": "too_short"}),
        ({"refreshToken": "ä" * 91}, {"refreshToken": "invalid_character"}),
        ({"refreshToken": "{token}\0"}, {"refreshToken": "invalid_character"}),
        ({"refreshToken": "{token}\n"}, {"refreshToken": "invalid_character"}),
        ({"refreshToken": "\ud800"}, {"refreshToken": "invalid_character"}),
        ({"refreshToken": "a" * 5000}, {"refreshToken": "too_long"}),
        ({"token": "{token}"}, {"token": "unknown_field", "refreshToken": "required"}),
        ({"refreshToken": "{token}", "sid": "1"}, {"sid": "unknown_field"}),
        ({"refreshToken": "{token}", "deviceName": "x"}, {"deviceName": "unknown_field"}),
        (["{token}"], {None: "invalid_type"}),
        ("{token}", {None: "invalid_type"}),
        (None, {"refreshToken": "required"}),
    ],
)
def test_a_malformed_body_is_named_and_changes_nothing(
    api: Api, first: Tokens, body: object, problems: dict[str | None, str]
) -> None:
    before = row(first)
    filled = json.loads(json.dumps(body).replace("{token}", first["refreshToken"]))

    answer = api.post(REFRESH, filled)

    assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, problems)
    assert row(first) == before


@pytest.mark.parametrize(
    ("data", "content_type", "refusal"),
    [
        (b'{"refreshToken": "{token}"', "application/json", (400, ["invalid_json"])),
        (b'{"refreshToken": "{token}", "refreshToken": "{token}"}', "application/json", (400, ["duplicate_field"])),
        (b'\xff{"refreshToken": "{token}"}', "application/json", (400, ["invalid_json"])),
        (b"refreshToken={token}", "application/x-www-form-urlencoded", (415, ["unsupported_media_type"])),
        (b'{"refreshToken": "{token}"}', "text/plain", (415, ["unsupported_media_type"])),
    ],
)
def test_a_body_that_can_not_be_read_is_refused_and_changes_nothing(
    api: Api, first: Tokens, data: bytes, content_type: str, refusal: tuple[int, list[str]]
) -> None:
    before = row(first)

    answer = api.raw("POST", REFRESH, data.replace(b"{token}", first["refreshToken"].encode()), content_type)

    assert (answer.status, answer.codes) == refusal
    assert row(first) == before
