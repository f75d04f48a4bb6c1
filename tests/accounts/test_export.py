"""Everything held about a person."""

import json
from datetime import timedelta
from http import HTTPStatus

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from accounts.services import export, lifecycle, staff
from audit.models import Event
from audit.origin import Origin
from authsvc.tokens.models import OneTimeToken, Session
from tests.cast import OTHER_PASSWORD, PASSWORD, V1, Answer, Api, post_round
from tests.ledger import events
from tests.lineage import Tokens, change

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture
def hers(api: Api, alice: User) -> Tokens:
    tokens: Tokens = api.login(alice.email, deviceName="Alice's laptop").data
    return tokens


def take_out(api: Api, tokens: Tokens) -> Answer:
    return api.get(f"{V1}/users/me/export", token=tokens["accessToken"])


def test_it_holds_the_account_sessions_devices_activity_mails_and_links(api: Api, alice: User, hers: Tokens) -> None:
    post_round()

    answer = take_out(api, hers)

    assert answer.status == HTTPStatus.OK
    assert answer.headers["Cache-Control"] == "no-store"
    found = answer.data
    assert {key: found["profile"][key] for key in ("id", "name", "email", "role", "locale", "isActive")} == {
        "id": str(alice.pk),
        "name": "Alice",
        "email": alice.email,
        "role": "user",
        "locale": "en",
        "isActive": True,
    }
    assert found["erasure"] is None
    assert found["totals"] == {"sessions": 1, "devices": 1, "activity": 1, "mails": 1, "links": 1}
    (session,) = found["sessions"]
    assert (session["id"], session["deviceName"]) == (hers["session"]["id"], "Alice's laptop")
    assert (session["ip"], session["userAgent"], session["endReason"]) == ("192.0.2.10", "tests", "")
    assert [device["name"] for device in found["devices"]] == ["Alice's laptop"]
    (event,) = found["activity"]
    assert (event["action"], event["by"], event["ip"], event["userAgent"], event["metadata"]) == (
        "account.signin.succeeded",
        "you",
        "192.0.2.10",
        "tests",
        {"amr": "pwd"},
    )
    (mail,) = found["mails"]
    assert (mail["kind"], mail["recipient"], mail["state"]) == ("new_device", alice.email, "sent")
    assert [(link["purpose"], link["address"]) for link in found["links"]] == [("not_me", alice.email)]


def test_it_holds_no_secret_and_no_key_of_ours(api: Api, alice: User, hers: Tokens) -> None:
    (letter,) = post_round()
    user, session, link = User.objects.get(), Session.objects.get(), OneTimeToken.objects.get()

    raw = take_out(api, hers).raw.decode()

    secrets = [
        PASSWORD,
        user.password,
        str(user.stamp),
        str(user.audit_key),
        letter.token,
        hers["accessToken"],
        hers["refreshToken"],
        hers["deviceToken"],
        bytes(session.refresh_hash).hex(),
        bytes(link.digest).hex(),
    ]
    assert [secret for secret in secrets if secret in raw] == []
    assert not {"stamp", "auditKey", "digest", "sealed", "password", "token"} & set(words(json.loads(raw)["data"]))


def words(value: object) -> list[str]:
    """Every key of a document, however deep."""
    if isinstance(value, list):
        return [word for inner in value for word in words(inner)]
    if isinstance(value, dict):
        return [*value, *(word for inner in value.values() for word in words(inner))]
    return []


def test_it_holds_nothing_of_others(api: Api, alice: User, hers: Tokens, bob: User, charlie: User) -> None:
    Api(REMOTE_ADDR="203.0.113.5", HTTP_USER_AGENT="bobs browser").login(bob.email)
    Api(REMOTE_ADDR="203.0.113.6").login(charlie.email, OTHER_PASSWORD)

    raw = take_out(api, hers).raw.decode()

    assert [word for word in ("bob", "203.0.113", "charlie", str(bob.pk)) if word in raw] == []


def test_it_does_not_tell_whether_an_address_that_was_asked_for_is_taken(
    api: Api, alice: User, hers: Tokens, bob: User
) -> None:
    grown = []
    for address in ("free@example.org", bob.email):
        before = take_out(api, hers).data["totals"]
        api.post(f"{V1}/users/me/email", {"newEmail": address}, token=hers["accessToken"])
        post_round()
        answer = take_out(api, hers)
        grown.append({kind: count - before[kind] for kind, count in answer.data["totals"].items()})
        assert address not in answer.raw.decode()
        assert answer.data["mails"][0]["kind"] == "email_change_notice"
        assert answer.data["links"][0]["purpose"] == "undo_email"

    assert grown == [{"sessions": 0, "devices": 0, "activity": 2, "mails": 1, "links": 1}] * 2


def test_what_staff_did_is_told_without_where_they_are(api: Api, alice: User, hers: Tokens, admin: User) -> None:
    by_admin = Origin(ip="192.0.2.77", user_agent="admin's browser", request_id="r1", actor_id=admin.audit_key)
    staff.update_person(user_id=alice.pk, name="Alicia", locale="en", origin=by_admin)

    answer = take_out(api, hers)

    newest = answer.data["activity"][0]
    assert (newest["action"], newest["by"], newest["ip"], newest["userAgent"]) == (
        "account.updated_by_staff",
        "staff",
        None,
        "",
    )
    assert str(admin.audit_key) not in answer.raw.decode()
    assert "192.0.2.77" not in answer.raw.decode()


def test_the_log_tells_that_it_was_taken_out_and_a_look_at_the_head_does_not(
    api: Api, alice: User, hers: Tokens
) -> None:
    api.raw("HEAD", f"{V1}/users/me/export", authorization=f"Bearer {hers['accessToken']}")
    assert "account.exported" not in events()

    take_out(api, hers)

    event = Event.objects.get(action="account.exported")
    assert (event.subject, event.actor, event.ip) == (alice.audit_key, alice.audit_key, "192.0.2.10")


def test_it_takes_no_fresh_proof(api: Api, alice: User, hers: Tokens) -> None:
    change(hers, authenticated_at=timezone.now() - timedelta(hours=1))

    assert take_out(api, hers).status == HTTPStatus.OK


def test_lists_are_bounded_and_the_totals_tell(
    api: Api, alice: User, hers: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    Event.objects.bulk_create(
        Event(action="account.signin.failed", outcome="failure", subject=alice.audit_key, request_id=str(number))
        for number in range(20)
    )
    for _ in range(4):
        api.login(alice.email)
    monkeypatch.setattr(export, "ENTRIES_MAX", 3)

    found = take_out(api, hers).data

    assert found["totals"] == {"sessions": 5, "devices": 5, "activity": 25, "mails": 5, "links": 5}
    assert {len(found[kind]) for kind in found["totals"]} == {3}
    assert found["sessions"][-1]["createdAt"] < found["sessions"][0]["createdAt"]


def test_a_deletion_that_waits_is_in_it(alice: User) -> None:
    lifecycle.request_erasure(user=alice, origin=Origin.system("tests"))

    found = export.everything(User.objects.get())

    assert found["erasure"] is not None
    assert found["erasure"]["dueAt"] > found["exportedAt"]
    assert [link["purpose"] for link in found["links"]] == ["restore"]
    assert found["profile"]["isActive"] is False


def test_more_entries_cost_no_more_queries(api: Api, alice: User, hers: Tokens) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as asked:
            export.everything(alice)
        return len(asked)

    before = cost()
    for _ in range(5):
        api.login(alice.email)

    assert cost() == before
