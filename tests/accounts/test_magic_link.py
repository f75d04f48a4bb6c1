"""Signing in by a mailed link, or by the code beside it."""

import json
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import User
from audit.models import Event
from authsvc import crypto
from authsvc.mail.models import MailState, OutgoingMail
from authsvc.tokens.models import OneTimeToken, Session
from authsvc.tokens.services import sessions
from config.values import Rate
from tests.cast import OTHER_PASSWORD, PASSWORD, V1, Answer, Api, Letter, enrol, post_round
from tests.ledger import events, mails, spoken, stored

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

ADA = "ada@example.org"
NOBODY = "nobody@example.org"
ASK = f"{V1}/auth/magic-link"
VERIFY = f"{V1}/auth/magic-link/verify"
FRONT_END = "https://app.example.org"
LIFE = timedelta(minutes=15)
SECOND = timedelta(seconds=1)
WRONG = "00000000"


@pytest.fixture(autouse=True)
def _front_end(settings: Settings) -> None:
    settings.FRONTEND_URL = FRONT_END


def ask(api: Api, email: str) -> Answer:
    return api.post(ASK, {"email": email})


def by_token(api: Api, token: str, **more: object) -> Answer:
    return api.post(VERIFY, {"token": token, **more})


def by_code(api: Api, email: str, code: str, **more: object) -> Answer:
    return api.post(VERIFY, {"email": email, "code": code, **more})


def code_of(letter: Letter) -> str:
    found = re.search(r"^(\d{4}) (\d{4})$", letter.text, re.MULTILINE)
    assert found is not None, letter.text
    return found[1] + found[2]


def mailed(api: Api, email: str) -> Letter:
    """Ask for a mail and return it, delivered."""
    assert ask(api, email).status == HTTPStatus.ACCEPTED
    (letter,) = (letter for letter in post_round() if letter.to == email and "/magic-link#" in letter.text)
    return letter


def sent(ago: timedelta) -> None:
    OutgoingMail.objects.filter(state=MailState.SENT).update(sent_at=timezone.now() - ago)


def link_row() -> OneTimeToken:
    return OneTimeToken.objects.filter(purpose="magic_link").latest("created_at", "id")


def sessions_of(user: User) -> int:
    return Session.objects.filter(user=user).count()


def refused(answer: Answer) -> tuple[HTTPStatus, dict[str | None, str]]:
    return answer.status, answer.problems


