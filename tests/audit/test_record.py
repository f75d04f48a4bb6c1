"""Writing to the log."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction

from audit import services as audit
from audit.events import EventType, Outcome
from audit.models import Event
from audit.origin import Origin

pytestmark = pytest.mark.django_db

BROWSER = Origin(ip="2001:db8::1", user_agent="browser", request_id="request-1", actor_id=uuid4())


def test_an_entry_holds_what_happened_to_whom_by_whom_and_from_where() -> None:
    subject, session_id = uuid4(), uuid4()

    audit.record(
        EventType.SESSION_ENDED,
        origin=BROWSER,
        subject=subject,
        outcome=Outcome.REFUSED,
        resource="session:1",
        session_id=session_id,
        metadata={"reason": "reuse", "generation": 3, "again": True, "note": None},
    )

    entry: dict[str, Any] = {**Event.objects.values().get()}
    assert UUID(str(entry.pop("id"))).version == 7
    assert entry.pop("created_at") is not None
    assert entry == {
        "action": "session.ended",
        "outcome": "refused",
        "actor": BROWSER.actor_id,
        "subject": subject,
        "resource": "session:1",
        "ip": "2001:db8::1",
        "user_agent": "browser",
        "request_id": "request-1",
        "session_id": session_id,
        "metadata": {"reason": "reuse", "generation": 3, "again": True, "note": None},
    }


def test_a_job_leaves_its_name_and_no_actor() -> None:
    audit.record(EventType.ACCOUNT_REGISTRATION_EXPIRED, origin=Origin.system("purge_expired"))

    entry = Event.objects.get()
    assert (entry.user_agent, entry.actor, entry.subject, entry.ip, entry.request_id) == (
        "purge_expired",
        None,
        None,
        None,
        "",
    )
    assert (entry.outcome, entry.metadata) == ("success", {})


def test_what_a_client_sends_is_cut_to_the_columns_length() -> None:
    endless = Origin(ip=None, user_agent="u" * 5000, request_id="r" * 5000, actor_id=None)

    audit.record(EventType.ACCOUNT_SIGNIN_FAILED, origin=endless)

    entry = Event.objects.get()
    assert (entry.user_agent, entry.request_id) == ("u" * 400, "r" * 128)


def test_an_entry_costs_one_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        audit.record(EventType.ACCOUNT_SIGNIN_FAILED, origin=BROWSER)


def test_an_entry_falls_with_the_change_it_tells_of() -> None:
    with transaction.atomic():
        audit.record(EventType.ACCOUNT_PROFILE_UPDATED, origin=BROWSER)
        transaction.set_rollback(True)

    assert Event.objects.count() == 0


def test_an_origin_can_not_be_changed_on_its_way() -> None:
    with pytest.raises(AttributeError):
        BROWSER.ip = "203.0.113.1"  # type: ignore[misc]
