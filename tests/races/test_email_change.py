"""Changes of address that happen in the same moment as each other, as their undo, or as a registration."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from http import HTTPStatus

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from authsvc.tokens.models import OneTimeToken, Purpose, Session
from tests.cast import OTHER_PASSWORD, V1, Answer, Api, post_round
from tests.crowd import at_once
from tests.ledger import events
from tests.lineage import Tokens

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

ALICE, NEW, NEWER = "alice@example.org", "alice.king@example.org", "alice.queen@example.org"


@pytest.fixture(autouse=True)
def _patient(settings: Settings) -> None:
    """What is measured is who wins, not how fast this machine hashes."""
    settings.HASH_WAIT_SECONDS = 30


def ask(api: Api, tokens: Tokens, address: str = NEW) -> Answer:
    return api.post(f"{V1}/users/me/email", {"newEmail": address}, token=tokens["accessToken"])


def links(api: Api, email: str, address: str = NEW) -> tuple[str, str]:
    """Ask for an address as somebody; return the tokens of the confirmation and of the undo."""
    tokens = api.login(email).data
    post_round()
    assert ask(api, tokens, address).status == HTTPStatus.ACCEPTED
    link, notice = post_round()
    return link.token, notice.token


def confirm(api: Api, token: str) -> bool:
    """Follow a confirmation; tell whether it was good."""
    return good(api.post(f"{V1}/auth/email/confirm", {"token": token}))


def undo(api: Api, token: str) -> bool:
    """Follow an undo; tell whether it was good."""
    return good(api.post(f"{V1}/auth/email/undo", {"token": token}))


def good(answer: Answer) -> bool:
    if answer.status != HTTPStatus.OK:
        assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {"token": "invalid_token"})
    return answer.status == HTTPStatus.OK


def test_one_link_followed_fifty_times_at_once_changes_the_address_once(api: Api, alice: User) -> None:
    link, _undo = links(api, ALICE)

    outcomes = at_once([partial(confirm, api, link)] * 50)

    assert outcomes.count(True) == 1
    assert User.objects.get(pk=alice.pk).email == NEW
    assert Counter(events())["account.email.changed"] == 1
    assert Counter(events())["account.email.change_refused"] == 0


def test_one_undo_followed_twenty_times_at_once_works_once(api: Api, alice: User) -> None:
    link, back = links(api, ALICE)
    confirm(api, link)

    outcomes = at_once([partial(undo, api, back)] * 20)

    assert outcomes.count(True) == 1
    assert User.objects.get(pk=alice.pk).email == ALICE
    assert Counter(events())["account.email.change_undone"] == 1


@pytest.mark.parametrize("_round", range(5))
def test_an_undo_beats_the_confirmation_of_the_same_moment(api: Api, alice: User, _round: int) -> None:
    link, back = links(api, ALICE)

    _confirmed, undone = at_once([partial(confirm, api, link), partial(undo, api, back)])

    user = User.objects.get(pk=alice.pk)
    assert undone
    assert (user.email, user.has_usable_password()) == (ALICE, False)
    assert not confirm(api, link)
    assert Session.objects.live_of(user).count() == 0


@pytest.mark.parametrize("_round", range(5))
def test_an_undo_leaves_nothing_of_a_request_of_the_same_moment(api: Api, alice: User, _round: int) -> None:
    _link, back = links(api, ALICE)
    tokens = api.login(ALICE).data

    asked, undone = at_once([lambda: ask(api, tokens, NEWER).status, lambda: undo(api, back)])

    assert asked in {HTTPStatus.ACCEPTED, HTTPStatus.UNAUTHORIZED}
    assert undone is True
    assert not OneTimeToken.objects.filter(user=alice, consumed_at__isnull=True).exists()


@pytest.mark.parametrize("_round", range(5))
def test_of_two_undos_at_once_the_earlier_one_decides(api: Api, alice: User, _round: int) -> None:
    link, first = links(api, ALICE, NEW)
    confirm(api, link)
    link, second = links(api, NEW, NEWER)
    confirm(api, link)

    undone, _also = at_once([partial(undo, api, first), partial(undo, api, second)])

    assert undone
    assert User.objects.get(pk=alice.pk).email == ALICE
    assert not undo(api, second)


@pytest.mark.parametrize("_round", range(5))
def test_of_two_people_who_confirm_one_address_at_once_one_gets_it(
    api: Api, alice: User, bob: User, _round: int
) -> None:
    pairs = [links(api, user.email) for user in (alice, bob)]

    outcomes = at_once([partial(confirm, api, link) for link, _undo in pairs])

    assert sorted(outcomes) == [False, True]
    winner, loser = (alice, bob) if outcomes[0] else (bob, alice)
    assert User.objects.get(email=NEW).pk == winner.pk
    assert User.objects.get(pk=loser.pk).email == loser.email
    assert Counter(events())["account.email.change_refused"] == 1
    assert api.login(loser.email).status == HTTPStatus.OK


@pytest.mark.parametrize("_round", range(5))
def test_an_address_registered_while_it_is_confirmed_has_one_account(api: Api, alice: User, _round: int) -> None:
    link, _undo = links(api, ALICE)

    confirmed, registered = at_once(
        [lambda: confirm(api, link), lambda: api.register(NEW, OTHER_PASSWORD).status == HTTPStatus.CREATED]
    )

    assert registered
    owner = User.objects.get(email=NEW)
    assert (owner.pk == alice.pk) is confirmed
    assert User.objects.get(pk=alice.pk).email == (NEW if confirmed else ALICE)
    assert confirmed or confirm(api, link)  # a registration nobody verified gives way, if not at once then next time


@pytest.mark.parametrize("_round", range(5))
def test_an_address_that_is_given_up_at_this_moment_is_nobody_s(api: Api, alice: User, _round: int) -> None:
    link, back = links(api, ALICE)

    def register() -> bool:
        return api.register(ALICE, OTHER_PASSWORD).status == HTTPStatus.CREATED

    deeds: list[Callable[[], bool]] = [partial(confirm, api, link), *[register] * 5]
    outcomes = at_once(deeds)

    assert outcomes == [True] * 6
    assert not User.objects.filter(email=ALICE).exists()
    assert undo(api, back)
    assert User.objects.get(email=ALICE).pk == alice.pk


def test_requests_of_one_person_at_once_leave_one_good_link(api: Api, alice: User) -> None:
    tokens = api.login(ALICE).data
    post_round()

    answers = at_once([partial(ask, api, tokens, f"alice{number}@example.org") for number in range(8)])

    assert {answer.status for answer in answers} == {HTTPStatus.ACCEPTED}
    found = [letter.token for letter in post_round() if letter.to != ALICE]
    assert len(found) == 8
    assert OneTimeToken.objects.filter(purpose=Purpose.CONFIRM_EMAIL, consumed_at__isnull=True).count() == 1
    assert [confirm(api, token) for token in found].count(True) == 1
    assert User.objects.filter(email__startswith="alice").count() == 1