NO_TOKEN = (HTTPStatus.BAD_REQUEST, {"token": "invalid_token"})
NO_CODE = (HTTPStatus.BAD_REQUEST, {"code": "invalid_code"})


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect what a block does to which table, in the order in which it does it."""
    said: list[str] = []

    def note(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            table = re.search(r'(?:FROM|INTO|UPDATE) "(\w+)"', sql)
            said.append(f"{sql.split(maxsplit=1)[0]} {table[1] if table else ''}")
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        yield said


class TestSigningIn:
    def test_the_link_starts_a_session(self, api: Api, alice: User) -> None:
        letter = mailed(api, alice.email)

        answer = by_token(api, letter.token)

        session = Session.objects.get()
        assert answer.status == HTTPStatus.OK
        assert set(answer.data) == {
            "tokenType", "accessToken", "expiresIn", "refreshToken", "refreshExpiresIn", "deviceToken", "session",
        }  # fmt: skip
        assert (session.user_id, session.amr, answer.data["session"]["amr"]) == (alice.id, ["email"], ["email"])
        assert api.me(answer.data["accessToken"]).data["id"] == str(alice.id)
        assert api.refresh(answer.data["refreshToken"]).status == HTTPStatus.OK
        assert link_row().consumed_at is not None
        assert events()[:2] == ["account.magic_link.requested", "account.signin.succeeded"]
        assert answer.headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize("space", ["", " "])
    def test_the_code_starts_a_session_with_or_without_its_space(self, api: Api, alice: User, space: str) -> None:
        code = code_of(mailed(api, alice.email))

        answer = by_code(api, " ALICE@Example.org", code[:4] + space + code[4:])

        assert (answer.status, answer.data["session"]["amr"]) == (HTTPStatus.OK, ["email"])
        assert (link_row().consumed_at is not None, link_row().wrong_codes) == (True, 0)
        assert api.me(answer.data["accessToken"]).data["email"] == alice.email

    def test_it_is_one_factor_and_no_more(self, api: Api, alice: User) -> None:
        token = by_token(api, mailed(api, alice.email).token).data["accessToken"]

        claims = json.loads(crypto.b64decode(token.split(".")[1]))

        assert (claims["acr"], claims["amr"]) == ("aal1", ["email"])

    def test_the_account_keeps_everything_but_the_time_of_its_sign_in(self, api: Api, alice: User) -> None:
        by_token(api, mailed(api, alice.email).token)

        after = User.objects.get()
        kept = (after.password, after.stamp, after.verified_at, after.name)
        assert kept == (alice.password, alice.stamp, alice.verified_at, alice.name)
        assert after.last_login is not None
        assert api.login(alice.email).status == HTTPStatus.OK

    @pytest.mark.parametrize("way", ["token", "code"])
    def test_a_device_is_known_by_its_token_the_next_time(self, api: Api, alice: User, way: str) -> None:
        device_token = api.login(alice.email).data["deviceToken"]
        letter = mailed(api, alice.email)
        device = {"deviceName": "Phone", "deviceToken": device_token}

        if way == "token":
            answer = by_token(api, letter.token, **device)
        else:
            answer = by_code(api, alice.email, code_of(letter), **device)

        assert "deviceToken" not in answer.data
        assert answer.data["session"]["device"]["name"] == "Phone"

    def test_used_once_neither_link_nor_code_works_again(self, api: Api, alice: User) -> None:
        letter = mailed(api, alice.email)
        by_token(api, letter.token)
        before = sessions_of(alice)

        assert refused(by_token(api, letter.token)) == NO_TOKEN
        assert refused(by_code(api, alice.email, code_of(letter))) == NO_CODE
        assert (before, sessions_of(alice)) == (1, 1)

    def test_the_code_uses_the_link_up(self, api: Api, alice: User) -> None:
        letter = mailed(api, alice.email)
        by_code(api, alice.email, code_of(letter))

        assert refused(by_token(api, letter.token)) == NO_TOKEN

    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
    def test_no_other_method_consumes_anything(self, api: Api, alice: User, method: str) -> None:
        token = mailed(api, alice.email).token
        before = stored()

        answer = api.raw(method, f"{VERIFY}?token={token}")

        assert answer.status == HTTPStatus.METHOD_NOT_ALLOWED
        assert stored() == before
        assert by_token(api, token).status == HTTPStatus.OK

    def test_a_link_without_its_session_is_not_used_up(
        self, api: Api, alice: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        letter = mailed(api, alice.email)
        before = stored()

        def no_key(*_args: object, **_named: object) -> None:
            raise crypto.KeyUnavailable

        for lacking in ("check_signing", "start", "issue"):
            with monkeypatch.context() as patched:
                patched.setattr(sessions, lacking, no_key)
                answers = [by_token(api, letter.token), by_code(api, alice.email, code_of(letter))]
            assert [answer.status for answer in answers] == [HTTPStatus.SERVICE_UNAVAILABLE] * 2
            assert stored() == before
        assert by_token(api, letter.token).status == HTTPStatus.OK


class TestLife:
    """15 minutes from the moment the mail went out; no job has to end it."""

    def test_it_lives_until_15_minutes_after_the_sending(self, api: Api, alice: User) -> None:
        letter = mailed(api, alice.email)
        OneTimeToken.objects.update(created_at=timezone.now() - timedelta(days=6))
        sent(ago=LIFE - 5 * SECOND)

        assert by_token(api, letter.token).status == HTTPStatus.OK

    def test_so_does_the_code(self, api: Api, alice: User) -> None:
        letter = mailed(api, alice.email)
        sent(ago=LIFE - 5 * SECOND)

        assert by_code(api, alice.email, code_of(letter)).status == HTTPStatus.OK

    def test_a_second_later_both_are_refused_although_their_row_is_there(self, api: Api, alice: User) -> None:
        letter = mailed(api, alice.email)
        sent(ago=LIFE + SECOND)

        assert refused(by_token(api, letter.token)) == NO_TOKEN
        assert refused(by_code(api, alice.email, code_of(letter))) == NO_CODE
        assert (sessions_of(alice), link_row().consumed_at, link_row().wrong_codes) == (0, None, 0)

    def test_a_new_mail_ends_the_one_before(self, api: Api, alice: User) -> None:
        old, new = mailed(api, alice.email), mailed(api, alice.email)

        assert refused(by_token(api, old.token)) == NO_TOKEN
        assert refused(by_code(api, alice.email, code_of(old))) == NO_CODE
        assert by_code(api, alice.email, code_of(new)).status == HTTPStatus.OK

    @pytest.mark.parametrize(
        "change",
        [{"stamp": UUID(int=7)}, {"is_active": False}, {"email": "alice.king@example.org"}],
        ids=["stamp", "inactive", "address"],
    )
    def test_it_is_for_the_account_as_it_was(self, api: Api, alice: User, change: dict[str, object]) -> None:
        letter = mailed(api, alice.email)
        User.objects.update(**change)
        email = User.objects.get().email

        assert refused(by_token(api, letter.token)) == NO_TOKEN
        assert refused(by_code(api, email, code_of(letter))) == NO_CODE
        assert (sessions_of(alice), link_row().consumed_at) == (0, None)

    def test_a_mail_that_was_given_up_takes_both_along(self, api: Api, alice: User) -> None:
        ask(api, alice.email)
        context = OutgoingMail.objects.get().open_context()
        OutgoingMail.objects.update(state=MailState.GIVEN_UP, sealed=b"")

        assert refused(by_token(api, context["link"].partition("#token=")[2])) == NO_TOKEN
        assert refused(by_code(api, alice.email, context["code"])) == NO_CODE

    def test_links_of_other_kinds_sign_nobody_in(self, api: Api) -> None:
        api.register(ADA)
        token = post_round()[0].token

        assert refused(by_token(api, token)) == NO_TOKEN
        assert Session.objects.count() == 0

    def test_a_magic_link_is_no_link_of_another_kind(self, api: Api, alice: User) -> None:
        token = mailed(api, alice.email).token

        assert refused(api.verify(token)) == NO_TOKEN
        answer = api.post(f"{V1}/auth/password/reset", {"token": token, "newPassword": OTHER_PASSWORD})
        assert refused(answer) == NO_TOKEN
        assert by_token(api, token).status == HTTPStatus.OK


class TestProofOfTheAddress:
    def test_it_verifies_the_account_and_drops_the_password_it_was_registered_with(self, api: Api) -> None:
        api.register(ADA)
        verification = post_round()[0].token
        before = User.objects.get()

        answer = by_token(api, mailed(api, ADA).token)

        after = User.objects.get()
        assert (answer.status, api.me(answer.data["accessToken"]).data["isVerified"]) == (HTTPStatus.OK, True)
        assert after.is_verified
        assert not after.has_usable_password()
        assert after.stamp != before.stamp
        assert api.login(ADA, PASSWORD).codes == ["invalid_credentials"]
        assert refused(api.verify(verification)) == NO_TOKEN
        assert events() == [
            "account.registration.created",
            "account.magic_link.requested",
            "account.email.verified",
            "account.signin.succeeded",
            "account.signin.failed",
        ]

    def test_so_does_the_code(self, api: Api) -> None:
        enrol(ADA, verified_at=None)

        answer = by_code(api, ADA, code_of(mailed(api, ADA)))

        assert api.me(answer.data["accessToken"]).data["isVerified"] is True
        assert not User.objects.get().has_usable_password()

    def test_an_account_that_is_due_to_go_is_none(self, api: Api, settings: Settings) -> None:
        enrol(ADA, verified_at=None)
        letter = mailed(api, ADA)
        User.objects.update(created_at=timezone.now() - settings.UNVERIFIED_TTL)

        assert refused(by_token(api, letter.token)) == NO_TOKEN
        assert refused(by_code(api, ADA, code_of(letter))) == NO_CODE
        ask(api, ADA)
        assert len(mails()) == 1
        assert not User.objects.get().is_verified


class TestGuessing:
    def test_the_fifth_wrong_code_ends_code_and_link(self, api: Api, alice: User) -> None:
        letter = mailed(api, alice.email)

        answers = [by_code(api, alice.email, WRONG) for _ in range(5)]

        assert [refused(answer) for answer in answers] == [NO_CODE] * 5
        assert (link_row().wrong_codes, link_row().consumed_at is not None) == (5, True)
        assert refused(by_code(api, alice.email, code_of(letter))) == NO_CODE
        assert refused(by_token(api, letter.token)) == NO_TOKEN
        assert (sessions_of(alice), link_row().wrong_codes) == (0, 5)

    def test_after_four_the_right_one_still_works(self, api: Api, alice: User) -> None:
        letter = mailed(api, alice.email)
        for _ in range(4):
            by_code(api, alice.email, WRONG)

        assert by_code(api, alice.email, code_of(letter)).status == HTTPStatus.OK
        assert link_row().wrong_codes == 4

    def test_where_five_were_wrong_no_code_is_right(self, api: Api, alice: User) -> None:
        letter = mailed(api, alice.email)
        OneTimeToken.objects.update(wrong_codes=5)

        assert refused(by_code(api, alice.email, code_of(letter))) == NO_CODE
        assert (sessions_of(alice), link_row().wrong_codes) == (0, 5)

    def test_after_four_the_link_still_works(self, api: Api, alice: User) -> None:
        letter = mailed(api, alice.email)
        for _ in range(4):
            by_code(api, alice.email, WRONG)

        assert by_token(api, letter.token).status == HTTPStatus.OK

    def test_the_code_of_one_account_is_none_of_another(self, api: Api, alice: User, bob: User) -> None:
        of_alice, of_bob = mailed(api, alice.email), mailed(api, bob.email)

        assert refused(by_code(api, bob.email, code_of(of_alice))) == NO_CODE
        assert by_code(api, bob.email, code_of(of_bob)).status == HTTPStatus.OK
        assert sessions_of(alice) == 0

    def test_a_refusal_is_recorded_and_says_no_more_than_whose_account_it_was_about(
        self, api: Api, alice: User
    ) -> None:
        mailed(api, alice.email)

        by_code(api, alice.email, WRONG)
        by_code(api, NOBODY, WRONG)

        recorded = Event.objects.filter(action="account.magic_link.refused").order_by("created_at", "id")
        assert [(event.subject, event.outcome, event.metadata) for event in recorded] == [
            (alice.audit_key, "refused", {}),
            (None, "refused", {}),
        ]

    def test_after_ten_wrong_in_a_day_mails_have_the_link_alone_and_no_guess_ends_it(
        self, api: Api, alice: User
    ) -> None:
        for _ in range(2):
            mailed(api, alice.email)
            for _ in range(5):
                by_code(api, alice.email, WRONG)

        letter = mailed(api, alice.email)

        assert re.search(r"\d{4} ?\d{4}", letter.text) is None
        assert "code" not in letter.text
        for _ in range(6):
            assert refused(by_code(api, alice.email, WRONG)) == NO_CODE
        assert (link_row().code_digest, link_row().wrong_codes) == (None, 0)
        assert by_token(api, letter.token).status == HTTPStatus.OK

    def test_nine_wrong_are_not_ten_and_a_day_later_codes_are_back(
        self, api: Api, alice: User, settings: Settings
    ) -> None:
        settings.LIMIT_MAIL = Rate(10, 3600)
        for guesses in (5, 4):
            mailed(api, alice.email)
            for _ in range(guesses):
                by_code(api, alice.email, WRONG)
        code_of(mailed(api, alice.email))
        by_code(api, alice.email, WRONG)
        assert OneTimeToken.objects.filter(wrong_codes=1).update(wrong_codes=1) == 1
        assert "code" not in mailed(api, alice.email).text

        OneTimeToken.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))

        code_of(mailed(api, alice.email))

    def test_guesses_at_one_account_leave_the_others_their_codes(self, api: Api, alice: User, bob: User) -> None:
        mailed(api, alice.email)
        OneTimeToken.objects.update(wrong_codes=10)

        code_of(mailed(api, bob.email))

    def test_a_node_that_lacks_the_key_says_so_and_counts_nothing(self, api: Api, alice: User) -> None:
        letter = mailed(api, alice.email)
        OneTimeToken.objects.update(code_key_id=b"none")
        before = stored()

        answer = by_code(api, alice.email, code_of(letter))

        assert (answer.status, answer.codes) == (HTTPStatus.SERVICE_UNAVAILABLE, ["unavailable"])
        assert answer.headers["Retry-After"] == "1"
        assert stored() == before


class TestMail:
    def test_it_has_a_link_to_the_front_end_and_a_code_in_two_groups(self, api: Api, alice: User) -> None:
        letter = mailed(api, alice.email)

        code = code_of(letter)
        grouped = f"{code[:4]} {code[4:]}"
        assert (letter.to, letter.subject) == (alice.email, "Sign in")
        assert f"\n{FRONT_END}/magic-link#token={letter.token}\n" in letter.text
        assert f'href="{FRONT_END}/magic-link#token={letter.token}"' in letter.html
        assert f">{grouped}<" in letter.html
        for form in (letter.text, letter.html):
            assert "15 minutes" in form
            assert "Never tell it to anybody" in form
            assert "ignore this mail" in form
        assert "\n\n\n" not in letter.text

    def test_without_a_front_end_it_has_the_code_alone(self, api: Api, alice: User, settings: Settings) -> None:
        settings.FRONTEND_URL = ""
        ask(api, alice.email)

        (letter,) = post_round()

        assert "#token" not in letter.text + letter.html
        assert "href" not in letter.html
        assert by_code(api, alice.email, code_of(letter)).status == HTTPStatus.OK

    def test_without_front_end_and_code_there_is_nothing_to_mail(
        self, api: Api, alice: User, settings: Settings
    ) -> None:
        letter = mailed(api, alice.email)
        OneTimeToken.objects.update(wrong_codes=3)
        OneTimeToken.objects.create(
            purpose="magic_link", user=alice, address=alice.email, digest=b"x" * 32, mail=OutgoingMail.objects.get(),
            lifetime=LIFE, wrong_codes=7, consumed_at=timezone.now(),
        )  # fmt: skip
        settings.FRONTEND_URL = ""

        answer = ask(api, alice.email)

        assert answer.status == HTTPStatus.ACCEPTED
        assert len(mails()) == 1
        assert by_token(api, letter.token).status == HTTPStatus.OK

    def test_a_fourth_mail_within_the_hour_is_not_sent_and_ends_no_link(self, api: Api, alice: User) -> None:
        letters = [mailed(api, alice.email) for _ in range(3)]

        answer = ask(api, alice.email)

        assert spoken(answer) == spoken(ask(api, NOBODY))
        assert post_round() == []
        assert by_token(api, letters[-1].token).status == HTTPStatus.OK

    def test_codes_have_eight_digits_and_differ(self, api: Api, alice: User, settings: Settings) -> None:
        settings.LIMIT_MAIL = Rate(100, 3600)

        codes = {code_of(mailed(api, alice.email)) for _ in range(20)}

        assert len(codes) == 20

    def test_a_code_may_begin_with_zeros(self, api: Api, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(secrets, "randbelow", lambda _bound: 42)

        code = code_of(mailed(api, alice.email))

        assert code == "00000042"
        assert by_code(api, alice.email, code).status == HTTPStatus.OK

    def test_neither_token_nor_code_is_stored_before_or_after_the_sending(self, api: Api, alice: User) -> None:
        ask(api, alice.email)
        context = OutgoingMail.objects.get().open_context()
        token, code = context["link"].partition("#token=")[2], context["code"].replace(" ", "")

        def found() -> list[str]:
            texts = [str(value) for rows in stored().values() for row in rows for value in row.values()]
            return [text for text in texts if token in text or code in text or context["code"] in text]

        queued = found()
        post_round()

        assert queued == found() == []
        assert bytes(link_row().code_digest or b"") not in {b"", crypto.sha256(code)}


class TestNeutrality:
    """Whoever asks learns nothing: the same bytes, and the same statements whatever is found."""

    @pytest.fixture
    def ways(self, api: Api, alice: User, bob: User, charlie: User) -> list[str]:
        enrol(ADA, verified_at=None)
        User.objects.filter(pk=bob.pk).update(is_active=False)
        for _ in range(3):
            ask(api, charlie.email)
        return [alice.email, NOBODY, bob.email, charlie.email, ADA]

    def test_asking_for_a_mail_is_answered_alike_for_everybody(self, api: Api, ways: list[str]) -> None:
        before = len(mails())
        spoke, did = [], []
        for email in ways:
            with statements() as said:
                answer = ask(api, email)
            spoke.append(repr(spoken(answer)))
            did.append(said)

        assert len(set(spoke)) == 1
        assert answer.status == HTTPStatus.ACCEPTED
        assert {to for _template, to in mails()[before:]} == {"alice@example.org", ADA}
        assert events().count("account.magic_link.requested") == 8
        assert did == [did[0]] * 5

    def test_a_wrong_code_is_answered_alike_whatever_it_is_wrong_for(
        self, api: Api, alice: User, bob: User, charlie: User
    ) -> None:
        for user in (alice, bob):
            mailed(api, user.email)
        sent(ago=LIFE + SECOND)
        fresh = enrol(ADA)
        mailed(api, ADA)
        ended = enrol("ended@example.org")
        mailed(api, ended.email)
        for _ in range(5):
            by_code(api, ended.email, WRONG)
        User.objects.filter(pk=bob.pk).update(is_active=False)

        spoke, did = [], []
        for email in [fresh.email] * 5 + [NOBODY, alice.email, bob.email, charlie.email, ended.email]:
            with statements() as said:
                answer = by_code(api, email, WRONG)
            spoke.append(repr(spoken(answer)))
            did.append(said)

        assert len(set(spoke)) == 1
        assert refused(answer) == NO_CODE
        assert did == [did[0]] * 10


class TestBodies:
    @pytest.mark.parametrize(
        ("body", "problems"),
        [
            ({}, {"token": "required"}),
            ({"deviceName": "Phone"}, {"token": "required"}),
            ({"email": ADA}, {"code": "required"}),
            ({"code": "12345678"}, {"email": "required"}),
            ({"token": "A" * 43, "email": ADA}, {"email": "unknown_field"}),
            ({"token": "A" * 43, "code": "12345678"}, {"code": "unknown_field"}),
            ({"token": None}, {"token": "invalid_type"}),
            ({"token": ""}, {"token": "too_short"}),
            ({"token": "A" * 43}, {"token": "invalid_token"}),
            ({"email": ADA, "code": 12345678}, {"code": "invalid_type"}),
            ({"email": ADA, "code": ""}, {"code": "too_short"}),
            ({"email": ADA, "code": "1234567"}, {"code": "invalid_format"}),
            ({"email": ADA, "code": "123456789"}, {"code": "invalid_format"}),
            ({"email": ADA, "code": "1234  5678"}, {"code": "too_long"}),
            ({"email": ADA, "code": "123 45678"}, {"code": "invalid_format"}),
            ({"email": ADA, "code": "\u0661" * 8}, {"code": "invalid_character"}),
            ({"email": ADA, "code": "12345678\n"}, {"code": "invalid_character"}),
            ({"email": "x", "code": "12345678"}, {"email": "invalid_format"}),
            ({"email": ADA, "code": "12345678", "deviceName": 7}, {"deviceName": "invalid_type"}),
        ],
        ids=ascii,
    )
    def test_what_is_no_whole_proof_is_refused_and_counts_as_no_guess(
        self, api: Api, body: dict[str, object], problems: dict[str, str]
    ) -> None:
        mailed_to = enrol(ADA)
        mailed(api, mailed_to.email)
        before = stored()

        answer = api.post(VERIFY, body)

        assert refused(answer) == (HTTPStatus.BAD_REQUEST, problems)
        assert stored() == before

    def test_no_part_of_a_token_is_a_token(self, api: Api, alice: User) -> None:
        token = mailed(api, alice.email).token

        wrong = [token[:-1], token + "A", token[1:], token.swapcase(), crypto.b64encode(crypto.sha256(token))]

        assert [refused(by_token(api, text)) for text in wrong] == [NO_TOKEN] * 5
        assert by_token(api, token).status == HTTPStatus.OK


class TestCost:
    def test_a_guess_takes_few_statements(self, api: Api, alice: User) -> None:
        mailed(api, alice.email)

        with statements() as said:
            by_code(api, alice.email, WRONG)

        assert said == [
            "SELECT accounts_user",
            "SELECT accounts_user",
            "SELECT tokens_onetimetoken",
            "UPDATE tokens_onetimetoken",
            "UPDATE tokens_onetimetoken",
            "INSERT audit_event",
        ]
