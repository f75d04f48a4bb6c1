"""What the kills find: that nothing is broken, and that they would notice."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest

from deploy.faults.kills import held
from deploy.faults.ledger import Breach, Census, Deed, Flaw, Person, Stored, judge, judge_all
from deploy.stack import ROOT

OLD, NEW = "old-Horse-7-battery", "new-Horse-8-stapler"
DONE = {Deed.REGISTER: 1, Deed.VERIFY: 1, Deed.SIGN_IN: 1, Deed.FORGOT: 1}
ADA = Stored(
    accounts=1, events=DONE, verification_mails=1, reset_mails=1, unused_reset_links=1, fitting=frozenset({OLD})
)
CHANGED = replace(ADA, events={**DONE, Deed.CHANGE: 1}, password_mails=1, fitting=frozenset({NEW}))
RESET = replace(CHANGED, events={**DONE, Deed.RESET: 1}, unused_reset_links=0)
ALL = Census(accounts=3, registrations=3, links=5, mails_with_link=5, passwords_set=2, password_mails=2)


def ada(opened: Deed | None = None, **done: int) -> Person:
    """Somebody who was told that all of `DONE` is done, but for `done`; with a request open."""
    acknowledged = Counter({**DONE, **{Deed[name]: count for name, count in done.items()}})
    person = Person("ada@example.org", OLD, acknowledged)
    if opened is not None:
        person.begin(opened, password=NEW if opened in {Deed.CHANGE, Deed.RESET} else None)
    return person


def flaws(person: Person, stored: Stored) -> list[Flaw]:
    return [breach.flaw for breach in judge(person, stored)]


def test_what_was_acknowledged_and_is_there_breaks_nothing() -> None:
    assert flaws(ada(), ADA) == []


@pytest.mark.parametrize("deed", [Deed.REGISTER, Deed.VERIFY, Deed.SIGN_IN, Deed.FORGOT])
def test_an_acknowledged_write_that_is_not_there_is_lost(deed: Deed) -> None:
    assert Flaw.LOST in flaws(ada(), replace(ADA, events={**DONE, deed: 0}))


def test_an_acknowledged_account_that_is_not_there_is_lost() -> None:
    assert set(flaws(ada(), Stored())) == {Flaw.LOST}


@pytest.mark.parametrize("deed", [Deed.VERIFY, Deed.SIGN_IN])
def test_what_was_done_once_more_than_it_was_asked_for_is_duplicated(deed: Deed) -> None:
    assert flaws(ada(), replace(ADA, events={**DONE, deed: 2})) == [Flaw.DUPLICATED]


def test_a_second_mail_for_one_registration_is_duplicated() -> None:
    assert flaws(ada(), replace(ADA, verification_mails=2)) == [Flaw.DUPLICATED]


def test_an_account_needs_its_mail_and_a_mail_its_account() -> None:
    asked = Person("ada@example.org", OLD)
    asked.begin(Deed.REGISTER)
    alone = Stored(accounts=1, events={Deed.REGISTER: 1}, fitting=frozenset({OLD}))

    assert flaws(asked, Stored()) == []
    assert flaws(asked, replace(alone, verification_mails=1)) == []
    assert flaws(asked, alone) == [Flaw.WITHOUT_MAIL]
    assert flaws(asked, Stored(verification_mails=1)) == [Flaw.FOR_NOBODY]


@pytest.mark.parametrize(("opened", "done"), [(Deed.CHANGE, CHANGED), (Deed.RESET, RESET)])
def test_a_change_that_was_cut_off_is_done_or_not_done(opened: Deed, done: Stored) -> None:
    assert flaws(ada(opened), ADA) == []
    assert flaws(ada(opened), done) == []


@pytest.mark.parametrize(
    "half",
    [
        {"fitting": frozenset()},
        {"fitting": frozenset({OLD, NEW})},
        {"fitting": frozenset({OLD})},
        {"password_mails": 0},
        {"stale_sessions": 1},
        {"events": DONE},
    ],
    ids=["neither", "both", "the old one", "no mail", "an old session", "no event"],
)
@pytest.mark.parametrize(("opened", "done"), [(Deed.CHANGE, CHANGED), (Deed.RESET, RESET)])
def test_a_half_changed_password_is_noticed(opened: Deed, done: Stored, half: Mapping[str, object]) -> None:
    assert set(flaws(ada(opened), replace(done, **half))) == {Flaw.HALF_DONE}  # type: ignore[arg-type]


def test_a_reset_uses_its_link_and_a_reset_undone_leaves_it() -> None:
    assert flaws(ada(Deed.RESET), replace(RESET, unused_reset_links=1)) == [Flaw.HALF_DONE]
    assert flaws(ada(Deed.RESET), replace(ADA, unused_reset_links=0)) == [Flaw.HALF_DONE]


def test_the_ledger_goes_on_from_what_became_of_the_open_request() -> None:
    done, undone = ada(Deed.CHANGE), ada(Deed.CHANGE)

    assert (done.settle(CHANGED), undone.settle(ADA)) == (True, False)

    assert (done.password, done.acknowledged[Deed.CHANGE], done.open) == (NEW, 1, None)
    assert (undone.password, undone.acknowledged[Deed.CHANGE], undone.open) == (OLD, 0, None)
    assert set(flaws(done, ADA)) == {Flaw.LOST, Flaw.HALF_DONE}
    assert set(flaws(undone, CHANGED)) == {Flaw.DUPLICATED, Flaw.HALF_DONE}


def test_a_refused_request_must_leave_nothing() -> None:
    refused = ada(Deed.CHANGE)
    refused.fail()

    assert flaws(refused, ADA) == []
    assert set(flaws(refused, CHANGED)) == {Flaw.DUPLICATED, Flaw.HALF_DONE}


@pytest.mark.parametrize(
    ("wrong", "flaw"),
    [
        ({"accounts_without_mail": 1}, Flaw.WITHOUT_MAIL),
        ({"mails_for_nobody": 1}, Flaw.FOR_NOBODY),
        ({"stale_sessions": 1}, Flaw.HALF_DONE),
        ({"registrations": 4}, Flaw.HALF_DONE),
        ({"links": 4}, Flaw.HALF_DONE),
        ({"password_mails": 1}, Flaw.HALF_DONE),
    ],
)
def test_numbers_about_everybody_must_agree(wrong: Mapping[str, int], flaw: Flaw) -> None:
    assert list(judge_all(ALL)) == []
    assert [breach.flaw for breach in judge_all(replace(ALL, **wrong))] == [flaw]


def test_the_words_of_a_breach_hold_no_password() -> None:
    breaches: list[Breach] = list(judge(ada(Deed.CHANGE), replace(CHANGED, fitting=frozenset())))

    assert breaches
    assert not [breach for breach in breaches if OLD in breach.words or NEW in breach.words]


@pytest.mark.parametrize("name", ["errors", *map(str, Flaw)])
def test_one_flaw_or_error_is_a_failure(name: str) -> None:
    nothing = {"errors": 0, **{str(flaw): 0 for flaw in Flaw}}

    assert held(nothing)
    assert not held({**nothing, name: 1})


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_a_few_kills_break_nothing_and_are_told_in_one_line(database: str) -> None:
    bare = {"PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "deploy.faults", "--kills", "2", "--seed", "7", "--database", database]

    done = subprocess.run(command, cwd=ROOT, env=bare, capture_output=True, text=True, timeout=90, check=False)

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["database"], told["seed"], told["kills"], told["errors"]) == (database, 7, 2, 0)
    assert [told[str(flaw)] for flaw in Flaw] == [0] * len(Flaw)
    assert told["requests"] > told["cut_off"] > 0
