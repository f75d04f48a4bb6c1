"""Proving an address by the link that was mailed to it."""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from uuid import UUID

import pytest
from django.utils import timezone

from accounts.models import User
from accounts.services import verification
from accounts.services.links import InvalidLink
from audit.models import Event
from audit.origin import Origin
from authsvc import crypto
from authsvc.mail.models import MailState, OutgoingMail
from authsvc.tokens.models import OneTimeToken
from tests.cast import PASSWORD, V1, Answer, Api, post_round
from tests.ledger import events, spoken, stored

pytestmark = pytest.mark.django_db

ADA = "ada@example.org"
VERIFY = f"{V1}/auth/verify-email"
DAY = timedelta(hours=24)
SECOND = timedelta(seconds=1)
ORIGIN = Origin(ip="192.0.2.7", user_agent="tests", request_id="", actor_id=None)


@pytest.fixture
def token(api: Api) -> str:
    """The token of a delivered mail."""
    api.register(ADA)
    return post_round()[0].token


def sent(ago: timedelta) -> None:
    OutgoingMail.objects.filter(state=MailState.SENT).update(sent_at=timezone.now() - ago)


def registered(ago: timedelta) -> None:
    User.objects.update(created_at=timezone.now() - ago)
    OneTimeToken.objects.update(created_at=timezone.now() - ago)
    OutgoingMail.objects.update(created_at=timezone.now() - ago)


def ada() -> User:
    return User.objects.get(email=ADA)


Verify = Callable[[Api, str], Answer]


def by_get(api: Api, token: str) -> Answer:
    return api.get(f"{VERIFY}?token={token}")


def by_post(api: Api, token: str) -> Answer:
    return api.verify(token)


either_way = pytest.mark.parametrize("verify", [by_get, by_post])


@pytest.mark.both_databases
@either_way
def test_the_link_verifies_the_account(api: Api, token: str, verify: Verify) -> None:
    before = ada()

    answer = verify(api, token)

    after = ada()
    assert answer.status == HTTPStatus.OK
    assert (answer.data["id"], answer.data["email"], answer.data["isVerified"]) == (str(before.id), ADA, True)
    assert after.verified_at is not None
    assert timezone.now() - after.verified_at < timedelta(seconds=10)
    assert (after.password, after.stamp, after.last_login) == (before.password, before.stamp, None)
    assert OneTimeToken.objects.get().consumed_at is not None
    assert events() == ["account.registration.created", "account.email.verified"]
    assert Event.objects.latest("created_at").subject == after.audit_key
    assert api.login(ADA).status == HTTPStatus.OK


def test_verifying_signs_nobody_in(api: Api, token: str) -> None:
    answer = api.verify(token)

    assert set(answer.data) == {
        "id", "name", "email", "role", "isVerified", "mfaEnabled", "locale", "createdAt", "lastLoginAt",
    }  # fmt: skip
    assert stored()["tokens.Session"] == []
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.both_databases
@either_way
def test_a_second_use_answers_the_same_and_changes_nothing(api: Api, token: str, verify: Verify) -> None:
    first = api.verify(token)
    before = stored()

    second = verify(api, token)

    assert spoken(second) == spoken(first)
    assert stored() == before


def test_a_password_sent_with_a_second_use_changes_nothing(api: Api, token: str) -> None:
    api.verify(token)
    before = stored()

    answer = api.verify(token, "a-wholly-different-Horse-9")

    assert answer.status == HTTPStatus.OK
    assert stored() == before


