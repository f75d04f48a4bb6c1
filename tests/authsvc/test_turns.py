"""Turns at heavy work, in one process and between those of a server."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from authsvc import turns
from tests.siblings import PATIENCE_SECONDS, Sibling, siblings

TOO_SHORT_SECONDS = 0.3


@pytest.fixture
def pair() -> Iterator[tuple[Sibling, Sibling]]:
    """Two processes with one turn each."""
    with siblings(2) as (one, other):
        yield one, other


def take_both(one: Sibling) -> None:
    """Have a process of a pair take its own turn, and borrow that of the other."""
    for name in ("own", "borrowed"):
        one.take(name)
        assert one.has(name)


def test_a_process_alone_has_its_own_turns_and_no_more() -> None:
    with siblings(1) as (alone,):
        alone.take("first")
        assert alone.has("first")
        alone.take("second")

        assert not alone.has("second")
        alone.give_back("first")
        assert alone.comes_to_have("second")


def test_who_has_all_the_work_borrows_from_who_has_none(pair: tuple[Sibling, Sibling]) -> None:
    busy, _idle = pair
    take_both(busy)
    busy.take("third")

    assert not busy.has("third")
    busy.give_back("borrowed")
    assert busy.comes_to_have("third")


def test_what_the_owner_wants_comes_back_after_one_piece_of_work(pair: tuple[Sibling, Sibling]) -> None:
    busy, owner = pair
    take_both(busy)
    busy.take("next", "last")
    owner.take("wanted")
    assert not owner.has("wanted")

    busy.give_back("borrowed")

    assert owner.comes_to_have("wanted")
    assert not busy.has("next")
    busy.give_back("own")
    assert busy.comes_to_have("next")


def test_nobody_borrows_what_its_owner_uses(pair: tuple[Sibling, Sibling]) -> None:
    one, other = pair
    one.take("its own")
    other.take("its own")
    assert one.has("its own")
    assert other.has("its own")

    one.take("more")
    other.take("more")

    assert not one.has("more")
    assert not other.has("more")
    other.give_back("its own")
    assert other.comes_to_have("more")
    other.give_back("more")
    assert one.comes_to_have("more")


def test_a_process_that_is_killed_leaves_its_turns(pair: tuple[Sibling, Sibling]) -> None:
    killed, left = pair
    take_both(killed)
    left.take("wanted")
    assert not left.has("wanted")

    killed.kill()

    assert left.comes_to_have("wanted")


def test_who_waits_for_a_frozen_sibling_is_refused_in_time(pair: tuple[Sibling, Sibling]) -> None:
    frozen, owner = pair
    take_both(frozen)
    frozen.signal(signal.SIGSTOP)

    owner.take("wanted", within=TOO_SHORT_SECONDS)
    owner.take("patient")

    assert owner.is_refused("wanted")
    frozen.give_back("borrowed")
    frozen.signal(signal.SIGCONT)
    assert owner.comes_to_have("patient")


def test_who_gives_up_leaves_the_turn_to_the_next() -> None:
    with siblings(1) as (alone,):
        alone.take("first")
        assert alone.has("first")
        alone.take("impatient", within=TOO_SHORT_SECONDS)
        assert alone.is_refused("impatient")
        alone.take("patient")

        alone.give_back("first")

        assert alone.comes_to_have("patient")


def test_a_borrower_finds_the_one_sibling_that_is_idle() -> None:
    for busy_one in (1, 2):
        with siblings(3) as crowd:
            crowd[busy_one].take("own")
            assert crowd[busy_one].has("own")
            crowd[0].take("own")
            assert crowd[0].has("own")

            crowd[0].take("more", within=1.0)

            assert crowd[0].comes_to_have("more")


def test_a_borrower_finds_the_one_turn_that_a_sibling_does_not_use() -> None:
    with siblings(2, turns_each=2) as (borrower, lender):
        lender.take("own")
        assert lender.has("own")
        borrower.take("own", "own too")
        assert borrower.has("own")
        assert borrower.has("own too")

        borrower.take("more", within=1.0)

        assert borrower.comes_to_have("more")


def test_nobody_borrows_from_the_dead(pair: tuple[Sibling, Sibling]) -> None:
    left, killed = pair
    killed.kill()
    left.take("own")
    assert left.has("own")

    left.take("more", within=TOO_SHORT_SECONDS)

    assert left.is_refused("more")


def test_three_processes_with_two_turns_each_are_at_six_works_and_never_at_more() -> None:
    with siblings(3, turns_each=2) as crowd:
        undone = [(one, f"work {number}") for number in range(6) for one in crowd]
        for one, name in undone:
            one.take(name)

        while undone:
            at_work = [(one, name) for one, name in undone if one.has(name)]

            assert len(at_work) == 6
            for one, name in at_work:
                one.give_back(name)
                undone.remove((one, name))


@pytest.mark.parametrize("file", [-1, 1_000_000], ids=["none", "gone"])
def test_where_the_shared_file_cannot_be_opened_a_process_has_its_own_turns(
    file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "_shared", [turns._Shared(file, processes=2, turns=2)])

    own, gate, inside = turns.of_this_process(2), Event(), Barrier(3)

    def hold() -> None:
        inside.wait(PATIENCE_SECONDS)
        gate.wait(PATIENCE_SECONDS)

    with ThreadPoolExecutor(2) as threads:
        holding = [threads.submit(own.run, hold, within=PATIENCE_SECONDS) for _ in range(2)]
        inside.wait(PATIENCE_SECONDS)
        with pytest.raises(turns.NoTurn):
            own.run(hold, within=0.05)
        gate.set()
        assert [held.result() for held in holding] == [None, None]


def test_what_the_work_raises_is_raised_where_it_was_asked_for() -> None:
    own = turns.Turns([turns.Turn()])

    def fail() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        own.run(fail, within=PATIENCE_SECONDS)
    assert own.run(lambda: "goes on", within=PATIENCE_SECONDS) == "goes on"
