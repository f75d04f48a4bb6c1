"""Erasure: what goes, what stays of it, and when."""

from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts import selectors, tasks
from accounts.models import ErasureRequest, Role, User
from accounts.services import housekeeping, lifecycle, staff, verification
from audit import services as audit
from audit.events import EventType
from audit.models import Event
from audit.origin import Origin
from authsvc.mail import delivery
from authsvc.mail.models import OutgoingMail
from authsvc.tokens.models import KnownDevice, OneTimeToken, Session
from authsvc.tokens.services import expiry
from tests.cast import OTHER_PASSWORD, V1, Api, post_round
from tests.ledger import events, mails, stored
from tests.lineage import Tokens, refused

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

OPERATOR = Origin.system("tests")
SECOND = timedelta(seconds=1)


@pytest.fixture
def hers(api: Api, alice: User) -> Tokens:
    tokens: Tokens = api.login(alice.email, deviceName="Alice's laptop").data
    return tokens


def ask(user: User, *, due_in: timedelta) -> None:
    lifecycle.request_erasure(user=user, origin=OPERATOR)
    ErasureRequest.objects.filter(user=user).update(due_at=timezone.now() + due_in)


def of_people() -> dict[str, list[dict[str, Any]]]:
    return {name: rows for name, rows in stored().items() if name not in {"audit.Event", "tokens.AccountChange"}}


def traces(*secrets: str) -> list[str]:
    """Where any of these is still stored, as text or in bytes; notes of changes name an id for an hour, and no more."""
    return [
        f"{table}.{column}"
        for table, rows in stored().items()
        if table != "tokens.AccountChange"
        for row in rows
        for column, value in row.items()
        if any(
            secret in (repr(value) if not isinstance(value, bytes) else value.decode("latin-1")) for secret in secrets
        )
    ]


def test_the_person_goes_with_everything_and_nobody_else_does(api: Api, alice: User, hers: Tokens, bob: User) -> None:
    api.login(bob.email)
    api.login(alice.email, OTHER_PASSWORD)
    post_round()
    bobs = of_people()

    assert lifecycle.erase(user_id=alice.pk, origin=OPERATOR) is True

    assert traces(alice.email, "Alice", str(alice.pk)) == []
    assert refused(api.me(hers["accessToken"])) == "invalid_token"
    assert refused(api.refresh(hers["refreshToken"])) == "invalid_token"
    left = of_people()
    assert left == {name: [row for row in bobs[name] if row in rows] for name, rows in left.items()}
    assert [model.objects.count() for model in (User, Session, KnownDevice, OneTimeToken, OutgoingMail)] == [1] * 5
    assert lifecycle.erase(user_id=alice.pk, origin=OPERATOR) is False


def test_the_log_keeps_what_happened_under_the_pseudonym_without_address_browser_and_details(
    api: Api, alice: User, hers: Tokens, bob: User
) -> None:
    api.login(alice.email, OTHER_PASSWORD)
    api.login(bob.email)
    others = list(Event.objects.exclude(subject=alice.audit_key).values())
    happened = [event.action for event in Event.objects.filter(subject=alice.audit_key).order_by("id")]

    lifecycle.erase(user_id=alice.pk, origin=OPERATOR)

    hers_now = list(Event.objects.filter(subject=alice.audit_key).order_by("id"))
    assert [event.action for event in hers_now] == [*happened, "account.erased"]
    assert {(event.ip, event.user_agent, str(event.metadata)) for event in hers_now[:-1]} == {(None, "", "{}")}
    assert (hers_now[-1].user_agent, hers_now[-1].ip) == ("tests", None)
    assert list(Event.objects.exclude(subject=alice.audit_key).values()) == others


def test_what_staff_did_to_others_is_blanked_with_them(admin: User, alice: User) -> None:
    by_admin = Origin(ip="192.0.2.77", user_agent="admin's browser", request_id="r1", actor_id=admin.audit_key)
    staff.update_person(user_id=alice.pk, name="Alicia", locale="en", origin=by_admin)
    audit.record(EventType.KEYS_ROTATED, origin=by_admin, metadata={"now": True})
    assert len(traces("192.0.2.77", "admin's browser")) == 4

    lifecycle.erase(user_id=admin.pk, origin=OPERATOR)

    assert traces("192.0.2.77", "admin's browser") == []
    assert Event.objects.get(action="account.updated_by_staff").actor == admin.audit_key


