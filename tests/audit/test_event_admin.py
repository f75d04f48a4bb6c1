"""The log in the admin: to search and read, never to write."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Role, User
from audit import admin as event_admin
from audit.models import Event

pytestmark = pytest.mark.django_db

EVENTS = "/admin/audit/event/"
Make = Callable[..., Event]


@pytest.fixture
def staff_client(client: Client) -> Client:
    person = User.objects.create_user(email="staff@example.com", name="Staff", password_hash="!")
    person.role, person.verified_at = Role.ADMIN, timezone.now()
    person.save()
    client.force_login(person)
    return client


@pytest.fixture
def make() -> Make:
    def make_event(**values: Any) -> Event:
        return Event.objects.create(**{"action": "account.signin.failed", "outcome": "failure", **values})

    return make_event


def listed(client: Client, **query: str) -> list[Event]:
    answer = client.get(EVENTS, query)
    assert answer.status_code == HTTPStatus.OK
    return list(answer.context["cl"].result_list)


def test_the_page_of_an_entry_shows_all_of_it(staff_client: Client, make: Make) -> None:
    event = make(subject=uuid4(), ip="203.0.113.7", request_id="request-7", metadata={"reason": "password"})

    answer = staff_client.get(f"{EVENTS}{event.pk}/change/")

    assert answer.status_code == HTTPStatus.OK
    for shown in (str(event.subject), "203.0.113.7", "request-7", "account.signin.failed", "password"):
        assert shown in answer.content.decode()


@pytest.mark.parametrize(
    ("column", "value", "term"),
    [
        ("subject", UUID(int=7), str(UUID(int=7))),
        ("actor", UUID(int=7), f" {UUID(int=7)} "),
        ("session_id", UUID(int=7), UUID(int=7).hex),
        ("ip", "203.0.113.7", "203.0.113.7"),
        ("ip", "2001:db8::7", "2001:0DB8::0007"),
        ("request_id", "request-7", "request-7"),
        ("request_id", str(UUID(int=7)), str(UUID(int=7))),
    ],
)
def test_an_entry_is_found_by_whom_or_where_it_is_about(
    staff_client: Client, make: Make, column: str, value: object, term: str
) -> None:
    wanted = make(**{column: value})
    make(subject=uuid4(), actor=uuid4(), session_id=uuid4(), ip="203.0.113.8", request_id="request-8")

    assert listed(staff_client, q=term) == [wanted]


@pytest.mark.parametrize("term", ["203.0.113", "request", "%", "' OR 1=1", "00000000-0000"])
def test_part_of_a_value_finds_nothing(staff_client: Client, make: Make, term: str) -> None:
    make(ip="203.0.113.7", request_id="request-7", subject=UUID(int=7))

    assert listed(staff_client, q=term) == []


def test_the_list_narrows_by_action_outcome_and_subject(staff_client: Client, make: Make) -> None:
    one = make(action="session.ended", outcome="success", subject=uuid4())
    other = make(subject=uuid4())

    assert listed(staff_client, action__exact="session.ended") == [one]
    assert listed(staff_client, outcome__exact="failure") == [other]
    assert listed(staff_client, subject=str(other.subject)) == [other]


def test_a_key_that_is_none_leads_back_to_the_list(staff_client: Client) -> None:
    answer = staff_client.get(EVENTS, {"subject": "nobody"})

    assert (answer.status_code, answer.headers["Location"]) == (HTTPStatus.FOUND, f"{EVENTS}?e=1")


@pytest.mark.parametrize("page", ["add/", "{id}/change/", "{id}/delete/"])
def test_no_page_takes_a_post(staff_client: Client, make: Make, page: str) -> None:
    event = make()
    before = Event.objects.values().get()

    answer = staff_client.post(EVENTS + page.format(id=event.pk), {"action": "session.ended", "post": "yes"})

    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert Event.objects.values().get() == before


def test_the_list_offers_no_action(staff_client: Client, make: Make) -> None:
    event = make()

    answer = staff_client.post(EVENTS, {"action": "delete_selected", "_selected_action": str(event.pk), "post": "yes"})

    assert answer.context["cl"].model_admin.get_actions(answer.wsgi_request) == {}
    assert Event.objects.get() == event


def test_more_rows_cost_no_more_queries(staff_client: Client, make: Make) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            listed(staff_client)
        return len(captured)

    make()
    with_one = queries()
    for _ in range(20):
        make(subject=uuid4(), actor=uuid4())

    assert queries() == with_one


def test_a_long_log_is_counted_to_a_bound_only(
    staff_client: Client, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_admin, "COUNTED_AT_MOST", 3)
    for _ in range(5):
        make()

    with CaptureQueriesContext(connection) as captured:
        answer = staff_client.get(EVENTS)

    assert answer.context["cl"].paginator.count == 3
    counts = [query["sql"] for query in captured if "COUNT(" in query["sql"]]
    assert len(counts) == 1
    assert "LIMIT 3" in counts[0]
