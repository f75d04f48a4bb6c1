"""Several hands on the signing keys at once: one key signs and one is next afterwards, whoever was first."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from http import HTTPStatus

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from audit.models import Event
from audit.origin import Origin
from authsvc.tokens.models import SigningKey
from authsvc.tokens.services import keys
from authsvc.tokens.services.keys import KeyRing, Rotation, ring
from tests.cast import Api
from tests.crowd import at_once
from tests.key_rotation import key, kids, ripen

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

MANY = 8
ORIGIN = Origin.system("tests")
rotate = partial(keys.rotate, origin=ORIGIN)


def assert_in_order(*, retired: int) -> None:
    """One key signs, one is next, so many are retired, and the log tells of each hand-over."""
    states = Counter(SigningKey.objects.values_list("state", flat=True))
    assert states == Counter({"active": 1, "next": 1, "retired": retired})
    assert Event.objects.filter(action="keys.rotated").count() == retired
    assert KeyRing().signing().kid == key("active").kid


def test_of_many_rotations_at_once_one_rotates_and_the_others_are_too_early() -> None:
    ring.signing()
    old, following = key("active").kid, key("next").kid
    ripen()

    results = at_once([rotate] * MANY)

    (done,) = [result for result in results if result.rotated]
    assert (done.active, done.next) == (following, key("next").kid)
    for result in results:
        assert (result.active, result.next) == (done.active, done.next)
        assert (result.ready_at is None) is (result is done)
    assert kids("retired") == {old}
    assert_in_order(retired=1)


def test_many_rotations_after_a_leak_follow_one_another() -> None:
    ring.signing()

    results = at_once([partial(rotate, at_once=True)] * MANY)

    assert all(result.rotated for result in results)
    assert len({result.active for result in results}) == MANY
    assert key("active").kid in {result.active for result in results}
    assert_in_order(retired=MANY)


def test_rotations_of_both_kinds_and_the_clock_at_once() -> None:
    ring.signing()
    ripen()
    SigningKey.objects.filter(state="active").update(activated_at=timezone.now() - timedelta(days=31))
    clock: Callable[[], Rotation | None] = partial(keys.keep, origin=ORIGIN)
    deeds: list[Callable[[], Rotation | None]] = [rotate, partial(rotate, at_once=True), clock]

    results = at_once(deeds * 3)

    leaks = results[1::3]
    assert all(result is not None and result.rotated for result in leaks)
    assert_in_order(retired=len(kids("retired")))
    assert 3 <= len(kids("retired")) <= 4  # one more where something came before the first leak


def test_a_change_of_algorithm_by_many_clocks_at_once_publishes_one_next_key(settings: Settings) -> None:
    ring.signing()
    active, replaced = key("active").kid, key("next").kid
    settings.JWT_ALGORITHM = "EdDSA"

    at_once([partial(keys.keep, origin=ORIGIN)] * MANY)

    assert key("active").kid == active
    assert key("next").algorithm == "EdDSA"
    assert replaced not in kids()
    assert_in_order(retired=0)


def test_many_first_hands_make_one_pair() -> None:
    results = at_once([rotate] * MANY)

    assert {(result.rotated, result.active, result.next) for result in results} == {
        (False, key("active").kid, key("next").kid)
    }
    assert_in_order(retired=0)


def test_nobody_is_refused_while_keys_rotate_in_the_same_process(api: Api, alice: User) -> None:
    """In embedded mode the clock runs beside the requests: the ring forgets while they use it."""
    tokens = api.login(alice.email).data
    wrong: list[object] = []

    def ask() -> None:
        for _ in range(25):
            answer = api.me(tokens["accessToken"])
            if answer.status != HTTPStatus.OK:
                wrong.append(answer)

    def forget() -> None:
        for _ in range(400):
            ring.forget()

    def rotate_often() -> None:
        for _ in range(4):
            ripen()
            rotate()

    at_once([ask, ask, ask, forget, forget, rotate_often])

    assert wrong == []
    assert_in_order(retired=4)
