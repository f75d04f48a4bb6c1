"""Kills at random moments, and what is found after each."""

import random
import statistics
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from deploy.faults import store
from deploy.faults.ledger import Breach, Deed, Flaw, Person, Stored, judge, judge_all
from deploy.faults.service import Service
from deploy.faults.traffic import Traffic
from deploy.faults.walkers import ANSWER_SECONDS, Walker

WALKERS = 4
FREE_SECONDS = 0.25
WAIT_SECONDS = 0.5
EARLY_SECONDS = 0.06
WRITE_SECONDS = 0.01
REPORT_EVERY = 25
QUIET_SECONDS = 2 * ANSWER_SECONDS
_TARGETS = (Deed.REGISTER, Deed.REGISTER, Deed.CHANGE, Deed.CHANGE, Deed.RESET, Deed.RESET, Deed.FORGOT, Deed.REFRESH)
# Who writes is known, but not in which process: only a kill of all is aimed at it.
_AIMS = ("soon", "late", "write", "write", "write")
_AIMS_AT_ONE = ("soon", "late", "late")


class Stuck(Exception):
    """A request was neither answered nor cut off."""


@dataclass(slots=True)
class Outcome:
    """What a run of kills came to."""

    kills: int = 0
    done_unheard: Counter[Deed] = field(default_factory=Counter)
    undone: Counter[Deed] = field(default_factory=Counter)
    recovery: list[float] = field(default_factory=list)
    breaches: list[Breach] = field(default_factory=list)


class Killer:
    """Lets people walk, kills in between, and holds the database against the ledger."""

    def __init__(self, service: Service, *, seed: int, report: Callable[[str], None]) -> None:
        """Get ready; `seed` chooses moments and victims."""
        self._service = service
        self._rng = random.Random(seed)  # noqa: S311 - moments of kills
        self._traffic = Traffic(walkers=WALKERS)
        self._outcome = Outcome()
        self._report = report

    def run(self, kills: int) -> dict[str, Any]:
        """Kill so often and return the figures. Raises `Stuck`, `deploy.local_servers.ServerFailed`."""
        began = time.monotonic()
        walkers = [Walker(self._traffic, self._service.port, self._rng.getrandbits(32)) for _ in range(WALKERS)]
        for walker in walkers:
            walker.start()
        try:
            for number in range(1, kills + 1):
                self._kill(number)
                if number % REPORT_EVERY == 0 or number == kills:
                    self._report(self._progress(number, kills))
            self._finish()
        finally:
            self._traffic.end()
        return self._figures(time.monotonic() - began)

    def _kill(self, number: int) -> None:
        """Kill in the middle of a request: each web process once, then the whole server, and so on."""
        kill_all = number % (self._service.processes + 1) == 0
        time.sleep(self._rng.uniform(0, FREE_SECONDS))
        self._aim(self._rng.choice(_TARGETS), self._rng.choice(_AIMS if kill_all else _AIMS_AT_ONE))
        self._traffic.close()
        seconds = self._service.kill_all() if kill_all else self._service.kill_worker()
        self._outcome.kills += 1
        self._outcome.recovery.append(seconds)
        self._look()
        self._traffic.open()

    def _aim(self, deed: Deed, aim: str) -> None:
        """Return soon after somebody sent such a request, when its answer is about due, or when somebody writes."""
        self._traffic.wait_for(deed, within=WAIT_SECONDS)
        usual = self._traffic.usual_seconds(deed)
        if aim == "soon":
            time.sleep(self._rng.uniform(0, EARLY_SECONDS))
        elif aim == "late":
            time.sleep(usual * self._rng.uniform(0.5, 1.1))
        else:
            time.sleep(usual * self._rng.uniform(0.3, 0.7))
            store.await_write(within=WAIT_SECONDS)
            time.sleep(self._rng.uniform(0, WRITE_SECONDS))

    def _look(self) -> None:
        """Judge everybody whose request was cut off, and the whole, then settle the ledger."""
        if not self._traffic.is_quiet(within=QUIET_SECONDS):
            raise Stuck(f"a request got no answer for {QUIET_SECONDS:.0f} s after a kill")
        store.settle()
        for person in self._traffic.people:
            if person.open is not None:
                deed, stored = person.open, store.stored(person.email, person.candidates)
                self._add(list(judge(person, stored)))
                counter = self._outcome.done_unheard if person.settle(stored) else self._outcome.undone
                counter[deed] += 1
        self._add(list(judge_all(store.census())))
        damage = store.damage()
        if damage:
            self._add([Breach(Flaw.DAMAGED, damage)])

    def _finish(self) -> None:
        """After the last kill, hold everything ever acknowledged against the database."""
        self._traffic.close()
        self._look()
        self._report(f"holding {len(self._traffic.people)} people against the ledger")
        with ThreadPoolExecutor(2) as pool:
            for person, stored in zip(self._traffic.people, pool.map(_stored, self._traffic.people), strict=True):
                self._add(list(judge(person, stored)))

    def _add(self, breaches: list[Breach]) -> None:
        for breach in breaches:
            if breach not in self._outcome.breaches:  # what is broken stays so, and is found again
                self._report(f"BROKEN {breach.flaw}: {breach.words}")
                self._outcome.breaches.append(breach)

    def _progress(self, number: int, kills: int) -> str:
        tally = self._traffic.tally
        return (
            f"{number} of {kills} kills, {tally.requests} requests, {tally.interrupted} cut off, "
            f"{len(self._outcome.breaches) + len(tally.breaches)} broken, {len(tally.errors)} errors"
        )

    def _figures(self, seconds: float) -> dict[str, Any]:
        tally, outcome = self._traffic.tally, self._outcome
        for error in tally.errors[:20]:
            self._report(f"ERROR {error}")
        for breach in tally.breaches:
            self._report(f"BROKEN {breach.flaw}: {breach.words}")
        broken = Counter(breach.flaw for breach in [*outcome.breaches, *tally.breaches])
        done: Counter[Deed] = sum((person.acknowledged for person in self._traffic.people), Counter())
        return {
            "kills": outcome.kills,
            "requests": tally.requests,
            "refused": tally.refused,
            "errors": len(tally.errors),
            "cut_off": tally.interrupted,
            "cut_off_but_done": outcome.done_unheard.total(),
            "cut_off_and_undone": outcome.undone.total(),
            "accounts": done[Deed.REGISTER],
            "passwords_set": done[Deed.CHANGE] + done[Deed.RESET],
            "refreshes": done[Deed.REFRESH],
            "late_refreshes": tally.late_refreshes,
            **{str(flaw): broken[flaw] for flaw in Flaw},
            "recovery_seconds": round(statistics.median(outcome.recovery), 2) if outcome.recovery else 0.0,
            "recovery_seconds_max": round(max(outcome.recovery, default=0.0), 2),
            "seconds": round(seconds),
        }


def held(figures: dict[str, Any]) -> bool:
    """Tell whether nothing was broken."""
    return not figures["errors"] and not any(figures[str(flaw)] for flaw in Flaw)


def _stored(person: Person) -> Stored:
    return store.stored(person.email, person.candidates)
