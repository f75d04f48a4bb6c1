"""A forgotten password: the link that is mailed, and the new password it sets."""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts import emails
from accounts.models import ErasureRequest, Role, User
from accounts.services import lifecycle, passwords
from accounts.services.links import InvalidLink
from audit.models import Event
from audit.origin import Origin
from authsvc import crypto, hashing
from authsvc.errors import Unavailable
from authsvc.mail import delivery
from authsvc.mail.models import MailState, OutgoingMail
from authsvc.tokens.models import KnownDevice, OneTimeToken, Purpose
from authsvc.tokens.services import one_time
from config.values import Rate
from tests.cast import OTHER_PASSWORD, PASSWORD, V1, Answer, Api, enrol, post_round
from tests.ledger import events, mails, spoken, stored
from tests.lineage import refused, rows

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

ALICE = "alice@example.org"
FORGOT, RESET = f"{V1}/auth/password/forgot", f"{V1}/auth/password/reset"
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
THIRD_PASSWORD = "a-third-Horse-9-paperclip"
ORIGIN = Origin(ip="192.0.2.7", user_agent="tests", request_id="", actor_id=None)


def forget(api: Api, email: str = ALICE, **headers: str) -> Answer:
    return api.post(FORGOT, {"email": email}, **headers)


def reset(api: Api, token: str, password: str = OTHER_PASSWORD, **more: object) -> Answer:
    return api.post(RESET, {"token": token, "newPassword": password, **more})


def links() -> list[str]:
    """Deliver what waits; return the tokens of the links that set a password, oldest first."""
    return [letter.token for letter in post_round() if "/reset-password#" in letter.text]


def link_for(api: Api, email: str = ALICE) -> str:
    forget(api, email)
    (token,) = links()
    return token


@pytest.fixture
def token(api: Api, alice: User) -> str:
    """The token of the link that Alice was mailed."""
    return link_for(api)


def fresh(email: str = ALICE) -> User:
    return User.objects.get(email=email)


def sent(ago: timedelta) -> None:
    OutgoingMail.objects.filter(state=MailState.SENT).update(sent_at=timezone.now() - ago)


def works(api: Api, *typed: str, email: str = ALICE) -> list[str]:
    """Return which of the passwords sign in."""
    return [password for password in typed if api.login(email, password).status == HTTPStatus.OK]


# Whom one may ask for


def unknown(_email: str) -> None:
    """Nobody."""


def lapsed(email: str) -> None:
    enrol(email, verified_at=None, created_at=timezone.now() - timedelta(days=7))


def known(email: str) -> None:
    enrol(email)


def unverified(email: str) -> None:
    enrol(email, verified_at=None)


def contested(email: str) -> None:
    enrol(email, verified_at=None, password="!contested")


def without_password(email: str) -> None:
    enrol(email)
    User.objects.filter(email=email).update(password="!")


def staff(email: str) -> None:
    enrol(email, role=Role.ADMIN)


def inactive(email: str) -> None:
    enrol(email, is_active=False)


def pending_erasure(email: str) -> None:
    user = enrol(email, is_active=False)
    ErasureRequest.objects.create(user=user, due_at=timezone.now() + timedelta(days=30))


def over_the_limit(email: str) -> None:
    user = enrol(email)
    for _ in range(3):
        emails.reset_password(user=user, token=crypto.new_token())
    OutgoingMail.objects.update(state=MailState.SENT, sealed=b"", sent_at=timezone.now())


State = Callable[[str], None]
MAILED: list[State] = [known, unverified, contested, without_password, staff]
SILENT: list[State] = [unknown, lapsed, inactive, pending_erasure, over_the_limit]
each_state = pytest.mark.parametrize("state", MAILED + SILENT)


