"""Sessions and keys in the admin."""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Role, User
from audit.models import Event
from authsvc.tokens.models import Session, SigningKey

pytestmark = pytest.mark.django_db

SESSIONS = "/admin/tokens/session/"
Make = Callable[..., Session]


def person(email: str, **values: Any) -> User:
    user = User.objects.create_user(email=email, name="Somebody", password_hash="!")
    User.objects.filter(pk=user.pk).update(verified_at=timezone.now(), **values)
    return User.objects.get(pk=user.pk)


@pytest.fixture
def staff() -> User:
    return person("staff@example.com", role=Role.ADMIN)


@pytest.fixture
def staff_client(client: Client, staff: User) -> Client:
    client.force_login(staff)
    return client


@pytest.fixture
def make() -> Make:
    def make_session(user: User, *, age: timedelta = timedelta(), **values: Any) -> Session:
        then = timezone.now() - age
        moments = dict.fromkeys(("authenticated_at", "created_at", "last_activity_at", "refreshed_at"), then)
        secrets = {"refresh_salt": b"s" * 16, "refresh_hash": b"h" * 32, "refresh_key_id": b"key1"}
        return Session.objects.create(**{"user": user, "stamp": user.stamp, **moments, **secrets, **values})

    return make_session


def listed(client: Client, **query: str) -> list[Session]:
    answer = client.get(SESSIONS, query)
    assert answer.status_code == HTTPStatus.OK
    return list(answer.context["cl"].result_list)


def test_the_list_tells_whose_from_where_and_in_which_state(staff_client: Client, make: Make) -> None:
    make(person("ada@example.com"), device_name="Ada's laptop", ip="203.0.113.7")

    page = staff_client.get(SESSIONS).content.decode()

    for shown in ("ada@example.com", "Ada&#x27;s laptop", "203.0.113.7", "live"):
        assert shown in page


def test_sessions_are_found_by_the_address_of_their_owner(staff_client: Client, make: Make) -> None:
    wanted = make(person("ada@example.com"))
    make(person("bob@example.com"))

    assert listed(staff_client, q="ada@example.com") == [wanted]
    assert listed(staff_client, q="nobody") == []


def test_a_session_is_found_by_its_whole_id_and_by_its_whole_ip_address(staff_client: Client, make: Make) -> None:
    wanted, other = make(person("ada@example.com"), ip="203.0.113.7"), make(person("bob@example.com"), ip="2001:db8::1")

    assert listed(staff_client, q=str(wanted.pk)) == listed(staff_client, q=f" {wanted.pk} ".upper()) == [wanted]
    assert listed(staff_client, q="203.0.113.7") == [wanted]
    assert listed(staff_client, q="2001:0db8:0:0::1") == [other]
    assert listed(staff_client, q="203.0.113") == listed(staff_client, q=str(wanted.pk)[:8]) == []


def test_the_filter_tells_live_from_ended_and_expired(staff_client: Client, make: Make) -> None:
    ada = person("ada@example.com")
    live = make(ada)
    ended = make(ada, ended_at=timezone.now(), end_reason="logout")
    idle = make(ada, age=settings.REFRESH_IDLE + timedelta(minutes=1))
    too_old = make(ada, age=settings.SESSION_MAX + timedelta(minutes=1), refreshed_at=timezone.now())

    assert listed(staff_client, state="live") == [live]
    assert listed(staff_client, state="ended") == [ended]
    assert listed(staff_client, state="expired") == [idle, too_old]
    assert listed(staff_client, _facets="True", state="live") == [live]
    assert listed(staff_client, state="no such") == listed(staff_client) == [ended, live, idle, too_old]


@pytest.mark.parametrize(
    ("values", "state"),
    [({}, "live"), ({"age": timedelta(days=8)}, "expired"), ({"ended_at": timezone.now()}, "ended")],
)
def test_the_page_of_a_session_names_its_state(
    staff_client: Client, make: Make, values: dict[str, Any], state: str
) -> None:
    session = make(person("ada@example.com"), **values)

    page = staff_client.get(f"{SESSIONS}{session.pk}/change/").content.decode()

    assert f'<div class="readonly">{state}</div>' in page


