"""Reading the log."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from audit import selectors
from audit.events import EventType
from audit.models import Event

pytestmark = pytest.mark.django_db


def test_the_events_of_a_person_come_newest_first_and_nobody_elses() -> None:
    person, now = uuid4(), timezone.now()
    older, newer = (
        Event.objects.create(action="session.ended", outcome="success", subject=person, created_at=now - age)
        for age in (timedelta(hours=2), timedelta(hours=1))
    )
    Event.objects.create(action="session.ended", outcome="success", subject=uuid4(), actor=person)

    assert list(selectors.events_of(person)) == [newer, older]


def test_entries_of_one_moment_keep_the_order_of_their_making() -> None:
    person, now = uuid4(), timezone.now()
    made = [
        Event.objects.create(action="session.ended", outcome="success", subject=person, created_at=now)
        for _ in range(5)
    ]

    assert list(selectors.events_of(person)) == made[::-1]


def test_counts_cover_the_time_since_and_name_what_did_not_happen() -> None:
    now = timezone.now()
    for age in (timedelta(hours=1), timedelta(hours=23), timedelta(hours=25)):
        Event.objects.create(action="account.signin.failed", outcome="failure", created_at=now - age)
    Event.objects.create(action="session.ended", outcome="success")

    counts = selectors.counts_since(
        now - timedelta(days=1), of=[EventType.ACCOUNT_SIGNIN_FAILED, EventType.SESSION_REFRESH_REUSED]
    )

    assert counts == {EventType.ACCOUNT_SIGNIN_FAILED: 2, EventType.SESSION_REFRESH_REUSED: 0}


def test_the_latest_are_the_newest_of_all() -> None:
    now = timezone.now()
    made = [
        Event.objects.create(action="session.ended", outcome="success", created_at=now - timedelta(minutes=minutes))
        for minutes in range(4)
    ]

    assert list(selectors.latest(2)) == made[:2]
