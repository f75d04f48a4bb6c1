"""Where I am signed in: seeing it, and ending any of it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import User
from audit.models import Event
from authsvc.tokens.models import Session
from tests.cast import V1, Api, enrol
from tests.lineage import Tokens, change, refused, row, session_events

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

SESSIONS = f"{V1}/users/me/sessions"
MINUTE = timedelta(minutes=1)
SignIn = Callable[..., Tokens]


@pytest.fixture
def sign_in(alice: User) -> SignIn:
    """Sign Alice in on another device, active so long ago."""

    def signed_in(name: str = "", ago: timedelta = timedelta(), **environ: str) -> Tokens:
        more = {"deviceName": name} if name else {}
        tokens: Tokens = Api(REMOTE_ADDR="192.0.2.10", **environ).login(alice.email, **more).data
        if ago:
            change(tokens, last_activity_at=timezone.now() - ago)
        return tokens

    return signed_in


def ids(tokens: list[Tokens]) -> list[str]:
    return [each["session"]["id"] for each in tokens]


def listed(api: Api, tokens: Tokens, query: str = "") -> Any:
    answer = api.get(SESSIONS + query, token=tokens["accessToken"])
    assert answer.status == HTTPStatus.OK, answer.body
    return answer.body


def alive(api: Api, tokens: Tokens) -> bool:
    answer = api.me(tokens["accessToken"])
    assert answer.status in {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}
    return answer.status == HTTPStatus.OK


# The list


def test_the_list_has_what_the_sign_in_gave_and_marks_the_calling_one(api: Api, sign_in: SignIn) -> None:
    phone, laptop = sign_in("Phone"), sign_in("Laptop")

    body = listed(api, phone)

    assert {session["id"]: session for session in body["data"]} == {
        phone["session"]["id"]: {**phone["session"], "current": True},
        laptop["session"]["id"]: {**laptop["session"], "current": False},
    }
    assert list(body) == ["success", "message", "data", "pagination", "meta"]
    assert body["pagination"] == {"page": 1, "limit": 20, "total": 2, "totalPages": 1}


def test_the_newest_activity_comes_first(api: Api, sign_in: SignIn) -> None:
    signed_in = [sign_in(ago=number * MINUTE) for number in (3, 1, 4, 2, 0)]

    found = [session["id"] for session in listed(api, signed_in[-1])["data"]]

    assert found == [ids(signed_in)[place] for place in (4, 1, 3, 0, 2)]


def test_the_order_is_the_callers_choice(api: Api, sign_in: SignIn) -> None:
    first, second = sign_in("First"), sign_in("Second")
    change(first, last_activity_at=timezone.now() + MINUTE)

    def order(ordering: str) -> list[str]:
        return [session["id"] for session in listed(api, second, f"?ordering={ordering}")["data"]]

    assert order("createdAt") == order("-lastActivity") == ids([first, second])
    assert order("-createdAt") == order("lastActivity") == ids([second, first])


def test_a_search_finds_a_device_by_its_name_in_any_case(api: Api, sign_in: SignIn) -> None:
    phone, _laptop = sign_in("Ada's phone"), sign_in("Laptop")

    body = listed(api, phone, "?search=PHONE")

    assert [session["id"] for session in body["data"]] == ids([phone])
    assert body["pagination"]["total"] == 1


def test_only_what_still_works_is_listed_and_only_ones_own(api: Api, sign_in: SignIn, bob: User) -> None:
    calling, ended, idle, old, restamped = (sign_in() for _ in range(5))
    change(ended, ended_at=timezone.now(), end_reason="logout")
    change(idle, refreshed_at=timezone.now() - timedelta(days=8))
    change(old, created_at=timezone.now() - timedelta(days=31))
    change(restamped, stamp=uuid4())
    api.login(bob.email)

    body = listed(api, calling)

    assert [session["id"] for session in body["data"]] == ids([calling])
    assert body["pagination"]["total"] == 1


def test_times_are_utc_and_in_order(api: Api, sign_in: SignIn) -> None:
    (session,) = listed(api, sign_in())["data"]

    created, active, ends = (
        datetime.fromisoformat(session[name]) for name in ("createdAt", "lastActivity", "expiresAt")
    )
    assert created <= active < ends == created + timedelta(days=7)
    assert all(session[name].endswith("Z") for name in ("createdAt", "lastActivity", "expiresAt"))


def test_pages_follow_one_another_without_a_gap_or_a_repetition(api: Api, sign_in: SignIn) -> None:
    signed_in = [sign_in() for _ in range(5)]
    Session.objects.update(last_activity_at=timezone.now())  # all alike: still there is one order

    pages = [listed(api, signed_in[0], f"?page={page}&limit=2") for page in (1, 2, 3)]

    found = [session["id"] for page in pages for session in page["data"]]
    assert sorted(found) == sorted(ids(signed_in))
    assert [page["pagination"] for page in pages] == [
        {"page": page, "limit": 2, "total": 5, "totalPages": 3} for page in (1, 2, 3)
    ]
    assert [len(page["data"]) for page in pages] == [2, 2, 1]


@pytest.mark.parametrize("limit", [1, 5, 100])
def test_a_limit_is_kept(api: Api, sign_in: SignIn, limit: int) -> None:
    signed_in = [sign_in() for _ in range(3)]

    assert len(listed(api, signed_in[0], f"?limit={limit}")["data"]) == min(limit, 3)


def test_a_page_that_can_not_be_is_refused(subtests: pytest.Subtests, api: Api, sign_in: SignIn) -> None:
    token = sign_in()["accessToken"]

    for query, problems in [
        ("?page=0", {"page": "out_of_range"}),
        ("?page=-1", {"page": "out_of_range"}),
        ("?page=2", {"page": "out_of_range"}),
        ("?page=1000001", {"page": "out_of_range"}),
        ("?page=" + "9" * 400, {"page": "out_of_range"}),
        ("?limit=0", {"limit": "out_of_range"}),
        ("?limit=-5", {"limit": "out_of_range"}),
        ("?limit=101", {"limit": "out_of_range"}),
        ("?limit=0&page=0", {"limit": "out_of_range", "page": "out_of_range"}),
        ("?limit=ten", {"limit": "invalid_type"}),
        ("?limit=1.0", {"limit": "invalid_type"}),
        ("?limit=%2B1", {"limit": "invalid_type"}),
        ("?limit=1e1", {"limit": "invalid_type"}),
        ("?limit=%D9%A1", {"limit": "invalid_type"}),
        ("?limit=%201", {"limit": "invalid_type"}),
        ("?limit=1%0A", {"limit": "invalid_type"}),
        ("?limit=1%00", {"limit": "invalid_type"}),
        ("?page=", {"page": "invalid_type"}),
        ("?page=1&page=1", {"page": "duplicate_field"}),
        ("?user=1", {"user": "unknown_field"}),
        ("?ended_at__isnull=False", {"ended_at__isnull": "unknown_field"}),
    ]:
        with subtests.test(query=query, problems=problems):
            answer = api.get(SESSIONS + query, token=token)

            assert answer.status == HTTPStatus.BAD_REQUEST
            assert answer.problems == problems


def test_more_sessions_cost_no_more_statements(
    api: Api, sign_in: SignIn, django_assert_num_queries: Callable[[int], Any]
) -> None:
    calling = sign_in()
    for _ in range(4):
        sign_in()
    with django_assert_num_queries(3):  # who calls, how many, which
        listed(api, calling)


# Ending one


def test_one_session_ends_and_the_others_go_on(api: Api, alice: User, sign_in: SignIn) -> None:
    calling, lost, third = sign_in(), sign_in(), sign_in()

    answer = api.delete(f"{SESSIONS}/{lost['session']['id']}", token=calling["accessToken"])

    assert (answer.status, answer.data) == (HTTPStatus.OK, None)
    assert [alive(api, tokens) for tokens in (calling, lost, third)] == [True, False, True]
    assert refused(api.refresh(lost["refreshToken"])) == "invalid_token"
    assert row(lost)["end_reason"] == "owner"
    event = Event.objects.get(action="session.ended")
    assert (event.actor, event.subject, str(event.session_id)) == (
        alice.audit_key,
        alice.audit_key,
        lost["session"]["id"],
    )
    assert event.metadata == {"reason": "owner"}
    assert event.resource == f"session:{lost['session']['id']}"


def test_the_calling_session_may_be_the_one(api: Api, sign_in: SignIn) -> None:
    calling, other = sign_in(), sign_in()

    answer = api.delete(f"{SESSIONS}/{calling['session']['id']}", token=calling["accessToken"])

    assert answer.status == HTTPStatus.OK
    assert [alive(api, tokens) for tokens in (calling, other)] == [False, True]


def test_what_is_not_mine_or_over_or_nothing_is_not_found_and_stays_as_it_is(
    api: Api, sign_in: SignIn, bob: User
) -> None:
    calling, ended, idle = sign_in(), sign_in(), sign_in()
    change(ended, ended_at=timezone.now(), end_reason="logout")
    change(idle, refreshed_at=timezone.now() - timedelta(days=8))
    bobs = api.login(bob.email).data
    before = list(Session.objects.order_by("pk").values())

    for unknown in (*ids([ended, idle, bobs]), str(uuid4()), "00000000-0000-0000-0000-000000000000"):
        answer = api.delete(f"{SESSIONS}/{unknown}", token=calling["accessToken"])
        assert (answer.status, answer.codes) == (HTTPStatus.NOT_FOUND, ["not_found"])

    assert list(Session.objects.order_by("pk").values()) == before
    assert session_events() == []
    assert alive(api, bobs)


def test_a_malformed_id_is_not_found(api: Api, sign_in: SignIn) -> None:
    calling, other = sign_in(), sign_in()
    own = other["session"]["id"]

    for malformed in (own.upper(), own.replace("-", ""), own[:-1], f"{own}0", f"{own}/", "me", "1", "%00", "' OR 1=1"):
        answer = api.delete(f"{SESSIONS}/{malformed}", token=calling["accessToken"])
        assert (answer.status, answer.codes) == (HTTPStatus.NOT_FOUND, ["not_found"]), malformed

    assert alive(api, other)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "PUT"])
def test_nothing_else_can_be_done_to_a_session_be_it_mine_or_not(
    api: Api, sign_in: SignIn, bob: User, method: str
) -> None:
    calling, bobs = sign_in(), api.login(bob.email).data

    answers = [
        api.raw(method, f"{SESSIONS}/{each}", authorization=f"Bearer {calling['accessToken']}")
        for each in ids([calling, bobs])
    ]

    assert [answer.status for answer in answers] == [HTTPStatus.METHOD_NOT_ALLOWED] * 2


def test_a_second_time_there_is_nothing_to_end(api: Api, sign_in: SignIn) -> None:
    calling, lost = sign_in(), sign_in()
    path = f"{SESSIONS}/{lost['session']['id']}"
    api.delete(path, token=calling["accessToken"])

    assert api.delete(path, token=calling["accessToken"]).status == HTTPStatus.NOT_FOUND
    assert session_events() == ["session.ended"]


# Ending all others


def test_all_others_end_and_the_calling_one_goes_on_with_its_tokens(
    api: Api, alice: User, sign_in: SignIn, bob: User
) -> None:
    first, calling, third = sign_in(), sign_in(), sign_in()
    over = sign_in()
    change(over, ended_at=timezone.now(), end_reason="logout")
    bobs = api.login(bob.email).data

    answer = api.delete(SESSIONS, token=calling["accessToken"])

    assert (answer.status, answer.data) == (HTTPStatus.OK, None)
    assert [alive(api, tokens) for tokens in (first, calling, third, bobs)] == [False, True, False, True]
    assert api.refresh(calling["refreshToken"]).status == HTTPStatus.OK
    assert [row(tokens)["end_reason"] for tokens in (first, calling, third, over)] == ["owner", "", "owner", "logout"]
    event = Event.objects.get(action__startswith="session.")
    assert (event.action, event.actor, event.subject) == ("session.others_ended", alice.audit_key, alice.audit_key)
    assert (str(event.session_id), event.metadata) == (calling["session"]["id"], {"reason": "owner", "sessions": 2})


def test_without_others_there_is_nothing_to_end_and_that_is_fine(api: Api, sign_in: SignIn) -> None:
    calling = sign_in()

    assert api.delete(SESSIONS, token=calling["accessToken"]).status == HTTPStatus.OK
    assert alive(api, calling)


def test_ending_all_others_costs_three_statements_however_many_there_are(
    api: Api, sign_in: SignIn, django_assert_num_queries: Callable[[int], Any]
) -> None:
    calling, _second, _third = sign_in(), sign_in(), sign_in()
    with django_assert_num_queries(3 + 2):  # and the transaction's own
        assert api.delete(SESSIONS, token=calling["accessToken"]).status == HTTPStatus.OK


def test_an_ended_session_can_end_nothing_any_more(api: Api, sign_in: SignIn) -> None:
    thief, owner = sign_in(), sign_in()
    api.delete(f"{SESSIONS}/{thief['session']['id']}", token=owner["accessToken"])

    answers = [
        api.delete(SESSIONS, token=thief["accessToken"]),
        api.delete(f"{SESSIONS}/{owner['session']['id']}", token=thief["accessToken"]),
        api.get(SESSIONS, token=thief["accessToken"]),
    ]

    assert [refused(answer) for answer in answers] == ["invalid_token"] * 3
    assert alive(api, owner)


# What it costs when there are many


def test_the_look_ups_walk_an_index_and_no_table(api: Api, alice: User, sign_in: SignIn) -> None:
    calling = sign_in()
    crowd = [enrol(f"person{number}@example.org") for number in range(20)]
    pattern = Session.objects.get()
    for number in range(2000):
        pattern.pk, pattern.user = uuid4(), crowd[number % 20]
        pattern.ended_at = None if number % 10 == 0 else timezone.now()
        pattern.save(force_insert=True)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")

    own = Session.objects.live_of(alice)
    others = Session.objects.filter(user=alice, ended_at__isnull=True).exclude(pk=calling["session"]["id"])

    for look_up in (own, others):
        assert "session_open_of_user" in look_up.explain()
