"""What people change about themselves."""

from http import HTTPStatus

import pytest

from accounts.models import User
from audit.models import Event
from tests.cast import V1, Answer, Api
from tests.ledger import events, stored

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

ME = f"{V1}/users/me"
OTHER_TYPES: list[object] = [None, 7, True, [], ["de"], {}]


@pytest.fixture
def token(api: Api, alice: User) -> str:
    """Alice's access token."""
    return str(api.login(alice.email).data["accessToken"])


def test_a_name_is_changed_and_trimmed(api: Api, alice: User, token: str) -> None:
    before = api.me(token).data

    answer = api.patch(ME, {"name": "  Alice Liddell  "}, token=token)

    assert (answer.status, answer.data) == (HTTPStatus.OK, {**before, "name": "Alice Liddell"})
    assert api.me(token).data == answer.data
    user = User.objects.get()
    assert (user.name, user.password, user.stamp) == ("Alice Liddell", alice.password, alice.stamp)
    assert user.updated_at > alice.updated_at


def test_both_fields_are_changed_at_once_with_one_event(api: Api, alice: User, token: str) -> None:
    answer = api.patch(ME, {"name": "Alicia", "locale": "es"}, token=token)

    event = Event.objects.latest("created_at")
    assert (answer.data["name"], answer.data["locale"]) == ("Alicia", "es")
    assert events() == ["account.signin.succeeded", "account.profile.updated"]
    assert event.subject == event.actor == alice.audit_key
    assert event.metadata == {"fields": "name,locale"}
    assert "Alicia" not in str(event.metadata)


@pytest.mark.parametrize("locale", ["en", "de", "es", "fr"])
def test_every_language_of_the_service_can_be_chosen(api: Api, token: str, locale: str) -> None:
    assert api.patch(ME, {"locale": locale}, token=token).data["locale"] == User.objects.get().locale == locale


@pytest.mark.parametrize(
    "body", [{}, {"name": "Alice"}, {"locale": "en"}, {"name": " Alice ", "locale": "en"}], ids=str
)
def test_without_a_difference_nothing_is_written(api: Api, token: str, body: dict[str, str]) -> None:
    before = stored()

    answer = api.patch(ME, body, token=token)

    assert (answer.status, answer.data) == (HTTPStatus.OK, api.me(token).data)
    assert stored() == before


def test_a_call_without_a_body_changes_nothing(api: Api, token: str) -> None:
    before = stored()

    answer = api.patch(ME, token=token)

    assert answer.status == HTTPStatus.OK
    assert stored() == before


def test_a_field_that_is_not_the_caller_s_to_write_is_refused(subtests: pytest.Subtests, api: Api, token: str) -> None:
    for field in [
        "role",
        "email",
        "isVerified",
        "emailVerified",
        "is_verified",
        "verified_at",
        "id",
        "password",
        "is_active",
        "is_staff",
        "stamp",
        "audit_key",
        "mfaEnabled",
        "createdAt",
        "lastLoginAt",
        "user",
    ]:
        with subtests.test(field=field):
            before = stored()
            value: object = {
                "role": "admin",
                "email": "bob@example.org",
                "id": "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b",
            }.get(field, True)

            answer = api.patch(ME, {"name": "Mallory", field: value}, token=token)

            assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {field: "unknown_field"})
            assert stored() == before


def test_a_value_that_cannot_be_taken_is_refused(subtests: pytest.Subtests, api: Api, token: str) -> None:
    for field, value, code in [
        *((field, value, "invalid_type") for field in ("name", "locale") for value in OTHER_TYPES),
        ("name", "", "too_short"),
        ("name", " ", "too_short"),
        ("name", "A" * 101, "too_long"),
        ("name", "a\0b", "invalid_character"),
        ("name", "a\ud800b", "invalid_character"),
        ("name", "a\u202eb", "invalid_character"),
        ("name", "a\r\nb", "invalid_character"),
        ("locale", "", "invalid_format"),
        ("locale", "pt", "invalid_format"),
        ("locale", "DE", "invalid_format"),
        ("locale", "../en", "invalid_format"),
        ("locale", "\ud800", "invalid_format"),
    ]:
        with subtests.test(field=field, value=value, code=code):
            before = stored()

            answer = api.patch(ME, {field: value}, token=token)

            assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {field: code})
            assert stored() == before


def test_one_bad_field_keeps_the_good_one_out(api: Api, token: str) -> None:
    api.patch(ME, {"name": "Alicia", "locale": "pt"}, token=token)

    assert User.objects.get().name == "Alice"


def test_nobody_changes_anything_without_a_token(api: Api, alice: User) -> None:
    before = stored()

    answers: list[Answer] = [api.patch(ME, {"name": "Mallory"}), api.patch(ME, {"name": "Mallory"}, token="x.y.z")]

    assert [answer.status for answer in answers] == [HTTPStatus.UNAUTHORIZED] * 2
    assert [answer.codes for answer in answers] == [["not_authenticated"], ["invalid_token"]]
    assert stored() == before
    assert User.objects.get().name == alice.name


def test_only_the_caller_changes(api: Api, token: str, bob: User) -> None:
    api.patch(ME, {"name": "Alicia"}, token=token)

    assert User.objects.get(pk=bob.pk).name == "Bob"