def test_staff_end_the_chosen_sessions_and_the_log_tells_who(staff_client: Client, staff: User, make: Make) -> None:
    ada, bob = person("ada@example.com"), person("bob@example.com")
    chosen = [make(ada), make(bob)]
    kept, over = make(ada), make(ada, ended_at=timezone.now(), end_reason="logout")

    answer = staff_client.post(
        SESSIONS,
        {"action": "end_selected", "_selected_action": [str(session.pk) for session in (*chosen, over)]},
        follow=True,
    )

    assert [str(message) for message in answer.context["messages"]] == ["2 sessions were ended."]
    reasons = dict(Session.objects.filter(ended_at__isnull=False).values_list("pk", "end_reason"))
    assert reasons == {chosen[0].pk: "staff", chosen[1].pk: "staff", over.pk: "logout"}
    assert Session.objects.get(pk=kept.pk).ended_at is None
    events = {
        (event.action, event.session_id, event.subject, event.actor, event.metadata["reason"])
        for event in Event.objects.all()
    }
    assert events == {
        ("session.ended", chosen[0].pk, ada.audit_key, staff.audit_key, "staff"),
        ("session.ended", chosen[1].pk, bob.audit_key, staff.audit_key, "staff"),
    }


def test_nobody_but_staff_ends_sessions_here(client: Client, make: Make) -> None:
    session = make(person("ada@example.com"))
    form = {"action": "end_selected", "_selected_action": str(session.pk)}

    answer = client.post(SESSIONS, form)

    assert answer.status_code == HTTPStatus.FOUND
    assert Session.objects.get().ended_at is None


def test_ending_sessions_takes_a_csrf_token(staff: User, make: Make) -> None:
    session = make(person("ada@example.com"))
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(staff)

    answer = browser.post(SESSIONS, {"action": "end_selected", "_selected_action": str(session.pk)})

    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert Session.objects.get().ended_at is None


def test_a_session_leads_on_to_its_events(staff_client: Client, make: Make) -> None:
    session = make(person("ada@example.com"))
    own = Event.objects.create(action="session.ended", outcome="success", session_id=session.pk)
    Event.objects.create(action="session.ended", outcome="success")

    answer = staff_client.get(f"{SESSIONS}{session.pk}/history/", follow=True)

    assert list(answer.context["cl"].result_list) == [own]


@pytest.mark.parametrize(
    "lookup", ["refresh_hash__startswith", "refresh_salt", "stamp", "user__password__startswith", "user__stamp"]
)
def test_columns_can_not_be_guessed_through_the_address_bar(staff_client: Client, lookup: str) -> None:
    assert staff_client.get(SESSIONS, {lookup: "a"}).status_code == HTTPStatus.BAD_REQUEST


def test_the_private_part_of_a_key_can_not_be_guessed_either(staff_client: Client) -> None:
    answer = staff_client.get("/admin/tokens/signingkey/", {"sealed_private__gt": "a"})

    assert answer.status_code == HTTPStatus.BAD_REQUEST


def test_more_sessions_cost_no_more_queries(staff_client: Client, make: Make) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            listed(staff_client)
        return len(captured)

    make(person("ada@example.com"))
    with_one = queries()
    for number in range(20):
        make(person(f"person{number}@example.com"))

    assert queries() == with_one


def test_a_key_shows_its_public_part(staff_client: Client) -> None:
    key = SigningKey.objects.create(
        kid="k" * 43, algorithm="ES256", public_jwk={"kty": "EC", "x": "public-x"}, sealed_private=b"sealed"
    )

    page = staff_client.get(f"/admin/tokens/signingkey/{key.pk}/change/").content.decode()

    assert "public-x" in page
    assert "k" * 43 in staff_client.get("/admin/tokens/signingkey/").content.decode()
