"""Changing the password by whoever is signed in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import emails
from accounts.models import User
from audit.models import Event
from authsvc import hashing
from authsvc.errors import Unavailable
from authsvc.tokens.models import KnownDevice, Session
from tests.cast import OTHER_PASSWORD, PASSWORD, V1, Answer, Api, post_round
from tests.ledger import events, mails, stored
from tests.lineage import Tokens, change, refused, row

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

CHANGE = f"{V1}/auth/password/change"
THIRD_PASSWORD = "a-third-Horse-9-paperclip"


@pytest.fixture
def hers(api: Api, alice: User) -> Tokens:
    """Alice signed in on the device that she calls from."""
    tokens: Tokens = api.login(alice.email).data
    return tokens


@pytest.fixture
def elsewhere(api: Api, alice: User) -> Tokens:
    """Alice signed in on another device."""
    tokens: Tokens = api.login(alice.email).data
    return tokens


def change_password(api: Api, tokens: Tokens, new: str = OTHER_PASSWORD, current: str = PASSWORD) -> Answer:
    return api.post(CHANGE, {"currentPassword": current, "newPassword": new}, token=tokens["accessToken"])


def works(api: Api, user: User, *typed: str) -> list[str]:
    """Return which of the passwords sign in."""
    return [password for password in typed if api.login(user.email, password).status == HTTPStatus.OK]


def assert_good(api: Api, tokens: Tokens) -> None:
    assert api.me(tokens["accessToken"]).status == HTTPStatus.OK


def assert_dead(api: Api, tokens: Tokens) -> None:
    assert refused(api.me(tokens["accessToken"])) == "invalid_token"
    assert refused(api.refresh(tokens["refreshToken"])) == "invalid_token"


# What a change does


def test_the_new_password_works_and_the_old_one_no_more(api: Api, alice: User, hers: Tokens) -> None:
    answer = change_password(api, hers)

    assert (answer.status, answer.data) == (HTTPStatus.OK, None)
    assert User.objects.get().stamp != alice.stamp
    assert works(api, alice, PASSWORD, OTHER_PASSWORD) == [OTHER_PASSWORD]


def test_the_calling_session_goes_on_with_its_tokens(api: Api, hers: Tokens) -> None:
    before = row(hers)

    change_password(api, hers)

    after = row(hers)
    assert {name for name, value in after.items() if before[name] != value} == {"stamp"}
    assert after["stamp"] == User.objects.get().stamp
    assert_good(api, hers)
    second = api.refresh(hers["refreshToken"]).data
    assert_good(api, second)
    third = api.refresh(second["refreshToken"]).data
    assert_good(api, third)
    listed = api.get(f"{V1}/users/me/sessions", token=third["accessToken"]).data
    assert [session["current"] for session in listed] == [True]


def test_every_other_session_ends_at_once(api: Api, bob: User, hers: Tokens, elsewhere: Tokens) -> None:
    bobs = api.login(bob.email).data
    third = api.login("alice@example.org").data

    change_password(api, hers)

    for tokens in (elsewhere, third):
        assert_dead(api, tokens)
        assert row(tokens)["end_reason"] == "password"
    assert_good(api, hers)
    assert_good(api, bobs)
    assert api.refresh(bobs["refreshToken"]).status == HTTPStatus.OK


def test_it_can_be_changed_again_by_the_same_session(api: Api, alice: User, hers: Tokens) -> None:
    change_password(api, hers)

    assert change_password(api, hers, THIRD_PASSWORD, OTHER_PASSWORD).status == HTTPStatus.OK

    assert works(api, alice, PASSWORD, OTHER_PASSWORD, THIRD_PASSWORD) == [THIRD_PASSWORD]


def test_it_ends_sessions_of_the_admin_site(api: Api, client: Client, admin: User) -> None:
    client.force_login(admin)
    tokens = api.login(admin.email).data

    assert change_password(api, tokens).status == HTTPStatus.OK

    assert client.get("/admin/").status_code == HTTPStatus.FOUND


def test_the_calling_device_stays_known_without_its_trust_and_the_others_do_not(
    api: Api, alice: User, bob: User, hers: Tokens, elsewhere: Tokens
) -> None:
    api.login(bob.email)
    KnownDevice.objects.update(trusted_until=timezone.now() + timedelta(days=30))
    own = row(hers)["known_device_id"]

    change_password(api, hers)

    left = {device.pk: device.trusted_until is not None for device in KnownDevice.objects.all()}
    assert left.pop(own) is False
    assert list(left.values()) == [True]  # Bob's
    again = api.login(alice.email, OTHER_PASSWORD, deviceToken=hers["deviceToken"]).data
    assert "deviceToken" not in again
    assert "deviceToken" in api.login(alice.email, OTHER_PASSWORD, deviceToken=elsewhere["deviceToken"]).data


def test_it_ends_the_links_that_were_mailed(api: Api, alice: User, hers: Tokens) -> None:
    post_round()
    api.post(f"{V1}/auth/password/forgot", {"email": alice.email})
    (letter,) = post_round()

    change_password(api, hers)

    answer = api.post(f"{V1}/auth/password/reset", {"token": letter.token, "newPassword": THIRD_PASSWORD})
    assert answer.codes == ["invalid_token"]
    assert works(api, alice, THIRD_PASSWORD) == []


def test_the_link_that_a_sign_in_was_not_hers_stays_good(api: Api, alice: User, hers: Tokens) -> None:
    """Whoever got in could change the password, and would so take the link from her."""
    (letter,) = post_round()

    change_password(api, hers)

    assert api.post(f"{V1}/auth/not-me", {"token": letter.token}).status == HTTPStatus.OK
    assert works(api, alice, PASSWORD, OTHER_PASSWORD) == []
    assert_dead(api, hers)


def test_the_log_and_the_owner_are_told(alice: User) -> None:
    browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    api = Api(REMOTE_ADDR="192.0.2.10", HTTP_USER_AGENT=browser)
    tokens = api.login(alice.email).data
    post_round()

    change_password(api, tokens)

    (letter,) = post_round()
    event = Event.objects.get(action="account.password.changed")
    assert (event.subject, event.actor, event.outcome) == (alice.audit_key, alice.audit_key, "success")
    assert (str(event.session_id), event.ip) == (tokens["session"]["id"], "192.0.2.10")
    assert (letter.to, letter.subject) == (alice.email, "Your password was changed")
    for body in (letter.text, letter.html):
        assert "192.0.2.10" in body
        assert "Firefox, Linux" in body
        assert f"{event.created_at:%Y-%m-%d %H:%M} UTC" in body
        assert "If it was not you" in body
        assert "#token" not in body
    assert events() == ["account.signin.succeeded", "session.others_ended", "account.password.changed"]


def test_it_is_no_proof_for_what_takes_a_fresh_one(api: Api, hers: Tokens) -> None:
    before = row(hers)["authenticated_at"]

    change_password(api, hers)

    assert row(hers)["authenticated_at"] == before


def test_the_same_password_may_be_chosen_again(api: Api, alice: User, hers: Tokens, elsewhere: Tokens) -> None:
    assert change_password(api, hers, PASSWORD).status == HTTPStatus.OK

    assert works(api, alice, PASSWORD) == [PASSWORD]
    assert_dead(api, elsewhere)


def test_others_keep_theirs(api: Api, bob: User, hers: Tokens) -> None:
    change_password(api, hers)

    assert works(api, bob, PASSWORD, OTHER_PASSWORD) == [PASSWORD]


# What is refused


@pytest.mark.parametrize("wrong", [OTHER_PASSWORD, PASSWORD + " ", PASSWORD.upper(), "x", "!"])
def test_a_wrong_current_password_changes_nothing_and_is_in_the_log(
    api: Api, alice: User, hers: Tokens, elsewhere: Tokens, wrong: str
) -> None:
    before, told = stored(), mails()

    answer = change_password(api, hers, THIRD_PASSWORD, wrong)

    assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {"currentPassword": "password_incorrect"})
    after = stored()
    written = after["audit.Event"][len(before["audit.Event"]) :]
    assert {**after, "audit.Event": None} == {**before, "audit.Event": None}
    assert [(event["action"], event["outcome"], event["metadata"]) for event in written] == [
        ("account.password.change_failed", "failure", {"reason": "password"})
    ]
    assert (written[0]["subject"], written[0]["actor"]) == (alice.audit_key, alice.audit_key)
    assert str(written[0]["session_id"]) == hers["session"]["id"]
    assert mails() == told
    assert_good(api, hers)
    assert_good(api, elsewhere)


def test_a_body_that_can_not_be_is_refused_before_any_work(subtests: pytest.Subtests, api: Api, hers: Tokens) -> None:
    for body, problems in [
        ({}, {"currentPassword": "required", "newPassword": "required"}),
        ({"newPassword": OTHER_PASSWORD}, {"currentPassword": "required"}),
        ({"currentPassword": "", "newPassword": OTHER_PASSWORD}, {"currentPassword": "too_short"}),
        ({"currentPassword": None, "newPassword": OTHER_PASSWORD}, {"currentPassword": "invalid_type"}),
        ({"currentPassword": False, "newPassword": OTHER_PASSWORD}, {"currentPassword": "invalid_type"}),
        ({"currentPassword": [PASSWORD], "newPassword": OTHER_PASSWORD}, {"currentPassword": "invalid_type"}),
        ({"currentPassword": PASSWORD + "\0", "newPassword": OTHER_PASSWORD}, {"currentPassword": "invalid_character"}),
        ({"currentPassword": "x" * 1025, "newPassword": OTHER_PASSWORD}, {"currentPassword": "too_long"}),
        ({"currentPassword": PASSWORD, "newPassword": None}, {"newPassword": "invalid_type"}),
        ({"currentPassword": PASSWORD, "newPassword": "x" * 1025}, {"newPassword": "too_long"}),
        ({"currentPassword": PASSWORD, "newPassword": "\ud800" * 12}, {"newPassword": "invalid_character"}),
        (
            {"password": PASSWORD, "newPassword": OTHER_PASSWORD},
            {"password": "unknown_field", "currentPassword": "required"},
        ),
        *(
            ({"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD, extra: "x"}, {extra: "unknown_field"})
            for extra in ("email", "userId", "sessionId", "token", "mfaEnabled")
        ),
    ]:
        with subtests.test(body=body, problems=problems):
            before = stored()

            answer = api.post(CHANGE, body, token=hers["accessToken"])

            assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, problems)
            assert stored() == before


@pytest.mark.parametrize(
    ("weak", "code"),
    [("", "password_too_short"), ("short", "password_too_short"), ("a" * 129, "password_too_long"),
     ("Alice@Example1!", "password_similar")],
)  # fmt: skip
def test_a_weak_password_changes_nothing(api: Api, hers: Tokens, elsewhere: Tokens, weak: str, code: str) -> None:
    before = stored()

    answer = change_password(api, hers, weak)

    assert answer.status == HTTPStatus.BAD_REQUEST
    assert {problem["field"] for problem in answer.body["errors"]} == {"newPassword"}
    assert code in answer.codes
    assert stored() == before
    assert_good(api, elsewhere)


def test_nobody_changes_one_without_signing_in(api: Api, hers: Tokens) -> None:
    body = {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD}
    before = stored()

    assert refused(api.post(CHANGE, body)) == "not_authenticated"
    assert refused(api.post(CHANGE, body, token="a.b.c")) == "invalid_token"
    assert refused(api.post(CHANGE, body, token=hers["refreshToken"])) == "invalid_token"

    assert stored() == before


def test_an_account_without_a_password_has_no_current_one(api: Api, alice: User, hers: Tokens) -> None:
    User.objects.update(password="!nothing")

    for current in (PASSWORD, "!nothing", "!"):
        assert change_password(api, hers, OTHER_PASSWORD, current).codes == ["password_incorrect"]
    assert works(api, alice, PASSWORD, OTHER_PASSWORD) == []


@pytest.mark.parametrize("method", ["HEAD", "GET", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"])
def test_no_other_method_does_anything(api: Api, hers: Tokens, method: str) -> None:
    before = stored()

    answer = api.raw(method, CHANGE, b"", "", authorization=f"Bearer {hers['accessToken']}")

    assert answer.status == HTTPStatus.METHOD_NOT_ALLOWED
    assert stored() == before


def test_a_password_of_a_megabyte_is_refused_unread(api: Api, hers: Tokens) -> None:
    assert change_password(api, hers, "x" * 1_000_000).codes == ["body_too_large"]
    assert change_password(api, hers, OTHER_PASSWORD, "x" * 1_000_000).codes == ["body_too_large"]


# What happens meanwhile


@pytest.fixture
def while_hashing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Let something happen while the new password is hashed."""

    def arrange(deed: Callable[[], object]) -> None:
        make, pending = hashing.make, [deed]

        def slowly(password: str) -> str:
            if pending:
                pending.pop()()
            return make(password)

        monkeypatch.setattr(hashing, "make", slowly)

    return arrange


