"""Opening an account."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings as configured
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts import tasks
from accounts.models import User
from accounts.services import registration
from audit.models import Event
from audit.origin import Origin
from authsvc.errors import Unavailable
from authsvc.tokens.models import OneTimeToken
from tests.cast import OTHER_PASSWORD, PASSWORD, V1, Answer, Api, enrol, post_round
from tests.ledger import events, mails, spoken, stored

pytestmark = pytest.mark.django_db

ADA = "ada@example.org"
ORIGIN = Origin(ip="192.0.2.7", user_agent="tests", request_id="", actor_id=None)
EVIL_TYPES: list[object] = [None, 7, 1.5, True, [], ["ada@example.org"], {}, {"$ne": ""}]


def body(**changes: object) -> dict[str, object]:
    return {"name": "Ada Lovelace", "email": ADA, "password": PASSWORD, **changes}


def register(api: Api, **changes: object) -> Answer:
    return api.post(f"{V1}/auth/register", body(**changes))


def age(email: str, by: timedelta) -> None:
    User.objects.filter(email=email).update(created_at=timezone.now() - by)


def verified(email: str) -> None:
    enrol(email)


def inactive(email: str) -> None:
    enrol(email, is_active=False)


def inactive_unverified(email: str) -> None:
    enrol(email, is_active=False, verified_at=None)


def unverified(email: str) -> None:
    enrol(email, verified_at=None)


def with_another_password(email: str) -> None:
    enrol(email, verified_at=None, password=OTHER_PASSWORD)


def contested(email: str) -> None:
    enrol(email, verified_at=None)
    User.objects.filter(email=email).update(password="!nobody")


def lapsed(email: str) -> None:
    enrol(email, verified_at=None)
    age(email, configured.UNVERIFIED_TTL)


def unknown(_email: str) -> None:
    """Nobody has it."""


State = Callable[[str], None]
STATES: dict[State, tuple[list[str], list[str]]] = {
    unknown: (["verify_email"], ["account.registration.created"]),
    verified: (["already_registered"], ["account.registration.refused"]),
    inactive: (["already_registered"], ["account.registration.refused"]),
    inactive_unverified: ([], ["account.registration.refused"]),
    unverified: (["verify_email"], ["account.registration.repeated"]),
    with_another_password: (["verify_email"], ["account.registration.contested"]),
    contested: (["verify_email"], ["account.registration.contested"]),
    lapsed: (["verify_email"], ["account.registration.expired", "account.registration.created"]),
}
each_state = pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)


@pytest.mark.both_databases
def test_registering_answers_the_new_account(api: Api) -> None:
    answer = api.register(ADA, name="Ada Lovelace")

    user = User.objects.get()
    assert answer.status == HTTPStatus.CREATED
    assert set(answer.body) == {"success", "message", "data", "meta"}
    assert answer.body["success"] is True
    assert answer.data == {
        "id": str(user.id),
        "name": "Ada Lovelace",
        "email": ADA,
        "role": "user",
        "isVerified": False,
        "mfaEnabled": False,
        "locale": "en",
        "createdAt": answer.data["createdAt"],
        "lastLoginAt": None,
    }
    assert datetime.fromisoformat(answer.data["createdAt"]) == user.created_at
    assert answer.data["createdAt"].endswith("Z")
    assert UUID(answer.data["id"]).version == 7
    assert PASSWORD not in answer.raw.decode() + user.password


@pytest.mark.both_databases
def test_registering_mails_a_link_to_the_address_and_writes_one_event(api: Api) -> None:
    api.register(ADA)

    (event,) = Event.objects.all()
    assert mails() == [("verify_email", ADA)]
    assert events() == ["account.registration.created"]
    assert (event.subject, event.actor, event.outcome) == (User.objects.get().audit_key, None, "success")
    assert (event.ip, event.user_agent, event.metadata) == ("192.0.2.10", "tests", {})


@pytest.mark.both_databases
def test_no_answer_tells_whether_an_address_is_taken(api: Api) -> None:
    heard = {}
    for letter, state in zip("abcdefghij", STATES, strict=False):
        email = f"{letter}@example.org"
        state(email)
        answer = api.register(email)
        heard[state.__name__] = spoken(answer, answer.data["id"], answer.data["createdAt"], email)

    assert len(heard) == len(STATES)
    assert heard == dict.fromkeys(heard, heard["unknown"])
    assert heard["unknown"][0] == HTTPStatus.CREATED


@each_state
def test_what_happened_goes_to_the_owner_of_the_address_alone(api: Api, state: State) -> None:
    state(ADA)

    api.register(ADA)

    templates, actions = STATES[state]
    assert mails() == [(template, ADA) for template in templates]
    assert events() == actions


@pytest.mark.parametrize("state", [verified, inactive, inactive_unverified], ids=lambda state: state.__name__)
def test_a_taken_address_keeps_its_account_as_it_was(api: Api, state: State) -> None:
    state(ADA)
    before = User.objects.values().get()

    answer = api.register(ADA, OTHER_PASSWORD, name="Mallory", accept_language="fr")

    assert User.objects.values().get() == before
    assert (answer.data["name"], answer.data["locale"]) == ("Mallory", "fr")
    assert answer.data["id"] not in {str(before["id"]), str(before["audit_key"])}


def test_registering_again_with_the_same_password_leaves_name_and_password_alone(api: Api) -> None:
    api.register(ADA, name="Ada")
    before = User.objects.values().get()

    api.register(ADA, name="Mallory", accept_language="fr")

    assert User.objects.values().get() == before


def test_the_account_is_the_owner_s_even_where_somebody_is_named_like_them(api: Api) -> None:
    enrol("bob@example.org", name="Bob")

    api.register("mallory@example.org", OTHER_PASSWORD, name="bob@example.org")
    verification = post_round()[0]
    api.verify(verification.token)

    assert verification.to == "mallory@example.org"
    assert api.login("bob@example.org", OTHER_PASSWORD).codes == ["invalid_credentials"]
    assert api.login("bob@example.org", PASSWORD).status == HTTPStatus.OK


@pytest.mark.parametrize(
    ("change", "template"), [({"verified_at": timezone.now()}, "already_registered"), ({"is_active": False}, None)]
)
def test_an_account_that_is_verified_or_deactivated_in_the_same_moment_stays_as_it_is(
    change: dict[str, object], template: str | None
) -> None:
    unverified(ADA)
    as_read = User.objects.get()
    User.objects.update(**change)
    before = User.objects.values().get()

    registration._repeat(as_read, same_password=False, origin=ORIGIN, keep=lambda: None)

    assert User.objects.values().get() == before
    assert mails() == ([(template, ADA)] if template else [])
    assert events() == ["account.registration.refused"]


def test_a_registration_that_is_dropped_in_the_same_moment_can_be_tried_again() -> None:
    unverified(ADA)
    as_read = User.objects.get()
    User.objects.all().delete()

    with pytest.raises(Unavailable):
        registration._repeat(as_read, same_password=True, origin=ORIGIN, keep=lambda: None)

    assert (mails(), events()) == ([], [])


@pytest.mark.parametrize("state", [verified, inactive], ids=lambda state: state.__name__)
def test_a_service_that_is_not_neutral_says_that_an_address_is_taken(
    api: Api, settings: Settings, state: State
) -> None:
    settings.REGISTRATION_NEUTRAL = False
    state(ADA)
    before = User.objects.values().get()

    answer = api.register(ADA)

    assert (answer.status, answer.problems) == (HTTPStatus.CONFLICT, {"email": "email_taken"})
    assert User.objects.values().get() == before
    assert (mails(), events()) == ([], ["account.registration.refused"])


@pytest.mark.both_databases
def test_an_address_that_is_registered_and_given_up_again_and_again_gets_no_more_mails_than_others(api: Api) -> None:
    for _ in range(4):
        assert api.register(ADA).status == HTTPStatus.CREATED
        User.objects.get(email=ADA).delete()
    assert api.register(ADA).status == HTTPStatus.CREATED

    assert mails() == [("verify_email", ADA)] * 3
    assert OneTimeToken.objects.count() == 0


def test_a_service_that_is_not_neutral_mails_the_link_of_an_unverified_account_again(
    api: Api, settings: Settings
) -> None:
    settings.REGISTRATION_NEUTRAL = False
    unverified(ADA)

    assert api.register(ADA).status == HTTPStatus.CREATED
    assert mails() == [("verify_email", ADA)]


@pytest.mark.both_databases
def test_a_field_that_nobody_may_send_is_refused_and_opens_nothing(subtests: pytest.Subtests, api: Api) -> None:
    extras: list[dict[str, Any]] = [
        {"role": "admin"},
        {"isVerified": True},
        {"is_verified": True},
        {"verified_at": "2026-01-01T00:00:00Z"},
        {"is_staff": True},
        {"is_active": False},
        {"id": "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"},
        {"locale": "de"},
        {"createdAt": "2020-01-01T00:00:00Z"},
        {"password_hash": "!"},
        {"user": {"role": "admin"}},
        {"": "nameless"},
        {"\ud800": "surrogate"},
    ]
    for extra in extras:
        with subtests.test(extra=extra):
            before = stored()

            answer = register(api, **extra)

            assert (answer.status, answer.codes) == (HTTPStatus.BAD_REQUEST, ["unknown_field"])
            assert stored() == before


@pytest.mark.parametrize(
    "raw",
    [
        '{"name": "Ada", "email": "ada@example.org", "email": "eve@example.org", "password": "correct Horse 7"}',
        '{"name": "Ada", "email": "ada@example.org", "password": "correct-Horse-7-battery", "p": {"a": 1, "a": 2}}',
        '{"name": "Ada", "email": "ada@example.org", "\\u0065mail": "ada@example.org", "password": "correct Horse 7"}',
    ],
    ids=["top", "nested", "escaped"],
)
def test_a_key_given_twice_is_refused(api: Api, raw: str) -> None:
    answer = api.raw("POST", f"{V1}/auth/register", raw.encode(), "application/json")

    assert (answer.status, answer.codes) == (HTTPStatus.BAD_REQUEST, ["duplicate_field"])
    assert User.objects.count() == 0


@pytest.mark.both_databases
def test_a_value_of_another_type_is_refused(subtests: pytest.Subtests, api: Api) -> None:
    for field, value in [*product(["name", "email", "password"], EVIL_TYPES)]:
        with subtests.test(field=field, value=value):
            before = stored()

            answer = register(api, **{field: value})

            assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {field: "invalid_type"})
            assert stored() == before


@pytest.mark.parametrize("document", [None, 7, True, "ada", [], [body()]], ids=str)
def test_a_body_that_is_no_object_is_refused(api: Api, document: object) -> None:
    answer = api.raw("POST", f"{V1}/auth/register", json.dumps(document).encode(), "application/json")

    assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {None: "invalid_type"})


@pytest.mark.parametrize("missing", ["name", "email", "password"])
def test_a_missing_field_is_named(api: Api, missing: str) -> None:
    document = body()
    del document[missing]

    answer = api.post(f"{V1}/auth/register", document)

    assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {missing: "required"})
    assert User.objects.count() == 0


@pytest.mark.both_databases
def test_text_that_cannot_be_taken_is_refused(subtests: pytest.Subtests, api: Api) -> None:
    for field, value, code in [
        *(("name", f"Ada{bad}Lovelace", "invalid_character") for bad in "\0\ud800\u202e\u2066\x1b\r\n\t\x7f\x85\u2028"),
        *(("email", f"a{bad}da@example.org", "invalid_format") for bad in "\0\ud800\u202e\x1b\r\n\t\x7f\u200b"),
        *(("email", f"ada@exa{bad}mple.org", "invalid_format") for bad in "\0\ud800\u202e\x1b\r\n\t\x7f\u200b"),
        *(("password", f"correct Horse{bad}7 battery", "invalid_character") for bad in "\0\ud800"),
        ("name", "", "too_short"),
        ("name", "  ", "too_short"),
        ("name", "A" * 101, "too_long"),
        ("email", "", "too_short"),
        ("email", f"{'a' * 64}@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 7}", "too_long"),
        ("email", "a" * 10_000, "too_long"),
        ("email", f"ada@{'a.' * 5_000}org", "too_long"),
        ("password", "", "password_too_short"),
        ("password", "correct-Horse-7-battery" * 6, "password_too_long"),
        ("password", "correct Horse 7" + "\U0001f40e" * 253, "too_long"),
    ]:
        with subtests.test(field=field, value=value, code=code):
            before = stored()

            answer = register(api, **{field: value})

            assert (answer.status, set(answer.problems)) == (HTTPStatus.BAD_REQUEST, {field})
            assert answer.codes[0] == code
            assert stored() == before


def test_everything_that_is_wrong_is_named_at_once(api: Api) -> None:
    answer = api.post(f"{V1}/auth/register", {"name": 7, "email": "ada", "role": "admin"})

    assert answer.problems == {
        "name": "invalid_type",
        "email": "invalid_format",
        "password": "required",
        "role": "unknown_field",
    }


def test_a_password_of_a_megabyte_is_refused_unread(api: Api) -> None:
    answer = register(api, password="a" * 1_000_000)

    assert (answer.status, answer.codes) == (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, ["body_too_large"])
    assert User.objects.count() == 0


@pytest.mark.both_databases
def test_what_is_no_plain_address_is_refused_and_mails_nobody(subtests: pytest.Subtests, api: Api) -> None:
    for address in [
        "ada\uff20example.org",
        "ada\ufe6bexample.org",
        "\uff41da@example.org",
        "\u212aate@example.org",
        "ada@example.org,eve@example.org",
        "ada@example.org eve@example.org",
        "ada@example.org;eve@example.org",
        "Ada <ada@example.org>",
        "<ada@example.org>",
        '"ada"@example.org',
        '"a@b"@example.org',
        "a@b@example.org",
        "ada@localhost",
        "ada@[127.0.0.1]",
        "ada@127.0.0.1",
        "ada@-example.org",
        "ada@example..org",
        "ada@example.org.",
        "ada@.example.org",
        ".ada@example.org",
        "ada.@example.org",
        "a..da@example.org",
        "@example.org",
        "ada@",
        "ada",
        "ada@exa_mple.org",
        "ada@example.org\nBcc: eve@example.org",
        "ad\u0131@example.org",
        "ada@xn--\u00fc.org",
        f"{'a' * 65}@example.org",
        f"ada@{'b' * 64}.org",
    ]:
        with subtests.test(address=address):
            before = stored()

            answer = api.register(address)

            assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {"email": "invalid_format"})
            assert stored() == before


@pytest.mark.both_databases
@pytest.mark.parametrize("variant", ["ADA@example.org", "ada@EXAMPLE.ORG", "Ada@Example.Org", "  ada@example.org "])
def test_case_and_space_make_no_second_account(api: Api, variant: str) -> None:
    api.register(ADA)

    answer = api.register(variant)

    assert (answer.status, answer.data["email"]) == (HTTPStatus.CREATED, ADA)
    assert User.objects.values_list("email").get() == (ADA,)
    assert mails() == [("verify_email", ADA)] * 2


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("ada@b\u00fccher.example", "ada@xn--bcher-kva.example"),
        ("ada@XN--BCHER-KVA.example", "ada@B\u00dcCHER.example"),
    ],
)
def test_both_spellings_of_an_international_domain_are_one_account(api: Api, first: str, second: str) -> None:
    answers = [api.register(first), api.register(second)]

    assert [answer.data["email"] for answer in answers] == ["ada@xn--bcher-kva.example"] * 2
    assert User.objects.values_list("email").get() == ("ada@xn--bcher-kva.example",)


def test_a_name_is_kept_trimmed_and_composed(api: Api) -> None:
    answer = api.register(ADA, name="  Zoe\u0308 Müller  ")

    assert answer.data["name"] == User.objects.get().name == "Zo\u00eb Müller"


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT", "de"),
        ("es-MX,es;q=0.9,en;q=0.8", "es"),
        ("pt,fr;q=0.5", "fr"),
        ("pt", "en"),
        ("*", "en"),
        ("../../etc", "en"),
    ],
)
def test_the_account_speaks_the_language_of_the_request(api: Api, header: str, locale: str) -> None:
    answer = api.register(ADA, accept_language=header)

    assert answer.data["locale"] == User.objects.get().locale == locale
    assert answer.headers["Content-Language"] == locale


class TestNeverVerified:
    """After seven days an unverified account counts as absent, whether or not anything has deleted it."""

    @pytest.mark.both_databases
    def test_its_address_is_registered_anew(self, api: Api) -> None:
        lapsed(ADA)
        old = User.objects.get()

        answer = api.register(ADA, OTHER_PASSWORD, name="Ada")

        new = User.objects.get()
        assert answer.data["id"] == str(new.id)
        assert new.id != old.id
        assert new.audit_key != old.audit_key
        assert new.name == "Ada"
        api.verify(post_round()[0].token)
        assert api.login(ADA, OTHER_PASSWORD).status == HTTPStatus.OK
        assert api.login(ADA, PASSWORD).codes == ["invalid_credentials"]

    def test_shortly_before_it_is_still_there(self, api: Api) -> None:
        unverified(ADA)
        age(ADA, configured.UNVERIFIED_TTL - timedelta(seconds=5))
        old = User.objects.get()

        api.register(ADA)

        assert User.objects.get().id == old.id
        assert events() == ["account.registration.repeated"]

    def test_asking_for_a_link_mails_none(self, api: Api) -> None:
        lapsed(ADA)

        answer = api.post(f"{V1}/auth/verify-email/resend", {"email": ADA})

        assert (answer.status, answer.data) == (HTTPStatus.ACCEPTED, None)
        assert mails() == []

    def test_signing_in_mails_no_link(self, api: Api) -> None:
        lapsed(ADA)

        answer = api.login(ADA)

        assert answer.codes == ["invalid_credentials"]
        assert mails() == []
        assert Event.objects.get().metadata == {"reason": "unknown"}

    def test_a_link_that_is_still_fresh_does_not_bring_it_back(self, api: Api) -> None:
        api.register(ADA)
        token = post_round()[0].token
        age(ADA, configured.UNVERIFIED_TTL)

        answer = api.verify(token)

        assert answer.codes == ["invalid_token"]
        assert not User.objects.get().is_verified

    @pytest.mark.both_databases
    def test_the_purge_deletes_it_and_nobody_else(self) -> None:
        lapsed(ADA)
        gone = User.objects.get()
        enrol("old@example.org", created_at=datetime(2020, 1, 1, tzinfo=UTC))
        unverified("young@example.org")
        age("young@example.org", configured.UNVERIFIED_TTL - timedelta(minutes=1))

        tasks.purge_unverified()

        assert set(User.objects.values_list("email", flat=True)) == {"old@example.org", "young@example.org"}
        (event,) = Event.objects.all()
        assert (event.action, event.subject, event.actor) == ("account.registration.expired", gone.audit_key, None)

    def test_the_purge_may_run_again(self) -> None:
        lapsed(ADA)

        tasks.purge_unverified()
        tasks.purge_unverified()

        assert events() == ["account.registration.expired"]


class TestResend:
    """Asking for another link tells nothing and mails only those who wait for one."""

    def ask(self, api: Api, email: str = ADA) -> Answer:
        return api.post(f"{V1}/auth/verify-email/resend", {"email": email})

    def test_every_answer_is_the_same(self, api: Api) -> None:
        heard = {}
        for letter, state in zip("abcdefghij", STATES, strict=False):
            state(f"{letter}@example.org")
            heard[state.__name__] = spoken(self.ask(api, f"{letter}@example.org"))

        assert heard == dict.fromkeys(heard, heard["unknown"])
        assert heard["unknown"][0] == HTTPStatus.ACCEPTED

    @each_state
    def test_only_active_unverified_accounts_get_a_mail(self, api: Api, state: State) -> None:
        state(ADA)
        waiting = state in {unverified, with_another_password, contested}

        self.ask(api)

        assert mails() == ([("verify_email", ADA)] if waiting else [])
        assert events() == ["account.email.verification_requested"]

    def test_both_links_work(self, api: Api) -> None:
        api.register(ADA)
        self.ask(api, " ADA@example.org")

        first, second = post_round()

        assert first.token != second.token
        assert api.verify(second.token).status == HTTPStatus.OK
        assert api.verify(first.token).status == HTTPStatus.OK

    def test_an_unknown_address_is_written_nowhere(self, api: Api) -> None:
        self.ask(api, "nobody@example.org")

        assert Event.objects.get().subject is None
        assert "nobody@example.org" not in str(stored())