def test_so_it_is_where_they_are_staff_no_more(admin: User, alice: User) -> None:
    by_admin = Origin(ip="192.0.2.77", user_agent="admin's browser", request_id="r1", actor_id=admin.audit_key)
    staff.update_person(user_id=alice.pk, name="Alicia", locale="en", origin=by_admin)
    staff.change_role(user_id=admin.pk, role=Role.USER, origin=OPERATOR)

    lifecycle.erase(user_id=admin.pk, origin=OPERATOR)

    assert traces("192.0.2.77", "admin's browser") == []


def test_many_events_are_blanked_in_batches_and_repeating_writes_nothing(alice: User, bob: User) -> None:
    for user in (alice, bob):
        Event.objects.bulk_create(
            Event(action="account.signin.failed", outcome="failure", subject=user.audit_key, ip="192.0.2.9")
            for _ in range(2500)
        )

    assert [audit.blank(alice.audit_key) for _ in range(2)] == [2500, 0]

    assert not Event.objects.filter(subject=alice.audit_key, ip__isnull=False).exists()
    assert Event.objects.filter(subject=bob.audit_key, ip="192.0.2.9").count() == 2500


def test_finding_the_entries_of_a_person_scans_nothing(alice: User) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
    rows = Event.objects.filter(subject=alice.audit_key).exclude(action="account.erased")

    assert "event_subject_created" in rows.exclude(ip__isnull=True, user_agent="", metadata={}).explain()
    assert "erasure_due" in selectors.due_erasures().explain()


def test_mails_to_a_former_address_go_and_those_of_its_next_owner_stay(api: Api, alice: User, hers: Tokens) -> None:
    api.post(f"{V1}/users/me/email", {"newEmail": "alice.new@example.org"}, token=hers["accessToken"])
    confirmation = next(letter for letter in post_round() if letter.to == "alice.new@example.org")
    api.post(f"{V1}/auth/email/confirm", {"token": confirmation.token})
    OneTimeToken.objects.update(created_at=timezone.now() - timedelta(days=5))
    OutgoingMail.objects.update(
        created_at=timezone.now() - timedelta(days=5, minutes=1), sent_at=timezone.now() - timedelta(days=5)
    )
    api.register("alice@example.org", name="Alice the Second")
    assert User.objects.filter(email="alice@example.org").exists()

    lifecycle.erase(user_id=alice.pk, origin=OPERATOR)

    assert mails() == [("verify_email", "alice@example.org")]


def test_the_hourly_job_erases_what_is_due_and_nothing_else(alice: User, bob: User, charlie: User) -> None:
    ask(alice, due_in=-SECOND)
    ask(bob, due_in=timedelta(minutes=1))

    for _ in range(2):
        tasks.erase_due_accounts()

    assert set(User.objects.values_list("email", flat=True)) == {bob.email, charlie.email}
    assert not traces(alice.email)
    erased = Event.objects.get(action="account.erased")
    assert (erased.subject, erased.actor, erased.user_agent) == (alice.audit_key, None, "erase_due_accounts")


def test_what_a_call_under_way_wrote_after_the_erasure_is_blanked_by_the_next_run(alice: User) -> None:
    ask(alice, due_in=-SECOND)
    lifecycle.erase_due(origin=OPERATOR)
    late = Origin(ip="192.0.2.77", user_agent="browser", request_id="r1", actor_id=None)
    audit.record(EventType.ACCOUNT_SIGNIN_FAILED, origin=late, subject=alice.audit_key, metadata={"reason": "inactive"})

    lifecycle.erase_due(origin=OPERATOR)

    event = Event.objects.get(action="account.signin.failed")
    assert (event.ip, event.user_agent, event.metadata) == (None, "", {})
    assert Event.objects.get(action="account.erased").user_agent == "tests"


def test_where_no_job_runs_purge_expired_erases(alice: User, bob: User) -> None:
    ask(alice, due_in=-SECOND)
    assert housekeeping.due()["erasures"] == 1

    purged = housekeeping.purge(origin=OPERATOR, tell=lambda _kind, _rows: None)

    assert purged["erasures"] == 1
    assert list(User.objects.all()) == [bob]


