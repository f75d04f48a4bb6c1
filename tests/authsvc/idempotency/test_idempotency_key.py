"""What is sent twice under one key is done once, and answered alike."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.services import registration
from audit import services as audit
from audit.origin import Origin
from authsvc.http.envelope import EnvelopeRenderer
from authsvc.idempotency import reservation, tasks
from authsvc.idempotency.models import Reservation
from authsvc.idempotency.reservation import Keep
from authsvc.tokens.models import Session
from tests.cast import OTHER_PASSWORD, PASSWORD, V1, Answer, Api, enrol
from tests.ledger import events, mails, spoken

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

ADA = "ada@example.org"
KEY = "5f1c2f0e-4a7e-4c57-9d1b-7c1c9f0a2b3d"
BODY = {"name": "Ada Lovelace", "email": ADA, "password": PASSWORD}


def register(api: Api, key: str = KEY, path: str = f"{V1}/auth/register", **changes: str) -> Answer:
    return api.post(path, BODY | changes, Idempotency_Key=key)


def verified() -> None:
    enrol(ADA)


def unverified() -> None:
    enrol(ADA, verified_at=None)


def inactive() -> None:
    enrol(ADA, is_active=False)


def nobody() -> None:
    pass


@pytest.mark.parametrize("world", [nobody, verified, unverified, inactive])
def test_the_first_answer_is_repeated_and_nothing_is_done_twice(api: Api, world: Callable[[], None]) -> None:
    world()

    first = register(api)
    done = (events(), mails(), list(User.objects.values()))
    again = register(api)

    assert first.status == HTTPStatus.CREATED
    assert spoken(again) == spoken(first)
    assert again.body["meta"]["requestId"] != first.body["meta"]["requestId"]
    assert (events(), mails(), list(User.objects.values())) == done


def test_without_a_key_every_call_counts_and_nothing_is_reserved(api: Api) -> None:
    api.register(ADA)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        api.register(ADA)

    assert events() == ["account.registration.created", "account.registration.repeated"]
    assert Reservation.objects.count() == 0
    assert [query["sql"] for query in queries if "idempotency" in query["sql"]] == []


def test_the_repeated_answer_speaks_the_language_of_who_asks(api: Api) -> None:
    english = register(api)
    german = api.post(f"{V1}/auth/register", BODY, Idempotency_Key=KEY, Accept_Language="de")

    assert german.data == english.data
    assert (english.body["message"], german.body["message"]) == (
        "Registered. A mail with a link is on its way.",
        "Registriert. Eine E-Mail mit einem Link ist unterwegs.",
    )


def test_both_paths_of_a_route_share_their_keys(api: Api) -> None:
    first = register(api)

    assert register(api, path="/api/auth/register").data == first.data
    assert User.objects.count() == 1


def test_the_same_body_in_another_spelling_is_the_same_body(api: Api) -> None:
    first = register(api)
    data = json.dumps(dict(reversed(BODY.items())), indent=2).replace(ADA, ADA.upper()).encode()

    again = api.raw("POST", f"{V1}/auth/register", data, "application/json", Idempotency_Key=KEY)

    assert again.data == first.data


@pytest.mark.parametrize(
    "change", [{"name": "Eve"}, {"email": "eve@example.org"}, {"password": OTHER_PASSWORD}], ids=lambda c: next(iter(c))
)
def test_another_body_under_the_key_is_refused_and_does_nothing(api: Api, change: dict[str, str]) -> None:
    first = register(api)
    done = (events(), mails())

    other = register(api, **change)

    assert other.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert other.problems == {"Idempotency-Key": "idempotency_mismatch"}
    assert (events(), mails()) == done
    assert register(api).data == first.data


def test_other_keys_have_nothing_to_do_with_each_other(api: Api) -> None:
    register(api)
    register(api, key=f"{KEY}-2")

    assert events() == ["account.registration.created", "account.registration.repeated"]


def test_a_key_is_good_for_one_route_and_method_alone(api: Api) -> None:
    register(api)

    assert api.post(f"{V1}/auth/password/forgot", {"email": ADA}, Idempotency_Key=KEY).status == HTTPStatus.ACCEPTED
    assert Reservation.objects.count() == 2


@pytest.mark.parametrize("key", ["", "k" * 256, "schlüssel", "a\tb", "a\x7fb"])
def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    answer = register(api, key=key)

    assert answer.status == HTTPStatus.BAD_REQUEST
    assert answer.problems == {"Idempotency-Key": "invalid_format"}
    assert (User.objects.count(), Reservation.objects.count()) == (0, 0)


@pytest.mark.parametrize("key", ["k", "k" * 255, " !~ "])
def test_a_key_of_any_other_kind_is_taken(api: Api, key: str) -> None:
    assert register(api, key=key).status == HTTPStatus.CREATED


@pytest.mark.parametrize("change", [{"email": "nonsense"}, {"password": "short"}, {"more": "x"}])
def test_what_is_refused_keeps_nothing_and_frees_the_key(api: Api, change: dict[str, str]) -> None:
    assert register(api, **change).status == HTTPStatus.BAD_REQUEST
    assert Reservation.objects.count() == 0

    assert register(api).status == HTTPStatus.CREATED


def test_a_taken_address_that_is_named_keeps_nothing(api: Api, settings: Settings) -> None:
    settings.REGISTRATION_NEUTRAL = False
    enrol(ADA)

    assert register(api).codes == ["email_taken"]
    assert register(api).codes == ["email_taken"]
    assert Reservation.objects.count() == 0


def test_a_failure_before_the_commit_frees_the_key(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(audit, "record", lambda *_args, **_more: 1 / 0)
        assert register(api).status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert (User.objects.count(), mails(), Reservation.objects.count()) == (0, [], 0)

    assert register(api).status == HTTPStatus.CREATED


def test_a_failure_after_the_commit_does_not_do_it_twice(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    render = EnvelopeRenderer.render

    def fail_once(*args: object, **more: object) -> bytes:
        monkeypatch.setattr(EnvelopeRenderer, "render", render)
        raise RuntimeError

    monkeypatch.setattr(EnvelopeRenderer, "render", fail_once)
    assert register(api).status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert events() == ["account.registration.created"]

    again = register(api)

    assert again.status == HTTPStatus.CREATED
    assert again.data["id"] == str(User.objects.get().id)
    assert events() == ["account.registration.created"]
    assert mails() == [("verify_email", ADA)]


def left_by_a_dead_process(api: Api) -> Reservation:
    """Leave a key as a process does that dies while it works: reserved, and nothing done."""
    register(api)
    User.objects.all().delete()
    Reservation.objects.update(sealed_answer=b"", expires_at=timezone.now() + Reservation.LEASE)
    return Reservation.objects.get()


def test_a_twin_of_a_request_in_progress_is_told_so(api: Api) -> None:
    left_by_a_dead_process(api)

    twin = register(api)

    assert twin.status == HTTPStatus.CONFLICT
    assert twin.problems == {"Idempotency-Key": "idempotency_in_progress"}
    assert User.objects.count() == 0


def test_a_request_in_progress_with_another_body_is_a_mismatch(api: Api) -> None:
    left_by_a_dead_process(api)

    assert register(api, name="Eve").codes == ["idempotency_mismatch"]


def test_the_lease_of_a_dead_process_ends_after_a_minute(api: Api) -> None:
    dead = left_by_a_dead_process(api)
    assert dead.expires_at - timezone.now() > timedelta(seconds=59)
    Reservation.objects.update(expires_at=timezone.now())

    first = register(api)

    assert first.status == HTTPStatus.CREATED
    assert register(api).data == first.data
    assert User.objects.count() == 1


def test_whoever_lost_the_lease_changes_nothing(api: Api) -> None:
    """A process that comes back after its minute must not act beside the one that took over."""
    faster: list[Answer] = []

    def deed(*, keep: Keep[User]) -> User:
        Reservation.objects.update(expires_at=timezone.now())
        faster.append(register(api))
        origin = Origin(ip=None, user_agent="", request_id="", actor_id=None)
        return registration.register(
            name="Eve", email="eve@example.org", password=PASSWORD, locale="en", origin=origin, keep=keep
        )

    with pytest.raises(reservation.KeyInProgress):
        reservation.once(key=KEY, scope=" POST /auth/register", body=BODY, deed=deed, show=str)

    assert [user.email for user in User.objects.all()] == [ADA]
    assert mails() == [("verify_email", ADA)]
    assert register(api).data == faster[0].data


def test_only_a_key_whose_time_is_over_is_taken_over_and_only_once(api: Api) -> None:
    dead = left_by_a_dead_process(api)
    now, later = timezone.now(), timezone.now() + timedelta(minutes=1)

    def take_over(at: datetime) -> bool:
        mine = Reservation(digest=dead.digest, body_mac=b"m", sealed_body_key=b"k", expires_at=at + Reservation.LEASE)
        return Reservation.objects.take_over(mine, now=at)

    assert [take_over(now), take_over(later), take_over(later)] == [False, True, False]


def test_after_a_day_the_key_is_free_again(api: Api) -> None:
    first = register(api)
    assert Reservation.objects.get().expires_at - timezone.now() > timedelta(hours=23, minutes=59)
    Reservation.objects.update(expires_at=timezone.now())

    later = register(api, name="Eve", email="eve@example.org")

    assert later.status == HTTPStatus.CREATED
    assert later.data["id"] != first.data["id"]


def test_the_purge_takes_what_is_over_and_nothing_else(api: Api) -> None:
    register(api)
    register(api, key="another")
    old = Reservation.objects.order_by("id")[0]
    Reservation.objects.filter(pk=old.pk).update(expires_at=timezone.now())

    tasks.purge()

    assert [row.pk for row in Reservation.objects.exclude(pk=old.pk)] == [row.pk for row in Reservation.objects.all()]
    assert Reservation.objects.count() == 1


def test_neither_key_nor_body_nor_answer_rests_in_clear(api: Api) -> None:
    register(api)

    (row,) = Reservation.objects.values()
    at_rest = b"|".join(
        bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode() for value in row.values()
    )
    for secret in (KEY, ADA, PASSWORD, "Lovelace"):
        assert secret.encode() not in at_rest


def signed_in(api: Api, email: str) -> str:
    token: str = api.login(email).data["accessToken"]
    return token


def change_email(api: Api, token: str, new_email: str = "new@example.org", **headers: str) -> Answer:
    return api.post(f"{V1}/users/me/email", {"newEmail": new_email}, token=token, Idempotency_Key=KEY, **headers)


def test_a_person_shares_no_keys_with_another(api: Api, alice: User, bob: User) -> None:
    answers = [
        change_email(api, signed_in(api, alice.email)),
        change_email(api, signed_in(api, bob.email), "other@example.org"),
    ]

    assert [answer.status for answer in answers] == [HTTPStatus.ACCEPTED] * 2
    assert events().count("account.email.change_requested") == 2


def test_a_request_for_another_address_is_made_once_by_any_session_of_its_owner(api: Api, alice: User) -> None:
    first = change_email(api, signed_in(api, alice.email))
    sent = mails()

    again = change_email(api, signed_in(api, alice.email))

    assert (first.status, again.status) == (HTTPStatus.ACCEPTED, HTTPStatus.ACCEPTED)
    assert spoken(again) == spoken(first)
    assert [mail for mail in mails() if mail[0] != "new_device"] == [mail for mail in sent if mail[0] != "new_device"]
    assert events().count("account.email.change_requested") == 1
    assert change_email(api, signed_in(api, alice.email), "other@example.org").codes == ["idempotency_mismatch"]


def test_what_the_caller_may_not_do_any_more_is_not_repeated(api: Api, alice: User) -> None:
    token = signed_in(api, alice.email)
    change_email(api, token)
    Session.objects.update(authenticated_at=timezone.now() - timedelta(days=1))

    assert change_email(api, token).codes == ["reauthentication_required"]


@pytest.mark.parametrize("email", [ADA, "nobody@example.org"])
def test_a_reset_is_asked_for_once(api: Api, email: str) -> None:
    enrol(ADA)

    answers = [api.post(f"{V1}/auth/password/forgot", {"email": email}, Idempotency_Key=KEY) for _time in range(3)]

    assert {answer.status for answer in answers} == {HTTPStatus.ACCEPTED}
    assert len({repr(spoken(answer)) for answer in answers}) == 1
    assert answers[-1].data is None
    assert events() == ["account.password.reset_requested"]
    assert mails() == ([("reset_password", ADA)] if email == ADA else [])


class TestDeletion:
    """It signs its caller out, who may never have heard the answer."""

    def delete(self, api: Api, token: str, key: str = KEY) -> Answer:
        return api.delete(f"{V1}/users/me", token=token, Idempotency_Key=key)

    def test_the_answer_is_repeated_to_whoever_it_signed_out(self, api: Api, alice: User) -> None:
        token = signed_in(api, alice.email)

        first = self.delete(api, token)
        done = (events(), mails())
        again = self.delete(api, token)

        assert first.status == HTTPStatus.ACCEPTED
        assert spoken(again) == spoken(first)
        assert (events(), mails()) == done

    def test_every_other_call_of_theirs_is_refused(self, api: Api, alice: User, bob: User) -> None:
        token, of_bob = signed_in(api, alice.email), signed_in(api, bob.email)
        self.delete(api, token)

        assert api.delete(f"{V1}/users/me", token=token).codes == ["invalid_token"]
        assert self.delete(api, token, "another").codes == ["invalid_token"]
        assert self.delete(api, token, "").codes == ["invalid_token"]
        assert self.delete(api, f"{token}x").codes == ["invalid_token"]
        assert api.get(f"{V1}/users/me", token=token, Idempotency_Key=KEY).codes == ["invalid_token"]
        assert api.patch(f"{V1}/users/me", {"name": "Eve"}, token=token, Idempotency_Key=KEY).codes == ["invalid_token"]
        api.post(f"{V1}/auth/logout", token=of_bob)
        assert self.delete(api, of_bob).codes == ["invalid_token"]

    def test_it_is_not_repeated_after_a_day(self, api: Api, alice: User) -> None:
        token = signed_in(api, alice.email)
        self.delete(api, token)
        Reservation.objects.update(expires_at=timezone.now())

        assert self.delete(api, token).codes == ["invalid_token"]
