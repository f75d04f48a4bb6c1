"""What ends a session ends its tokens, at the next request, on every node."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from threading import Event as Signal
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.models import Role, User
from accounts.services import lifecycle, signin, staff
from audit.origin import Origin
from authsvc.tokens.models import EndReason, Session
from authsvc.tokens.services import sessions
from authsvc.tokens.services.known_devices import Presented
from tests.cast import V1, Api
from tests.crowd import at_once
from tests.lineage import Tokens, refused

pytestmark = pytest.mark.django_db

OPERATOR = Origin.system("tests")


def _session(**columns: object) -> Callable[[User], object]:
    return lambda user: Session.objects.filter(user=user).update(**columns)


def _user(**columns: object) -> Callable[[User], object]:
    return lambda user: User.objects.filter(pk=user.pk).update(**columns)


REVOCATIONS: dict[str, Callable[[User], object]] = {
    "session ended": _session(ended_at=timezone.now(), end_reason="staff"),
    "session ended by a clock ahead of ours": _session(ended_at=timezone.now() + timedelta(days=1)),
    "session gone": lambda user: Session.objects.filter(user=user).delete(),
    "stamp of the session behind the user's": _session(stamp=uuid4()),
    "stamp changed": _user(stamp=uuid4()),
    "user deactivated": _user(is_active=False),
    "user deleted": lambda user: user.delete(),
    "all sessions ended": lambda user: sessions.end_all(user=user, reason=EndReason.LOGOUT_ALL, origin=OPERATOR),
    "account switched off": lambda user: lifecycle.deactivate(user_id=user.pk, origin=OPERATOR),
    "role changed": lambda user: staff.change_role(user_id=user.pk, role=Role.ADMIN, origin=OPERATOR),
    "sessions revoked by staff": lambda user: staff.revoke_sessions(email=user.email, origin=OPERATOR),
}


@pytest.fixture
def hers(api: Api, alice: User) -> Tokens:
    tokens: Tokens = api.login(alice.email).data
    return tokens


@pytest.fixture
def bobs(api: Api, bob: User) -> Tokens:
    tokens: Tokens = api.login(bob.email).data
    return tokens


@pytest.mark.parametrize("revocation", REVOCATIONS)
def test_nothing_of_a_session_works_once_it_is_revoked(
    api: Api, alice: User, hers: Tokens, bobs: Tokens, revocation: str
) -> None:
    assert api.me(hers["accessToken"]).status == HTTPStatus.OK
    second = api.refresh(hers["refreshToken"]).data

    REVOCATIONS[revocation](alice)

    answers = [
        *(api.me(tokens["accessToken"]) for tokens in (hers, second)),
        *(api.refresh(tokens["refreshToken"]) for tokens in (hers, second)),
        api.patch(f"{V1}/users/me", {"name": "Mallory"}, token=second["accessToken"]),
        api.post(f"{V1}/auth/logout-all", token=second["accessToken"]),
    ]
    assert [refused(answer) for answer in answers] == ["invalid_token"] * 6
    assert not User.objects.filter(name="Mallory").exists()
    assert api.me(bobs["accessToken"]).status == HTTPStatus.OK
    assert api.refresh(bobs["refreshToken"]).status == HTTPStatus.OK


@pytest.mark.parametrize("revocation", ["user deleted", "session gone"])
def test_signing_out_of_what_is_gone_is_no_failure(api: Api, alice: User, hers: Tokens, revocation: str) -> None:
    REVOCATIONS[revocation](alice)

    assert api.post(f"{V1}/auth/logout", token=hers["accessToken"]).status == HTTPStatus.OK
    assert refused(api.post(f"{V1}/auth/logout", {"refreshToken": hers["refreshToken"]})) == "invalid_token"


def test_an_account_switched_on_again_does_not_bring_back_what_its_stamp_ended(
    api: Api, alice: User, hers: Tokens
) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False, stamp=uuid4())
    assert refused(api.me(hers["accessToken"])) == "invalid_token"

    User.objects.filter(pk=alice.pk).update(is_active=True)

    assert refused(api.me(hers["accessToken"])) == "invalid_token"
    assert refused(api.refresh(hers["refreshToken"])) == "invalid_token"


def test_access_is_judged_anew_at_every_request(api: Api, alice: User, hers: Tokens) -> None:
    seen = []
    for active in (True, False) * 10:
        User.objects.filter(pk=alice.pk).update(is_active=active)
        seen.append(api.me(hers["accessToken"]).status)

    assert seen == [HTTPStatus.OK, HTTPStatus.UNAUTHORIZED] * 10


def test_an_address_registered_again_inherits_nothing(api: Api, alice: User, hers: Tokens) -> None:
    alice.delete()

    again = api.register("alice@example.org")

    assert again.status == HTTPStatus.CREATED
    assert again.data["id"] != str(alice.id)
    assert refused(api.me(hers["accessToken"])) == "invalid_token"
    assert refused(api.refresh(hers["refreshToken"])) == "invalid_token"


def test_who_signs_in_next_in_the_same_browser_gets_another_session(api: Api, alice: User, bob: User) -> None:
    hers = api.login(alice.email).data
    api.post(f"{V1}/auth/logout", token=hers["accessToken"])

    his = api.login(bob.email).data

    assert his["session"]["id"] != hers["session"]["id"]
    assert refused(api.me(hers["accessToken"])) == "invalid_token"
    assert refused(api.refresh(hers["refreshToken"])) == "invalid_token"
    assert api.me(his["accessToken"]).data["id"] == str(bob.id)


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_no_reader_gets_through_after_a_hundred_times_switching_off(alice: User) -> None:
    over: set[str] = set()
    current = [""]
    done = Signal()
    let_through: list[str] = []
    answered = [0, 0]

    def read() -> None:
        api = Api()
        while not done.wait(0.005):  # three that never rest would leave the processor to nobody else
            token = current[0]
            was_over = token in over
            status = api.me(token).status
            answered[status == HTTPStatus.OK] += 1
            if was_over and status == HTTPStatus.OK:
                let_through.append(token)

    def toggle() -> None:
        try:
            for _ in range(100):
                user = User.objects.get(pk=alice.pk)
                grant = partial(signin.grant, user, amr=["pwd"], device=Presented(), origin=OPERATOR)
                current[0] = grant(password_hash=user.password).access_token
                assert Api().me(current[0]).status == HTTPStatus.OK
                lifecycle.deactivate(user_id=alice.pk, origin=OPERATOR)
                over.add(current[0])
                assert refused(Api().me(current[0])) == "invalid_token"
                lifecycle.activate(user_id=alice.pk, origin=OPERATOR)
                assert refused(Api().me(current[0])) == "invalid_token"
        finally:
            done.set()

    at_once([read, read, read, toggle])

    assert len(over) == 100
    assert let_through == []
    assert min(answered) > 10