class TestForgot:
    """Asking for a link tells nothing, and mails it to the stored address alone."""

    def test_every_answer_is_the_same(self, api: Api) -> None:
        heard = {}
        for letter, state in zip("abcdefghij", MAILED + SILENT, strict=True):
            state(f"{letter}@example.org")
            heard[state.__name__] = spoken(forget(api, f"{letter}@example.org"))

        assert heard == dict.fromkeys(heard, heard["unknown"])
        assert heard["unknown"][0] == HTTPStatus.ACCEPTED
        assert b'"data":null' in heard["unknown"][2].replace(b" ", b"")

    @each_state
    def test_who_has_an_active_account_gets_a_mail_and_every_request_is_in_the_log(
        self, api: Api, state: State
    ) -> None:
        state(ALICE)
        before = mails()

        forget(api)

        assert mails() == before + [("reset_password", ALICE)] * (state in MAILED)
        assert events() == ["account.password.reset_requested"]

    @each_state
    def test_it_changes_nothing_of_the_account(self, api: Api, state: State) -> None:
        state(ALICE)
        before = stored()["accounts.User"]

        forget(api)

        assert stored()["accounts.User"] == before

    def test_the_log_names_the_account_where_there_is_one(self, api: Api, alice: User) -> None:
        inactive("bob@example.org")
        for email in (ALICE, "bob@example.org", "nobody@example.org"):
            forget(api, email)

        bob = fresh("bob@example.org")
        assert [(event.subject, event.actor, event.metadata) for event in Event.objects.order_by("id")] == [
            (alice.audit_key, None, {}),
            (bob.audit_key, None, {}),
            (None, None, {}),
        ]
        assert "nobody@example.org" not in str(stored())

    def test_the_mail_has_the_link_and_says_how_long_it_works(self, api: Api, alice: User) -> None:
        User.objects.update(name="Alice Liddell")
        forget(api)

        (letter,) = post_round()

        assert (letter.to, letter.subject) == (ALICE, "Set a new password")
        for body in (letter.text, letter.html):
            assert "Alice Liddell" in body
            assert f"/reset-password#token={letter.token}" in body
            assert "one hour" in body

    def test_only_the_newest_link_works(self, api: Api, alice: User) -> None:
        for _ in range(3):
            forget(api)
        *older, newest = links()

        assert [reset(api, token).problems for token in older] == [{"token": "invalid_token"}] * 2
        assert works(api, PASSWORD) == [PASSWORD]
        assert reset(api, newest).status == HTTPStatus.OK

    def test_a_request_beyond_the_limit_leaves_the_last_link_alone(
        self, api: Api, alice: User, settings: Settings
    ) -> None:
        settings.LIMIT_MAIL = Rate(1, 3600)
        token = link_for(api)

        forget(api)

        assert links() == []
        assert reset(api, token).status == HTTPStatus.OK

    def test_a_request_voids_the_links_of_nobody_else(self, api: Api, bob: User, token: str) -> None:
        forget(api, bob.email)
        forget(api, "nobody@example.org")

        assert reset(api, token).status == HTTPStatus.OK

    def test_a_request_voids_no_link_of_another_kind(self, api: Api) -> None:
        api.register(ALICE)
        verification = post_round()[0].token
        forget(api)

        assert api.verify(verification).status == HTTPStatus.OK

    @pytest.mark.parametrize("spelling", [" Alice@Example.ORG ", "ALICE@EXAMPLE.ORG"])
    def test_case_and_space_lead_to_the_stored_address(self, api: Api, alice: User, spelling: str) -> None:
        forget(api, spelling)

        assert mails() == [("reset_password", ALICE)]

    @pytest.mark.parametrize(
        "address", ["al\u0131ce@example.org", "alice+x@example.org", "al.ice@example.org", "alice@example.com"]
    )
    def test_an_address_that_merely_looks_like_it_leads_nowhere(self, api: Api, alice: User, address: str) -> None:
        forget(api, address)

        assert mails() == []

    @pytest.mark.parametrize(
        "address",
        [
            "alice@example.org,eve@example.org",
            ["alice@example.org", "eve@example.org"],
            "alice\uff20example.org",
            "",
            7,
        ],
        ids=ascii,
    )
    def test_what_is_no_plain_address_mails_nobody(self, api: Api, alice: User, address: object) -> None:
        before = stored()

        answer = api.post(FORGOT, {"email": address})

        assert answer.status == HTTPStatus.BAD_REQUEST
        assert set(answer.problems) == {"email"}
        assert stored() == before

    @pytest.mark.parametrize(
        "headers",
        [
            {"X_Forwarded_Host": "evil.example"},
            {"X_Forwarded_Proto": "gopher"},
            {"X_Forwarded_Port": "6666"},
            {"X_Forwarded_Server": "evil.example", "X_Original_Host": "evil.example"},
            {"Forwarded": "host=evil.example;proto=https"},
            {"Host": "evil.example"},
            {"Host": "testserver:6666"},
            {"X_Forwarded_Prefix": "/evil.example", "X_Original_URL": "https://evil.example/"},
            {"Origin": "https://evil.example", "Referer": "https://evil.example/"},
        ],
        ids=lambda headers: next(iter(headers)),
    )
    def test_the_base_of_the_link_is_ours_whatever_the_request_claims(
        self, api: Api, alice: User, settings: Settings, headers: dict[str, str]
    ) -> None:
        settings.PUBLIC_URL, settings.FRONTEND_URL = "https://id.example.com", ""

        answer = forget(api, **headers)

        assert answer.status in {HTTPStatus.ACCEPTED, HTTPStatus.BAD_REQUEST}
        assert answer.status == HTTPStatus.ACCEPTED or "Host" in headers
        for letter in post_round():
            assert f"https://id.example.com/reset-password#token={letter.token}" in letter.text
            assert "evil.example" not in letter.text + letter.html
            assert "6666" not in letter.text + letter.html

    def test_an_absolute_target_names_no_base_either(self, api: Api, alice: User, settings: Settings) -> None:
        settings.PUBLIC_URL, settings.FRONTEND_URL = "https://id.example.com", "https://app.example.com"

        Client(raise_request_exception=False).post(
            FORGOT,
            {"email": ALICE},
            content_type="application/json",
            SERVER_NAME="testserver",
            REQUEST_URI=f"https://evil.example{FORGOT}",
        )

        (letter,) = post_round()
        assert f"https://app.example.com/reset-password#token={letter.token}" in letter.text

    def test_a_mail_server_that_is_away_changes_no_answer(self, api: Api, alice: User, settings: Settings) -> None:
        settings.EMBEDDED = False
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", 1, 5
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""

        hers = forget(api)
        for mail in OutgoingMail.objects.all():
            delivery.deliver(mail_id=mail.id)
            mail.refresh_from_db()
            assert (mail.state, mail.attempts) == (MailState.QUEUED, 1)
        again, nobodys = forget(api), forget(api, "nobody@example.org")

        assert hers.status == HTTPStatus.ACCEPTED
        assert spoken(hers) == spoken(again) == spoken(nobodys)

    def test_the_token_rests_nowhere_in_clear(self, api: Api, token: str) -> None:
        kept = str(stored()["tokens.OneTimeToken"]) + str(stored()["mail.OutgoingMail"]) + str(stored()["audit.Event"])

        assert token not in kept
        assert bytes(OneTimeToken.objects.get().digest) == crypto.sha256(token)


