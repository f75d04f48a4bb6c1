"""The command that deletes what is over."""

import io
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from django.utils import timezone

from accounts.models import User
from accounts.services import housekeeping, registration
from audit.models import Event
from authsvc.tokens.models import KnownDevice, OneTimeToken, Session
from authsvc.tokens.services import expiry
from tests.cast import Api, enrol
from tests.lineage import change

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

DAY = timedelta(days=1)


@pytest.fixture
def _litter(api: Api, alice: User) -> None:
    """Two sessions, a token and a device that are over, a lapsed account, and some of each that are not."""
    for _ in range(2):
        change(api.login(alice.email).data, created_at=timezone.now() - 61 * DAY)
    api.login(alice.email)
    OneTimeToken.objects.all().delete()  # those of the mails about these sign-ins
    KnownDevice.objects.filter(pk=KnownDevice.objects.earliest("id").pk).update(last_seen_at=timezone.now() - 366 * DAY)
    api.register("late@example.org")
    OneTimeToken.objects.update(created_at=timezone.now() - 31 * DAY, user=alice)
    User.objects.filter(email="late@example.org").update(created_at=timezone.now() - 8 * DAY)
    api.register("new@example.org")


def left() -> tuple[int, int, int]:
    return Session.objects.count(), OneTimeToken.objects.count(), User.objects.count()


def run(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("purge_expired", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.mark.usefixtures("_litter")
def test_what_is_over_goes_and_nothing_else(alice: User) -> None:
    assert left() == (3, 2, 3)

    said, _progress = run()

    assert left() == (1, 1, 2)
    assert KnownDevice.objects.count() == 2
    assert set(User.objects.values_list("email", flat=True)) == {alice.email, "new@example.org"}
    assert said.splitlines() == [
        "accounts that were never verified: 1 deleted",
        "deleted accounts whose waiting time was over: 0 deleted",
        "sessions: 2 deleted",
        "one-time tokens: 1 deleted",
        "nonces of signed requests: 0 deleted",
        "devices that were not seen for a year: 1 deleted",
        "idempotency keys: 0 deleted",
        "notes of changes that processes have read: 0 deleted",
    ]


@pytest.mark.usefixtures("_litter")
def test_json_tells_how_many_and_repeating_it_is_safe() -> None:
    first, second = (json.loads(run("--json")[0]) for _ in range(2))

    assert first == {
        "accounts": 1,
        "erasures": 0,
        "sessions": 2,
        "oneTimeTokens": 1,
        "nonces": 0,
        "knownDevices": 1,
        "idempotencyKeys": 0,
        "accountChanges": 0,
        "dryRun": False,
    }
    assert second == {
        "accounts": 0,
        "erasures": 0,
        "sessions": 0,
        "oneTimeTokens": 0,
        "nonces": 0,
        "knownDevices": 0,
        "idempotencyKeys": 0,
        "accountChanges": 0,
        "dryRun": False,
    }


@pytest.mark.usefixtures("_litter")
def test_a_dry_run_counts_and_deletes_nothing() -> None:
    before = left()

    said = json.loads(run("--json", "--dry-run")[0])

    assert said == {
        "accounts": 1,
        "erasures": 0,
        "sessions": 2,
        "oneTimeTokens": 1,
        "nonces": 0,
        "knownDevices": 1,
        "idempotencyKeys": 0,
        "accountChanges": 0,
        "dryRun": True,
    }
    assert "sessions: 2 would go" in run("--dry-run")[0]
    assert left() == before


@pytest.mark.usefixtures("_litter")
def test_the_log_tells_of_accounts_that_went() -> None:
    run()

    event = Event.objects.get(action="account.registration.expired")
    assert event.user_agent == "purge_expired"


def test_long_work_tells_of_its_progress_on_standard_error(
    api: Api, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "BATCH", 2)
    monkeypatch.setattr(registration, "_TOLD_EVERY", 2)
    pattern_tokens = api.login(alice.email).data
    pattern = Session.objects.get(pk=pattern_tokens["session"]["id"])
    for number in range(5):
        pattern.pk, pattern.created_at = uuid4(), timezone.now() - 61 * DAY
        pattern.save(force_insert=True)
        enrol(f"late{number}@example.org", verified_at=None, created_at=timezone.now() - 8 * DAY)

    said, progress = run("--json")

    assert json.loads(said)["sessions"] == json.loads(said)["accounts"] == 5
    assert progress.splitlines() == [
        "accounts that were never verified: 2 deleted so far",
        "accounts that were never verified: 4 deleted so far",
        "sessions: 2 deleted so far",
        "sessions: 4 deleted so far",
        "sessions: 5 deleted so far",
    ]


def test_a_database_that_refuses_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_values: Any) -> dict[str, int]:
        raise DatabaseError("no such table\nLINE 1: …")

    monkeypatch.setattr(housekeeping, "purge", refuse)

    with pytest.raises(CommandError, match=r"^The database refused: no such table$"):
        run()