class TestLife:
    """A link lives for 24 hours from the moment its mail went out; no job has to end it."""

    @pytest.mark.both_databases
    def test_it_lives_until_24_hours_after_the_sending(self, api: Api, token: str) -> None:
        registered(ago=timedelta(days=6))
        sent(ago=DAY - 5 * SECOND)

        assert api.verify(token).status == HTTPStatus.OK

    @pytest.mark.both_databases
    @either_way
    def test_a_second_later_it_is_refused_although_its_row_is_there(
        self,
        api: Api,
        token: str,
        verify: Verify,
    ) -> None:
        sent(ago=DAY + SECOND)
        before = stored()

        answer = verify(api, token)

        assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {"token": "invalid_token"})
        assert stored() == before
        assert OneTimeToken.objects.count() == 1

    def test_a_used_link_ends_like_any_other(self, api: Api, token: str) -> None:
        api.verify(token)
        sent(ago=DAY + SECOND)

        assert api.verify(token).codes == ["invalid_token"]

    @pytest.mark.parametrize(("ago", "status"), [(timedelta(days=7) - 5 * SECOND, 200), (timedelta(days=7), 400)])
    def test_before_its_mail_went_out_it_lives_for_7_days(self, api: Api, ago: timedelta, status: int) -> None:
        api.register(ADA)
        token = OutgoingMail.objects.get().open_context()["link"].partition("#token=")[2]
        OneTimeToken.objects.update(created_at=timezone.now() - ago)

        assert api.verify(token).status == status

    @pytest.mark.both_databases
    def test_a_mail_that_was_given_up_takes_its_link_along(self, api: Api) -> None:
        api.register(ADA)
        mail = OutgoingMail.objects.get()
        token = mail.open_context()["link"].partition("#token=")[2]
        OutgoingMail.objects.update(state=MailState.GIVEN_UP, sealed=b"")

        answer = api.verify(token)

        assert answer.codes == ["invalid_token"]
        assert not ada().is_verified


@pytest.mark.both_databases
def test_no_part_of_a_token_is_a_token(api: Api, token: str) -> None:
    before = stored()

    answers = [api.verify(token[:length]) for length in range(1, len(token))]
    changed = [token[1:], token + "A", f" {token}", token.swapcase(), f"{token}=", token[::-1], token[:-1] + "\u0661"]
    answers += [api.verify(text) for text in changed]

    assert {answer.status for answer in answers} == {HTTPStatus.BAD_REQUEST}
    assert {code for answer in answers for code in answer.codes} == {"invalid_token", "invalid_character"}
    assert stored() == before


@pytest.mark.both_databases
@pytest.mark.usefixtures("token")
def test_what_is_no_token_is_refused(subtests: pytest.Subtests, api: Api) -> None:
    cases: list[tuple[object, str]] = [
        (None, "invalid_type"),
        (7, "invalid_type"),
        (True, "invalid_type"),
        ([], "invalid_type"),
        ({}, "invalid_type"),
        ("", "too_short"),
        ("\0", "invalid_character"),
        ("\ud800", "invalid_character"),
        ("\u202e", "invalid_character"),
        ("A" * 43, "invalid_token"),
        ("A" * 4096, "invalid_token"),
        ("A" * 4097, "too_long"),
        ("' OR 1=1 --", "invalid_token"),
    ]
    for wrong, code in cases:
        with subtests.test(wrong=wrong, code=code):
            before = stored()

            answer = api.post(VERIFY, {"token": wrong})

            assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {"token": code})
            assert stored() == before


def test_the_digest_of_a_token_is_no_token(api: Api, token: str) -> None:
    digest = crypto.sha256(token)

    assert [api.verify(text).codes for text in (digest.hex(), crypto.b64encode(digest))] == [["invalid_token"]] * 2


def test_a_token_made_for_something_else_verifies_nothing(api: Api, token: str) -> None:
    OneTimeToken.objects.update(purpose="something_else")

    answer = api.verify(token)

    assert answer.codes == ["invalid_token"]
    assert not ada().is_verified


