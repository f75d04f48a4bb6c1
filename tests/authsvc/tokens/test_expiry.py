"""Housekeeping: what ended long ago goes, in small steps; everything else stays."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from authsvc.mail.models import OutgoingMail
from authsvc.tokens import tasks
from authsvc.tokens.models import OneTimeToken, Purpose, Session
from authsvc.tokens.services import expiry

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
Make = Callable[..., Any]


@pytest.fixture
def session(alice: User) -> Make:
    def make(age: timedelta, **more: Any) -> Session:
        then = timezone.now() - age
        moments = dict.fromkeys(("authenticated_at", "created_at", "last_activity_at", "refreshed_at"), then)
        secrets = {"refresh_salt": b"s" * 16, "refresh_hash": b"h" * 32, "refresh_key_id": b"key1"}
        return Session.objects.create(**{"user": alice, "stamp": alice.stamp, **moments, **secrets, **more})

    return make


@pytest.fixture
def mailed(alice: User) -> Make:
    def make(age: timedelta, **more: Any) -> OneTimeToken:
        mark = str(OneTimeToken.objects.count())
        mail = OutgoingMail.objects.create(
            template="x", recipient=alice.email, language="en", sealed=b"", dedupe_key=mark
        )
        return OneTimeToken.objects.create(
            purpose=Purpose.VERIFY_EMAIL,
            user=alice,
            address=alice.email,
            stamp=alice.stamp,
            digest=mark.encode().ljust(32),
            mail=mail,
            lifetime=DAY,
            created_at=timezone.now() - age,
            **more,
        )

    return make


def test_sessions_go_when_twice_their_longest_life_is_over(session: Make) -> None:
    session(61 * DAY)
    session(61 * DAY, ended_at=timezone.now() - 60 * DAY, end_reason="logout")
    session(60 * DAY + timedelta(minutes=1))
    kept = [
        session(60 * DAY - timedelta(minutes=1)),
        session(31 * DAY, ended_at=timezone.now() - 30 * DAY, end_reason="logout"),
        session(DAY, ended_at=timezone.now(), end_reason="logout"),
        session(timedelta()),
    ]

    assert expiry.purge() == 3

    assert set(Session.objects.all()) == set(kept)
    assert expiry.purge() == 0


def test_one_time_tokens_go_after_thirty_days(mailed: Make) -> None:
    mailed(31 * DAY)
    mailed(31 * DAY, consumed_at=timezone.now())
    kept = [mailed(30 * DAY - timedelta(minutes=1)), mailed(2 * DAY, consumed_at=timezone.now()), mailed(timedelta())]
    mails = OutgoingMail.objects.count()

    assert expiry.purge() == 2

    assert set(OneTimeToken.objects.all()) == set(kept)
    assert OutgoingMail.objects.count() == mails


def test_no_live_session_goes_whatever_the_settings(session: Make, settings: Settings) -> None:
    settings.SESSION_MAX, settings.REFRESH_IDLE = 365 * DAY, 365 * DAY
    kept = session(364 * DAY)

    assert expiry.purge() == 0

    assert kept.is_live(timezone.now())
    assert Session.objects.get() == kept


def test_rows_go_in_batches(session: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "BATCH", 2)
    for _ in range(5):
        session(61 * DAY)

    with CaptureQueriesContext(connection) as captured:
        assert expiry.purge() == 5

    deletions = [query["sql"] for query in captured if query["sql"].startswith("DELETE")]
    assert len(deletions) == 3
    assert all("IN (" in statement for statement in deletions)


def test_the_task_does_it(session: Make) -> None:
    session(61 * DAY)

    tasks.purge_expired(unknown_argument="from a newer sender")

    assert Session.objects.count() == 0


def test_the_owner_of_old_rows_stays(session: Make, mailed: Make, alice: User) -> None:
    session(61 * DAY)
    mailed(31 * DAY)

    expiry.purge()

    assert User.objects.get() == alice