class TestReset:
    """What a reset does."""

    def test_the_new_password_works_and_the_old_one_no_more(self, api: Api, token: str) -> None:
        before = fresh()

        answer = reset(api, token)

        after = fresh()
        assert (answer.status, answer.data) == (HTTPStatus.OK, None)
        assert after.stamp != before.stamp
        assert (after.verified_at, after.last_login, after.role) == (before.verified_at, None, before.role)
        assert works(api, PASSWORD, OTHER_PASSWORD) == [OTHER_PASSWORD]

    def test_it_signs_nobody_in(self, api: Api, token: str) -> None:
        answer = reset(api, token)

        assert rows() == []
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"

    def test_it_ends_every_session_at_once(self, api: Api, bob: User, alice: User) -> None:
        laptop, phone, bobs = (api.login(email).data for email in (ALICE, ALICE, bob.email))
        token = link_for(api)

        reset(api, token)

        for tokens in (laptop, phone):
            assert refused(api.me(tokens["accessToken"])) == "invalid_token"
            assert refused(api.refresh(tokens["refreshToken"])) == "invalid_token"
        assert [row["end_reason"] for row in rows()] == ["password", "password", ""]
        assert api.me(bobs["accessToken"]).status == HTTPStatus.OK
        assert api.refresh(bobs["refreshToken"]).status == HTTPStatus.OK

    def test_it_ends_sessions_of_the_admin_site(self, api: Api, client: Client, admin: User) -> None:
        client.force_login(admin)
        assert client.get("/admin/").status_code == HTTPStatus.OK

        reset(api, link_for(api, admin.email))

        assert client.get("/admin/").status_code == HTTPStatus.FOUND

    def test_it_makes_every_device_unknown(self, api: Api, alice: User, bob: User) -> None:
        device = api.login(ALICE).data["deviceToken"]
        api.login(ALICE)
        api.login(bob.email)
        token = link_for(api)

        reset(api, token)

        assert [known.user_id for known in KnownDevice.objects.all()] == [bob.pk]
        assert "deviceToken" in api.login(ALICE, OTHER_PASSWORD, deviceToken=device).data

    def test_it_voids_the_links_that_a_sign_in_was_not_hers(self, api: Api, alice: User) -> None:
        api.login(ALICE)
        (letter,) = post_round()
        reset(api, link_for(api))

        answer = api.post(f"{V1}/auth/not-me", {"token": letter.token})

        assert answer.codes == ["invalid_token"]

    def test_the_log_and_the_owner_are_told(self, alice: User) -> None:
        browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
        api = Api(REMOTE_ADDR="192.0.2.10", HTTP_USER_AGENT=browser)
        token = link_for(api)

        reset(api, token)

        (letter,) = post_round()
        at = Event.objects.get(action="account.password.reset").created_at
        assert (letter.to, letter.subject) == (ALICE, "Your password was changed")
        for body in (letter.text, letter.html):
            assert "192.0.2.10" in body
            assert "Firefox, Linux" in body
            assert f"{at:%Y-%m-%d %H:%M} UTC" in body
            assert "If it was not you" in body
            assert "#token" not in body
        assert "http" not in letter.text
        assert events() == ["account.password.reset_requested", "session.all_ended", "account.password.reset"]
        event = Event.objects.get(action="account.password.reset")
        assert (event.subject, event.actor, event.outcome) == (alice.audit_key, None, "success")

    def test_the_notice_is_never_withheld(self, api: Api, alice: User, settings: Settings) -> None:
        settings.LIMIT_MAIL = Rate(1, 3600)
        for password in (OTHER_PASSWORD, THIRD_PASSWORD):
            user = fresh()
            token = crypto.new_token()
            mail = emails.reset_password(user=user, token=token)
            one_time.register(token=token, purpose=Purpose.RESET_PASSWORD, user=user, mail=mail, lifetime=HOUR)
            assert reset(api, token, password).status == HTTPStatus.OK

        assert mails().count(("password_changed", ALICE)) == 2

    def test_it_works_once(self, api: Api, token: str) -> None:
        reset(api, token)
        before = stored()

        answer = reset(api, token, THIRD_PASSWORD)

        assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {"token": "invalid_token"})
        assert stored() == before

    def test_it_ends_every_other_link(self, api: Api) -> None:
        api.register(ALICE)
        verification = post_round()[0].token

        reset(api, link_for(api))

        assert api.verify(verification).codes == ["invalid_token"]

    def test_the_old_password_may_be_chosen_again(self, api: Api, token: str) -> None:
        assert reset(api, token, PASSWORD).status == HTTPStatus.OK
        assert works(api, PASSWORD) == [PASSWORD]

    @pytest.mark.parametrize("state", MAILED)
    def test_it_verifies_and_drops_whatever_password_there_was(self, api: Api, state: State) -> None:
        state(ALICE)
        before = fresh()

        reset(api, link_for(api))

        assert fresh().verified_at is not None
        assert fresh().verified_at == before.verified_at or before.verified_at is None
        assert works(api, PASSWORD, OTHER_PASSWORD) == [OTHER_PASSWORD]

    def test_the_password_of_a_stranger_who_registered_first_counts_no_more(self, api: Api) -> None:
        api.register(ALICE, "the-strangers-Horse-7")

        reset(api, link_for(api))

        assert works(api, "the-strangers-Horse-7", OTHER_PASSWORD) == [OTHER_PASSWORD]
        assert api.register(ALICE, "the-strangers-Horse-7").status == HTTPStatus.CREATED
        assert works(api, "the-strangers-Horse-7", OTHER_PASSWORD) == [OTHER_PASSWORD]

    def test_a_new_password_is_the_same_text_and_only_that(self, api: Api, token: str) -> None:
        long = "0123456789abcdefghijklmnopqrstuvwxyz" * 2

        assert reset(api, token, f" gr\u00fcne Pferde 7! {long}A").status == HTTPStatus.OK

        assert works(api, f" gru\u0308ne Pferde 7! {long}A") == [f" gru\u0308ne Pferde 7! {long}A"]
        assert works(api, f" gr\u00fcne Pferde 7! {long}B", f"gr\u00fcne Pferde 7! {long}A") == []

    def test_a_voided_password_counts_again_after_a_reset_alone(self, api: Api, alice: User) -> None:
        passwords.void_password(alice)

        assert works(api, PASSWORD, "!", alice.password) == []
        reset(api, link_for(api))
        assert works(api, PASSWORD, OTHER_PASSWORD) == [OTHER_PASSWORD]


