"""Signing in by password."""

from datetime import datetime, timedelta
from http import HTTPStatus
from uuid import UUID

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.services import signin
from accounts.services.signin import InvalidCredentials
from audit.models import Event
from audit.origin import Origin
from authsvc.tokens.models import Session
from authsvc.tokens.services.known_devices import Presented
from tests.cast import OTHER_PASSWORD, PASSWORD, V1, Answer, Api, enrol, post_round
from tests.ledger import events, mails, spoken, stored

pytestmark = pytest.mark.django_db

ADA = "ada@example.org"
ORIGIN = Origin(ip="192.0.2.7", user_agent="tests", request_id="", actor_id=None)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


@pytest.mark.both_databases
def test_the_answer_is_the_tokens_and_the_session_and_nothing_else(api: Api, alice: User) -> None:
    answer = api.login(alice.email)

    tokens = answer.data
    session = Session.objects.get()
    assert answer.status == HTTPStatus.OK
    assert set(tokens) == {
        "tokenType", "accessToken", "expiresIn", "refreshToken", "refreshExpiresIn", "deviceToken", "session",
    }  # fmt: skip
    assert tokens["tokenType"] == "Bearer"
    assert 810 <= tokens["expiresIn"] <= 900
    assert tokens["refreshExpiresIn"] == 7 * 24 * 3600
    assert (len(tokens["accessToken"].split(".")), len(tokens["refreshToken"])) == (3, 91)
    assert tokens["session"] == {
        "id": str(session.id),
        "current": True,
        "device": tokens["session"]["device"],
        "ip": "192.0.2.10",
        "createdAt": tokens["session"]["createdAt"],
        "lastActivity": tokens["session"]["createdAt"],
        "expiresAt": tokens["session"]["expiresAt"],
        "amr": ["pwd"],
    }
    begin, end = (datetime.fromisoformat(tokens["session"][name]) for name in ("createdAt", "expiresAt"))
    assert (session.user_id, session.created_at, end - begin) == (alice.id, begin, timedelta(days=7))
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers


def test_the_tokens_work_and_carry_their_owner(api: Api, alice: User, bob: User) -> None:
    assert api.me(api.login(alice.email).data["accessToken"]).data["id"] == str(alice.id)
    assert api.me(api.login(bob.email).data["accessToken"]).data["id"] == str(bob.id)


@pytest.mark.parametrize("typed", ["ALICE@example.org", " alice@EXAMPLE.org\n"])
def test_case_and_space_of_the_address_do_not_matter(api: Api, alice: User, typed: str) -> None:
    assert api.me(api.login(typed).data["accessToken"]).data["email"] == alice.email


def test_a_sign_in_is_noted(api: Api, alice: User) -> None:
    began = timezone.now()

    tokens = api.login(alice.email).data

    user = User.objects.get()
    (event,) = Event.objects.all()
    assert user.last_login is not None
    assert began <= user.last_login <= timezone.now()
    shown = api.me(tokens["accessToken"]).data["lastLoginAt"]
    assert datetime.fromisoformat(shown) == user.last_login
    assert (event.action, event.outcome) == ("account.signin.succeeded", "success")
    assert event.subject == event.actor == alice.audit_key
    assert str(event.session_id) == tokens["session"]["id"]
    assert (event.ip, event.user_agent, event.metadata) == ("192.0.2.10", "tests", {"amr": "pwd"})


@pytest.mark.both_databases
def test_the_device_is_kept_by_the_name_its_owner_gives_it(alice: User) -> None:
    api = Api(REMOTE_ADDR="2001:db8::1", HTTP_USER_AGENT=FIREFOX)

    tokens = api.login(alice.email, deviceName="  Alice\u2019s lap\u0301top  ").data

    assert tokens["session"]["device"]["name"] == "Alice\u2019s la\u1e55top"
    assert tokens["session"]["ip"] == "2001:db8::1"
    session = Session.objects.get()
    assert (session.device_name, session.user_agent, session.ip) == (
        "Alice\u2019s la\u1e55top", FIREFOX, "2001:db8::1",
    )  # fmt: skip


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("name", "code"),
    [
        (None, "invalid_type"),
        (7, "invalid_type"),
        (True, "invalid_type"),
        ([], "invalid_type"),
        ({}, "invalid_type"),
        ("x" * 101, "too_long"),
        ("a\0b", "invalid_character"),
        ("a\nb", "invalid_character"),
        ("a\ud800b", "invalid_character"),
        ("a\u202eb", "invalid_character"),
    ],
    ids=ascii,
)
def test_a_device_name_that_cannot_be_taken_starts_no_session(api: Api, alice: User, name: object, code: str) -> None:
    before = stored()

    answer = api.post(f"{V1}/auth/login", {"email": alice.email, "password": PASSWORD, "deviceName": name})

    assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {"deviceName": code})
    assert stored() == before