@pytest.mark.parametrize(
    "body",
    [{"email": ADA}, {"userId": "1"}, {"id": "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"}, {"isVerified": True}],
    ids=str,
)
def test_nothing_but_the_token_names_the_account(api: Api, token: str, body: dict[str, object]) -> None:
    answers = [api.post(VERIFY, {"token": "A" * 43, **body}), api.post(VERIFY, {"token": token, **body})]

    assert [answer.problems for answer in answers] == [{next(iter(body)): "unknown_field"}] * 2
    assert not ada().is_verified


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "change",
    [{"email": "ada.king@example.org"}, {"stamp": UUID(int=7)}, {"is_active": False}],
    ids=["address", "stamp", "inactive"],
)
@pytest.mark.parametrize("was_used", [False, True], ids=["unused", "used"])
def test_a_link_is_for_the_account_as_it_was(
    api: Api, token: str, change: dict[str, object], *, was_used: bool
) -> None:
    if was_used:
        api.verify(token)
    User.objects.update(**change)
    before = stored()

    answer = api.verify(token)

    assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {"token": "invalid_token"})
    assert stored() == before


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "change",
    [
        {"email": "ada.king@example.org"},
        {"stamp": UUID(int=7)},
        {"is_active": False},
        {"verified_at": timezone.now()},
        {"password": "!contested"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_change_after_the_link_was_read_is_not_overtaken(token: str, change: dict[str, object]) -> None:
    as_read = verification._find(token)
    User.objects.update(**change)
    before = stored()

    assert not verification._verify(as_read, new_hash=None, origin=ORIGIN)

    assert stored() == before


def test_a_link_of_one_account_leaves_the_others_alone(api: Api, token: str) -> None:
    api.register("eve@example.org")
    before = User.objects.values().get(email="eve@example.org")

    api.verify(token)

    assert User.objects.values().get(email="eve@example.org") == before


@pytest.mark.both_databases
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"])
def test_no_other_method_verifies(api: Api, token: str, method: str) -> None:
    before = stored()

    api.raw(method, f"{VERIFY}?token={token}")

    assert stored() == before


def test_looking_at_a_link_by_head_tells_whether_it_is_good(api: Api, token: str) -> None:
    assert api.raw("HEAD", f"{VERIFY}?token={token}").status == HTTPStatus.OK
    assert api.raw("HEAD", f"{VERIFY}?token={token[:-1]}").status == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("query", ["", "?token=", "?token={t}&password=x", "?token={t}&next=https://evil.example"])
def test_the_link_takes_a_token_and_nothing_else(api: Api, token: str, query: str) -> None:
    before = stored()

    answer = api.get(VERIFY + query.format(t=token))

    assert answer.status == HTTPStatus.BAD_REQUEST
    assert stored() == before


class TestThisWasNotMe:
    """The owner of the address refuses the registration."""

    @pytest.mark.both_databases
    def test_it_deletes_the_account_and_its_links(self, api: Api, token: str) -> None:
        user = ada()

        verification.drop_registration(token=token, origin=ORIGIN)

        assert (User.objects.count(), OneTimeToken.objects.count()) == (0, 0)
        assert events() == ["account.registration.created", "account.registration.dropped"]
        assert Event.objects.latest("created_at").subject == user.audit_key
        assert api.verify(token).codes == ["invalid_token"]
        assert api.login(ADA).codes == ["invalid_credentials"]
        assert api.register(ADA).data["id"] != str(user.id)

    @pytest.mark.both_databases
    def test_a_verified_account_stays(self, api: Api, token: str) -> None:
        api.verify(token)
        before = stored()

        with pytest.raises(InvalidLink):
            verification.drop_registration(token=token, origin=ORIGIN)

        assert stored() == before

    def test_a_link_that_is_over_drops_nothing(self, api: Api, token: str) -> None:
        sent(ago=DAY + SECOND)
        before = stored()

        with pytest.raises(InvalidLink):
            verification.drop_registration(token=token, origin=ORIGIN)

        assert stored() == before


class TestAtRest:
    """No table holds what could be presented."""

    def found(self, secret: str) -> list[str]:
        """Return the columns in which a secret stands, as text or as bytes."""
        return [
            f"{table}.{column}"
            for table, rows in stored().items()
            for row in rows
            for column, value in row.items()
            if (secret.encode() in value if isinstance(value, bytes) else secret in str(value))
        ]

    @pytest.mark.both_databases
    def test_neither_token_nor_password_is_stored_before_or_after_the_sending(self, api: Api) -> None:
        api.register(ADA)
        token = OutgoingMail.objects.get().open_context()["link"].partition("#token=")[2]
        queued = self.found(token) + self.found(PASSWORD)

        post_round()
        delivered = self.found(token) + self.found(PASSWORD)
        api.verify(token)

        assert queued == delivered == self.found(token) + self.found(PASSWORD) == []
        assert self.found(ADA) == ["accounts.User.email", "tokens.OneTimeToken.address", "mail.OutgoingMail.recipient"]
        assert bytes(OneTimeToken.objects.get().digest) == crypto.sha256(token)

    @pytest.mark.both_databases
    def test_the_outbox_forgets_the_token_with_the_sending(self, api: Api) -> None:
        api.register(ADA)
        assert bytes(OutgoingMail.objects.get().sealed) != b""

        post_round()

        mail = OutgoingMail.objects.get()
        assert (mail.state, bytes(mail.sealed)) == (MailState.SENT, b"")
        with pytest.raises(crypto.Tampered):
            mail.open_context()