class TestLife:
    """A link lives for one hour from the moment its mail went out; no job has to end it."""

    def test_it_lives_until_an_hour_after_the_sending(self, api: Api, token: str) -> None:
        OneTimeToken.objects.update(created_at=timezone.now() - timedelta(days=3))
        sent(ago=HOUR - 5 * SECOND)

        assert reset(api, token).status == HTTPStatus.OK

    def test_a_second_later_it_is_refused_although_its_row_is_there(self, api: Api, token: str) -> None:
        sent(ago=HOUR + SECOND)
        before = stored()

        answer = reset(api, token)

        assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {"token": "invalid_token"})
        assert stored() == before
        assert OneTimeToken.objects.count() == 1

    def test_a_mail_that_was_given_up_takes_its_link_along(self, api: Api, token: str) -> None:
        OutgoingMail.objects.update(state=MailState.GIVEN_UP, sent_at=None)

        assert reset(api, token).codes == ["invalid_token"]


def deactivated(user: User) -> None:
    lifecycle.deactivate(user_id=user.pk, origin=ORIGIN)


def off_and_on(user: User) -> None:
    deactivated(user)
    lifecycle.activate(user_id=user.pk, origin=ORIGIN)


def moved(user: User) -> None:
    User.objects.filter(pk=user.pk).update(email="alice.liddell@example.org")