@pytest.mark.parametrize("field", ["email", "password"])
@pytest.mark.parametrize("value", [None, 7, True, [], [PASSWORD], {}, {"$ne": ""}], ids=str)
def test_a_value_of_another_type_is_refused(api: Api, alice: User, field: str, value: object) -> None:
    before = stored()

    answer = api.post(f"{V1}/auth/login", {"email": alice.email, "password": PASSWORD, field: value})

    assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {field: "invalid_type"})
    assert stored() == before


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("password", "", "too_short"),
        ("password", "a" * 1025, "too_long"),
        ("password", "correct\0Horse", "invalid_character"),
        ("password", "\ud800", "invalid_character"),
        ("email", "alice\uff20example.org", "invalid_format"),
        ("email", "alice@example.org,eve@example.org", "invalid_format"),
        ("email", "a" * 10_000, "too_long"),
        ("role", "admin", "unknown_field"),
        ("userId", "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b", "unknown_field"),
        ("amr", ["otp"], "unknown_field"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_what_cannot_be_taken_is_refused(api: Api, alice: User, field: str, value: object, code: str) -> None:
    before = stored()

    answer = api.post(f"{V1}/auth/login", {"email": alice.email, "password": PASSWORD, field: value})

    assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {field: code})
    assert stored() == before


class TestRefusal:
    """One answer for every reason; the audit log alone knows which."""

    @pytest.fixture(autouse=True)
    def _people(self) -> None:
        enrol("known@example.org")
        enrol("gone0@example.org", is_active=False)
        enrol("gone1@example.org", is_active=False, verified_at=None)
        enrol("fresh@example.org", verified_at=None)
        enrol("empty@example.org")
        User.objects.filter(email="empty@example.org").update(password="")
        enrol("claim@example.org", verified_at=None)
        User.objects.filter(email="claim@example.org").update(password="!contested")

    ATTEMPTS = (
        ("known@example.org", OTHER_PASSWORD, "password"),
        ("other@example.org", PASSWORD, "unknown"),
        ("gone0@example.org", PASSWORD, "inactive"),
        ("gone0@example.org", OTHER_PASSWORD, "password"),
        ("gone1@example.org", PASSWORD, "inactive"),
        ("fresh@example.org", PASSWORD, "unverified"),
        ("fresh@example.org", OTHER_PASSWORD, "password"),
        ("empty@example.org", PASSWORD, "password"),
        ("claim@example.org", PASSWORD, "password"),
    )

    @pytest.mark.both_databases
    def test_every_reason_gives_the_same_answer(self, api: Api) -> None:
        heard = [spoken(api.login(email, password)) for email, password, _reason in self.ATTEMPTS]

        assert heard == [heard[0]] * len(self.ATTEMPTS)
        assert heard[0][0] == HTTPStatus.UNAUTHORIZED
        assert heard[0][1]["WWW-Authenticate"] == 'Bearer realm="authsvc"'
        assert b'"code":"invalid_credentials","field":null' in heard[0][2]

    @pytest.mark.both_databases
    @pytest.mark.parametrize(("email", "password", "reason"), ATTEMPTS)
    def test_it_starts_nothing_and_the_log_knows_why(self, api: Api, email: str, password: str, reason: str) -> None:
        before = User.objects.values()

        api.login(email, password)

        (event,) = Event.objects.all()
        subject = User.objects.filter(email=email).values_list("audit_key", flat=True).first()
        assert list(User.objects.values()) == list(before)
        assert Session.objects.count() == 0
        assert (event.action, event.outcome) == ("account.signin.failed", "failure")
        assert (event.subject, event.actor, event.metadata) == (subject, None, {"reason": reason})

    def test_the_right_password_of_an_unverified_account_mails_its_link(self, api: Api) -> None:
        answer = api.login("fresh@example.org")

        letter = post_round()[0]
        assert answer.codes == ["invalid_credentials"]
        assert letter.to == "fresh@example.org"
        assert api.verify(letter.token).status == HTTPStatus.OK
        assert api.login("fresh@example.org").status == HTTPStatus.OK

    @pytest.mark.parametrize(
        "change", [{"verified_at": timezone.now()}, {"is_active": False}], ids=["verified", "inactive"]
    )
    def test_who_needs_it_no_more_when_it_is_made_gets_none(self, api: Api, change: dict[str, object]) -> None:
        api.login("fresh@example.org")
        User.objects.filter(email="fresh@example.org").update(**change)

        assert mails() == []

    def test_nothing_else_mails_anybody(self, api: Api) -> None:
        for email, password, reason in self.ATTEMPTS:
            if reason != "unverified":
                api.login(email, password)

        assert mails() == []

    def test_an_unknown_address_and_a_password_are_written_nowhere(self, api: Api) -> None:
        api.login("stranger@example.org", OTHER_PASSWORD)

        assert "stranger" not in str(stored())
        assert OTHER_PASSWORD not in str(stored())

    def test_a_service_that_is_not_neutral_says_that_the_address_is_not_verified(
        self, api: Api, settings: Settings
    ) -> None:
        settings.REGISTRATION_NEUTRAL = False

        answer = api.login("fresh@example.org")

        assert (answer.status, answer.problems) == (HTTPStatus.FORBIDDEN, {None: "email_not_verified"})
        assert mails() == [("verify_email", "fresh@example.org")]
        assert Session.objects.count() == 0

    def test_it_says_so_to_nobody_without_the_password(self, api: Api, settings: Settings) -> None:
        settings.REGISTRATION_NEUTRAL = False

        answers = [api.login(email, password) for email, password, reason in self.ATTEMPTS if reason != "unverified"]

        assert {tuple(answer.codes) for answer in answers} == {("invalid_credentials",)}