def test_it_tells_of_every_hundred(monkeypatch: pytest.MonkeyPatch, alice: User, bob: User) -> None:
    monkeypatch.setattr(lifecycle, "_TELL_EVERY", 1)
    ask(alice, due_in=-SECOND)
    ask(bob, due_in=-SECOND)
    heard: list[int] = []

    assert lifecycle.erase_due(origin=OPERATOR, tell=heard.append) == 2

    assert heard == [1, 2]


def test_registered_anew_the_address_gets_nothing_of_the_old_account(api: Api, alice: User, hers: Tokens) -> None:
    ask(alice, due_in=-SECOND)
    restore_link = next(letter for letter in post_round() if "/restore#" in letter.text).token
    tasks.erase_due_accounts()

    answer = api.register(alice.email, OTHER_PASSWORD, name="Somebody Else")

    new = assert_new(api, alice, answer.data)
    for token in (hers["accessToken"],):
        assert refused(api.me(token)) == "invalid_token"
    assert refused(api.refresh(hers["refreshToken"])) == "invalid_token"
    assert refused(api.login(alice.email)) == "invalid_credentials"
    assert api.post(f"{V1}/auth/restore", {"token": restore_link}).codes == ["invalid_token"]
    signed_in = api.login(alice.email, OTHER_PASSWORD, deviceToken=hers["deviceToken"]).data
    assert "deviceToken" in signed_in
    assert len(api.get(f"{V1}/users/me/sessions", token=signed_in["accessToken"]).data) == 1
    assert len(api.get(f"{V1}/users/me/devices", token=signed_in["accessToken"]).data) == 1
    exported = api.get(f"{V1}/users/me/export", token=signed_in["accessToken"]).data
    assert "Alice" not in str(exported)
    assert {event["action"] for event in exported["activity"]} == {
        "account.registration.created",
        "account.email.verified",
        "account.signin.succeeded",
        "account.signin.failed",
    }
    assert new.audit_key != alice.audit_key


def assert_new(api: Api, old: User, shown: dict[str, Any]) -> User:
    """The account is another one, and its owner verifies it."""
    assert shown["id"] != str(old.pk)
    new = User.objects.get(email=old.email)
    assert (str(new.pk), new.name, new.is_active) == (shown["id"], "Somebody Else", True)
    letter = next(letter for letter in post_round() if "/verify-email#" in letter.text)
    assert api.verify(letter.token).status == HTTPStatus.OK
    return new


def test_registered_when_it_is_due_the_account_is_gone_though_no_job_ran(api: Api, alice: User, hers: Tokens) -> None:
    ask(alice, due_in=-SECOND)
    post_round()

    answer = api.register(alice.email, OTHER_PASSWORD, name="Somebody Else")

    assert answer.status == HTTPStatus.CREATED
    assert_new(api, alice, answer.data)
    assert traces(str(alice.pk)) == []
    assert events().count("account.erased") == 1
    erased = Event.objects.get(action="account.erased")
    assert (erased.ip, erased.user_agent, erased.request_id) == (None, "register", "")
    assert not Event.objects.filter(subject=alice.audit_key, ip__isnull=False).exists()


def test_due_and_unknown_are_one_for_whoever_asks_by_address(alice: User) -> None:
    ask(alice, due_in=timedelta(minutes=1))
    assert selectors.user_by_email(alice.email) == alice

    ErasureRequest.objects.update(due_at=timezone.now() - SECOND)

    assert selectors.user_by_email(alice.email) is None


def test_a_link_asked_for_in_the_moment_of_an_erasure_is_as_if_asked_by_nobody(alice: User) -> None:
    gone = User.objects.get(pk=alice.pk)
    lifecycle.erase(user_id=alice.pk, origin=OPERATOR)

    assert verification.mail_verification(gone, origin=OPERATOR) is False

    assert mails() == []


def test_a_waiting_time_beyond_a_month_keeps_the_link_and_its_mail(alice: User, settings: Settings) -> None:
    settings.DELETION_GRACE = timedelta(days=90)
    lifecycle.request_erasure(user=alice, origin=OPERATOR)
    (letter,) = post_round()
    then = timezone.now() - timedelta(days=80)
    OneTimeToken.objects.update(created_at=then)
    OutgoingMail.objects.update(created_at=then, sent_at=then)

    expiry.purge()
    delivery.purge(1000)

    assert lifecycle.restore(token=letter.token, origin=OPERATOR) == alice