def moved_and_stamped(user: User) -> None:
    User.objects.filter(pk=user.pk).update(email="alice.liddell@example.org", stamp=uuid4())


def restamped(user: User) -> None:
    User.objects.filter(pk=user.pk).update(stamp=uuid4())


def switched_off(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def left_unverified_too_long(user: User) -> None:
    User.objects.filter(pk=user.pk).update(verified_at=None, created_at=timezone.now() - timedelta(days=7))


def erased(user: User) -> None:
    user.delete()


def changed_her_password(_user: User) -> None:
    api = Api()
    tokens = api.login(ALICE).data
    body = {"currentPassword": PASSWORD, "newPassword": THIRD_PASSWORD}
    assert api.post(f"{V1}/auth/password/change", body, token=tokens["accessToken"]).status == HTTPStatus.OK


def asked_again(user: User) -> None:
    forget(Api(), user.email)


Meanwhile = Callable[[User], None]


class TestRefusals:
    """What sets no password."""

    @pytest.mark.parametrize(
        "meanwhile",
        [
            asked_again, changed_her_password, deactivated, erased, left_unverified_too_long, moved, moved_and_stamped,
            off_and_on, restamped, switched_off,
        ],
    )  # fmt: skip
    def test_a_link_is_for_the_account_as_it_was(self, api: Api, alice: User, token: str, meanwhile: Meanwhile) -> None:
        meanwhile(alice)
        before = stored()

        answer = reset(api, token)

        assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {"token": "invalid_token"})
        assert stored() == before

    @pytest.mark.parametrize(
        "meanwhile", [asked_again, deactivated, erased, moved, moved_and_stamped, off_and_on, restamped, switched_off]
    )
    def test_a_change_after_the_link_was_read_is_not_overtaken(
        self, alice: User, token: str, meanwhile: Meanwhile
    ) -> None:
        as_read = passwords._find(token)
        meanwhile(alice)
        before = stored()

        with pytest.raises(InvalidLink):
            passwords._reset(as_read, password_hash="!", origin=ORIGIN)

        assert stored() == before

    @pytest.mark.parametrize(
        ("weak", "code"),
        [
            ("", "password_too_short"),
            ("short", "password_too_short"),
            ("a" * 129, "password_too_long"),
            ("Alice@Example1!", "password_similar"),
            ("x" * 1025, "too_long"),
            ("pass\0word-Horse-7", "invalid_character"),
            ("pass\ud800word-Horse-7", "invalid_character"),
            (None, "invalid_type"),
            (7, "invalid_type"),
        ],
        ids=lambda value: ascii(value)[:20],
    )
    def test_a_refused_password_leaves_the_link_usable(self, api: Api, token: str, weak: object, code: str) -> None:
        before = stored()

        answer = api.post(RESET, {"token": token, "newPassword": weak})

        assert answer.status == HTTPStatus.BAD_REQUEST
        assert {problem["field"] for problem in answer.body["errors"]} == {"newPassword"}
        assert code in answer.codes
        assert stored() == before
        assert reset(api, token).status == HTTPStatus.OK

    def test_a_password_of_a_megabyte_is_refused_unread(self, api: Api, token: str) -> None:
        answer = reset(api, token, "x" * 1_000_000)

        assert answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        assert works(api, PASSWORD) == [PASSWORD]

    @pytest.mark.parametrize(
        ("body", "problems"),
        [
            ({}, {"token": "required", "newPassword": "required"}),
            ({"newPassword": OTHER_PASSWORD}, {"token": "required"}),
            ({"token": "", "newPassword": OTHER_PASSWORD}, {"token": "too_short"}),
            ({"token": None, "newPassword": OTHER_PASSWORD}, {"token": "invalid_type"}),
            ({"token": "A" * 43, "newPassword": OTHER_PASSWORD}, {"token": "invalid_token"}),
            ({"token": "A" * 4096, "newPassword": OTHER_PASSWORD}, {"token": "invalid_token"}),
            ({"token": ALICE, "newPassword": OTHER_PASSWORD}, {"token": "invalid_token"}),
            ({"email": ALICE, "newPassword": OTHER_PASSWORD}, {"email": "unknown_field", "token": "required"}),
        ],
        ids=str,
    )
    def test_without_the_mailed_token_nothing_is_set(
        self, api: Api, token: str, body: dict[str, object], problems: dict[str, str]
    ) -> None:
        before = stored()

        answer = api.post(RESET, body)

        assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, problems)
        assert stored() == before

    def test_ids_of_the_account_or_the_link_are_no_token(self, api: Api, alice: User, token: str) -> None:
        row = OneTimeToken.objects.get()
        mail = OutgoingMail.objects.get()
        before = stored()

        for known_to_others in (alice.pk, row.pk, mail.pk, alice.stamp, alice.audit_key, bytes(row.digest).hex()):
            assert reset(api, str(known_to_others)).codes == ["invalid_token"]

        assert stored() == before

    @pytest.mark.parametrize(
        "more",
        [{"email": "bob@example.org"}, {"userId": "1"}, {"id": "1"}, {"user": "bob"}, {"isVerified": True}],
        ids=str,
    )
    def test_nothing_but_the_token_names_the_account(
        self, api: Api, bob: User, token: str, more: dict[str, object]
    ) -> None:
        before = stored()

        answer = reset(api, token, OTHER_PASSWORD, **more)

        assert answer.problems == {next(iter(more)): "unknown_field"}
        assert stored() == before

    def test_a_link_of_one_account_leaves_the_others_alone(self, api: Api, bob: User, token: str) -> None:
        reset(api, token)

        assert works(api, PASSWORD, OTHER_PASSWORD, email=bob.email) == [PASSWORD]
        assert fresh(bob.email).stamp == bob.stamp

    def test_no_part_of_a_token_is_a_token(self, api: Api, token: str) -> None:
        before = stored()
        changed = [token[1:], token[:-1], token + "A", f" {token}", token.swapcase(), f"{token}=", token[::-1]]

        assert {code for text in changed for code in reset(api, text).codes} == {"invalid_token"}
        assert stored() == before

    @pytest.mark.parametrize("purpose", [other for other in Purpose if other is not Purpose.RESET_PASSWORD])
    def test_a_token_of_another_kind_sets_no_password(self, api: Api, token: str, purpose: Purpose) -> None:
        OneTimeToken.objects.update(purpose=purpose)
        before = stored()

        assert reset(api, token).problems == {"token": "invalid_token"}
        assert stored() == before

    def test_an_access_token_and_a_refresh_token_set_no_password(self, api: Api, alice: User) -> None:
        tokens = api.login(ALICE).data

        for token in (tokens["accessToken"], tokens["refreshToken"], tokens["deviceToken"]):
            assert reset(api, token).problems == {"token": "invalid_token"}

    def test_it_verifies_no_address_by_the_other_door(self, api: Api) -> None:
        unverified(ALICE)

        assert api.verify(link_for(api)).codes == ["invalid_token"]
        assert not fresh().is_verified

    @pytest.mark.parametrize("method", ["HEAD", "GET", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"])
    @pytest.mark.parametrize("path", [FORGOT, RESET])
    def test_no_other_method_does_anything(self, api: Api, token: str, path: str, method: str) -> None:
        before = stored()

        answers = [
            api.raw(method, f"{path}?token={token}&newPassword={OTHER_PASSWORD}&email={ALICE}"),
            api.raw(method, path, b'{"token": "%s", "newPassword": "x"}' % token.encode(), "application/json"),
        ]

        assert {answer.status for answer in answers} == {HTTPStatus.METHOD_NOT_ALLOWED}
        assert stored() == before
        assert reset(api, token).status == HTTPStatus.OK

    def test_looking_at_a_link_changes_nothing(self, alice: User, token: str) -> None:
        before = stored()

        assert passwords.peek_reset(token=token) == alice
        with pytest.raises(InvalidLink):
            passwords.peek_reset(token=token[:-1])

        assert stored() == before

    def test_where_hashing_is_busy_it_can_be_tried_again(
        self, api: Api, token: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def busy(*_args: Any) -> str:
            raise Unavailable

        before = stored()
        with monkeypatch.context() as patched:
            patched.setattr(hashing, "make", busy)
            answer = reset(api, token)

        assert (answer.status, answer.headers["Retry-After"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "1")
        assert stored() == before
        assert reset(api, token).status == HTTPStatus.OK

    def test_what_fails_half_way_leaves_nothing_behind(
        self, api: Api, token: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(**_what: Any) -> None:
            raise RuntimeError

        before = stored()
        with monkeypatch.context() as patched:
            patched.setattr(emails, "password_changed", fail)
            assert reset(api, token).status == HTTPStatus.INTERNAL_SERVER_ERROR

        assert stored() == before
        assert reset(api, token).status == HTTPStatus.OK


@pytest.mark.django_db(transaction=True)
def test_no_transaction_waits_for_the_hash(api: Api, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, waiting = hashing.make, []

    def watched(password: str) -> str:
        waiting.append(connection.in_atomic_block)
        return make(password)

    monkeypatch.setattr(hashing, "make", watched)

    assert reset(api, token).status == HTTPStatus.OK
    assert waiting == [False]