class TestMeanwhile:
    """The account as it is when the session starts decides, not as it was when the password was checked."""

    @pytest.mark.both_databases
    @pytest.mark.parametrize(
        "change",
        [{"is_active": False}, {"verified_at": None}, {"stamp": UUID(int=7)}, {"password": "argon2$another"}],
        ids=["deactivated", "unverified", "stamp", "password"],
    )
    def test_a_change_after_the_check_is_not_overtaken(self, alice: User, change: dict[str, object]) -> None:
        User.objects.update(**change)
        before = User.objects.values().get()

        with pytest.raises(InvalidCredentials):
            signin.grant(alice, amr=["pwd"], device=Presented(), origin=ORIGIN, password_hash=alice.password)

        assert User.objects.values().get() == before
        assert Session.objects.count() == 0
        assert events() == ["account.signin.failed"]
        assert Event.objects.get().metadata == {"reason": "changed"}

    def test_an_account_that_is_gone_gets_no_session(self, alice: User) -> None:
        User.objects.all().delete()

        with pytest.raises(InvalidCredentials):
            signin.grant(alice, amr=["pwd"], device=Presented(), origin=ORIGIN, password_hash=alice.password)

        assert Session.objects.count() == 0


class TestCookies:
    """The API neither reads nor sets any."""

    @pytest.mark.both_databases
    def test_no_session_is_taken_from_the_client(self, api: Api, alice: User) -> None:
        old = api.login(alice.email).data
        preset = f"sessionid={old['session']['id']}; sid={old['session']['id']}; refreshToken={old['refreshToken']}"

        answer = self.login(api, alice.email, preset)

        assert answer.data["session"]["id"] != old["session"]["id"]
        assert answer.data["refreshToken"] != old["refreshToken"]
        assert UUID(answer.data["session"]["id"]) in Session.objects.values_list("id", flat=True)
        assert Session.objects.count() == 2
        assert "Set-Cookie" not in answer.headers

    def test_a_token_in_a_cookie_signs_nobody_in(self, api: Api, alice: User) -> None:
        token = api.login(alice.email).data["accessToken"]

        answer = api.get(f"{V1}/users/me", cookie=f"accessToken={token}; Authorization=Bearer {token}")

        assert (answer.status, answer.codes) == (HTTPStatus.UNAUTHORIZED, ["not_authenticated"])

    @pytest.mark.parametrize("cookie", ["=", ";;;", "sid", "a=\x7f", "sid=\u00e9", "x" * 5000])
    def test_a_malformed_one_is_ignored(self, api: Api, alice: User, cookie: str) -> None:
        assert self.login(api, alice.email, cookie).status == HTTPStatus.OK

    def login(self, api: Api, email: str, cookie: str) -> Answer:
        return api.post(f"{V1}/auth/login", {"email": email, "password": PASSWORD}, cookie=cookie)
