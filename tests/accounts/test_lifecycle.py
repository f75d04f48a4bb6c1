"""Switching accounts off and on, and giving roles: what that ends."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from uuid import uuid4

import jwt
import pytest

from accounts.models import Role, User
from accounts.services import lifecycle, signin, staff
from accounts.services.signin import InvalidCredentials
from audit.models import Event
from audit.origin import Origin
from authsvc.tokens.models import Session
from authsvc.tokens.services.known_devices import Presented
from tests.cast import Api, enrol, post_round
from tests.crowd import at_once
from tests.lineage import Tokens, refused, row

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

OPERATOR = Origin.system("tests")


@pytest.fixture
def hers(api: Api, alice: User) -> Tokens:
    tokens: Tokens = api.login(alice.email).data
    return tokens


def deactivate(user: User) -> bool:
    return lifecycle.deactivate(user_id=user.pk, origin=OPERATOR)


def activate(user: User) -> bool:
    return lifecycle.activate(user_id=user.pk, origin=OPERATOR)


def promote(user: User) -> bool:
    return staff.change_role(user_id=user.pk, role=Role.ADMIN, origin=OPERATOR)


def told(user: User) -> list[tuple[str, dict[str, object]]]:
    events = Event.objects.filter(subject=user.audit_key, user_agent="tests", request_id="").order_by("id")
    return [(event.action, event.metadata) for event in events]


ENDING: dict[str, tuple[Callable[[User], bool], str]] = {
    "deactivation": (deactivate, "deactivated"),
    "another role": (promote, "role"),
}


@pytest.mark.parametrize("change", ENDING)
def test_it_ends_every_token_of_the_person_and_nobody_elses(
    api: Api, alice: User, hers: Tokens, bob: User, change: str
) -> None:
    second = api.refresh(hers["refreshToken"]).data
    elsewhere = api.login(alice.email).data
    bobs = api.login(bob.email).data
    do, reason = ENDING[change]

    assert do(alice) is True

    for tokens in (hers, second, elsewhere):
        assert refused(api.me(tokens["accessToken"])) == "invalid_token"
        assert refused(api.refresh(tokens["refreshToken"])) == "invalid_token"
    assert {row(tokens)["end_reason"] for tokens in (hers, elsewhere)} == {reason}
    assert api.me(bobs["accessToken"]).status == HTTPStatus.OK


@pytest.mark.parametrize("change", ENDING)
def test_it_ends_the_admin_site_s_session_too(admin: User, change: str) -> None:
    other = {"deactivation": deactivate, "another role": demote}[change]
    before = admin.get_session_auth_hash()

    other(admin)

    assert User.objects.get(pk=admin.pk).get_session_auth_hash() != before


def demote(user: User) -> bool:
    return staff.change_role(user_id=user.pk, role=Role.USER, origin=OPERATOR)


def test_nobody_signs_in_to_an_account_that_is_off_and_the_answer_is_as_for_no_account(api: Api, alice: User) -> None:
    deactivate(alice)

    off, nobody = api.login(alice.email), api.login("nobody@example.org")

    assert (off.status, off.codes, off.body["message"]) == (nobody.status, nobody.codes, nobody.body["message"])


def test_switched_on_again_it_takes_a_new_sign_in(api: Api, alice: User, hers: Tokens) -> None:
    deactivate(alice)

    assert activate(alice) is True

    assert refused(api.me(hers["accessToken"])) == "invalid_token"
    assert refused(api.refresh(hers["refreshToken"])) == "invalid_token"
    assert api.me(api.login(alice.email).data["accessToken"]).status == HTTPStatus.OK


def test_a_link_that_was_mailed_before_is_dead(api: Api) -> None:
    api.register("ada@example.org")
    (letter,) = post_round()
    ada = User.objects.get()
    deactivate(ada)
    activate(ada)

    assert api.verify(letter.token).codes == ["invalid_token"]


def test_the_log_tells_what_was_done_once(alice: User) -> None:
    assert [deactivate(alice), deactivate(alice), activate(alice), activate(alice)] == [True, False, True, False]
    assert [promote(alice), promote(alice)] == [True, False]

    assert told(alice) == [
        ("account.deactivated", {}),
        ("session.all_ended", {"reason": "deactivated", "sessions": 0}),
        ("account.activated", {}),
        ("account.role.changed", {"role": "admin"}),
        ("session.all_ended", {"reason": "role", "sessions": 0}),
    ]


def test_what_is_so_already_ends_nothing(api: Api, alice: User, hers: Tokens) -> None:
    assert activate(alice) is False
    assert staff.change_role(user_id=alice.pk, role=Role.USER, origin=OPERATOR) is False

    assert api.me(hers["accessToken"]).status == HTTPStatus.OK
    assert told(alice) == []


def test_for_nobody_nothing_is_done() -> None:
    nobody = User(pk=uuid4())

    assert [deactivate(nobody), activate(nobody), promote(nobody)] == [False] * 3
    assert not Event.objects.exists()


def test_the_next_token_tells_the_new_role(api: Api, alice: User) -> None:
    promote(alice)

    token = api.login(alice.email).data["accessToken"]

    assert jwt.decode(token, options={"verify_signature": False})["role"] == "admin"
    assert api.me(token).data["role"] == "admin"


@pytest.mark.django_db(transaction=True)
def test_no_sign_in_of_the_same_moment_survives_a_deactivation(api: Api) -> None:
    for number in range(5):
        user = enrol(f"person{number}@example.org")

        def grant(user: User = user) -> str | None:
            try:
                issued = signin.grant(
                    user, amr=["pwd"], device=Presented(), origin=OPERATOR, password_hash=user.password
                )
            except InvalidCredentials:
                return None
            return issued.access_token

        off: Callable[[], object] = partial(deactivate, user)
        deeds: list[Callable[[], object]] = [*[grant] * 6, off]

        *granted, _switched_off = at_once(deeds)

        for token in filter(None, granted):
            assert refused(api.me(str(token))) == "invalid_token"
        assert not Session.objects.filter(user=user, ended_at__isnull=True).exists()