def ended(tokens: Tokens) -> None:
    change(tokens, ended_at="2026-01-01T00:00:00Z", end_reason="logout")


def gone(_tokens: Tokens) -> None:
    Session.objects.all().delete()


def restamped(_tokens: Tokens) -> None:
    User.objects.update(stamp=uuid4())


def erased(_tokens: Tokens) -> None:
    User.objects.all().delete()


@pytest.mark.parametrize("meanwhile", [ended, gone, restamped])
def test_a_session_that_ends_meanwhile_changes_nothing(
    api: Api,
    alice: User,
    hers: Tokens,
    while_hashing: Callable[[Callable[[], object]], None],
    meanwhile: Callable[[Tokens], None],
) -> None:
    while_hashing(lambda: meanwhile(hers))

    assert refused(change_password(api, hers)) == "invalid_token"

    assert User.objects.get().password == alice.password
    assert ("password_changed", alice.email) not in mails()
    event = Event.objects.latest("created_at", "id")
    assert (event.action, event.metadata) == ("account.password.change_failed", {"reason": "changed"})


def test_an_account_that_is_erased_meanwhile_changes_nothing(
    api: Api, hers: Tokens, while_hashing: Callable[[Callable[[], object]], None]
) -> None:
    while_hashing(lambda: erased(hers))

    assert refused(change_password(api, hers)) == "invalid_token"


def test_a_change_by_another_session_meanwhile_is_not_overtaken(
    api: Api, alice: User, hers: Tokens, elsewhere: Tokens, while_hashing: Callable[[Callable[[], object]], None]
) -> None:
    while_hashing(lambda: change_password(api, elsewhere, THIRD_PASSWORD))

    assert refused(change_password(api, hers)) == "invalid_token"

    assert works(api, alice, PASSWORD, OTHER_PASSWORD, THIRD_PASSWORD) == [THIRD_PASSWORD]
    assert_good(api, elsewhere)


def test_of_two_changes_by_one_session_the_second_names_the_wrong_password(
    api: Api, alice: User, hers: Tokens, while_hashing: Callable[[Callable[[], object]], None]
) -> None:
    while_hashing(lambda: change_password(api, hers, THIRD_PASSWORD))

    answer = change_password(api, hers)

    assert answer.problems == {"currentPassword": "password_incorrect"}
    assert_good(api, hers)
    assert works(api, alice, PASSWORD, OTHER_PASSWORD, THIRD_PASSWORD) == [THIRD_PASSWORD]


@contextmanager
def before_the_rotation(deed: Callable[[], object]) -> Iterator[None]:
    """Let another request do something right before a refresh writes."""
    pending = [deed]

    def intrude(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if pending and sql.startswith('UPDATE "tokens_session"') and "refresh_generation" in sql:
            pending.pop()()
        return execute(sql, *rest)

    with connection.execute_wrapper(intrude):
        yield
    assert pending == []


def test_a_refresh_that_is_under_way_goes_on(api: Api, hers: Tokens) -> None:
    with before_the_rotation(lambda: change_password(api, hers)):
        answer = api.refresh(hers["refreshToken"])

    assert answer.status == HTTPStatus.OK
    assert row(hers)["refresh_generation"] == 1
    assert_good(api, answer.data)
    assert api.refresh(answer.data["refreshToken"]).status == HTTPStatus.OK


def test_a_refresh_of_another_session_that_is_under_way_is_refused(api: Api, hers: Tokens, elsewhere: Tokens) -> None:
    with before_the_rotation(lambda: change_password(api, hers)):
        assert refused(api.refresh(elsewhere["refreshToken"])) == "invalid_token"

    assert row(elsewhere)["refresh_generation"] == 0


def test_what_fails_half_way_leaves_nothing_behind(
    api: Api, hers: Tokens, elsewhere: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_what: Any) -> None:
        raise RuntimeError

    before = stored()
    with monkeypatch.context() as patched:
        patched.setattr(emails, "password_changed", fail)
        assert change_password(api, hers).status == HTTPStatus.INTERNAL_SERVER_ERROR

    assert stored() == before
    assert_good(api, elsewhere)


@pytest.mark.parametrize("step", ["verify", "make"])
def test_where_hashing_is_busy_it_can_be_tried_again(
    api: Api, hers: Tokens, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def busy(*_args: Any) -> bool:
        raise Unavailable

    before = stored()
    with monkeypatch.context() as patched:
        patched.setattr(hashing, step, busy)
        answer = change_password(api, hers)

    assert (answer.status, answer.headers["Retry-After"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "1")
    assert stored() == before
    assert change_password(api, hers).status == HTTPStatus.OK


@pytest.mark.django_db(transaction=True)
def test_no_transaction_waits_for_a_hash(api: Api, hers: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: list[bool] = []

    def watched(original: Callable[..., Any]) -> Callable[..., Any]:
        def watch(*args: Any) -> Any:
            waiting.append(connection.in_atomic_block)
            return original(*args)

        return watch

    monkeypatch.setattr(hashing, "verify", watched(hashing.verify))
    monkeypatch.setattr(hashing, "make", watched(hashing.make))

    assert change_password(api, hers).status == HTTPStatus.OK
    assert waiting == [False, False]
