"""The road of all walkers: it can be closed, and tells who is on it and what they met."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition

from deploy.faults.ledger import Breach, Deed, Person


class Over(Exception):
    """The traffic has ended: whoever is on the road goes home."""


@dataclass(slots=True)
class Tally:
    """What all walkers met."""

    requests: int = 0
    refused: int = 0
    interrupted: int = 0
    late_refreshes: int = 0
    errors: list[str] = field(default_factory=list)
    breaches: list[Breach] = field(default_factory=list)


class Traffic:
    """One for all walkers and whoever kills. `tally` and `people` change under its lock."""

    def __init__(self, *, walkers: int) -> None:
        """Open the road for a number of walkers."""
        self.tally = Tally()
        self.people: list[Person] = []
        self._walkers = walkers
        self._lock = Condition()
        self._waiting = 0
        self._is_closed = self._is_over = False
        self._settlements = 0
        self._sent: Counter[Deed] = Counter()
        self._usual: dict[Deed, float] = {}

    def enter(self) -> None:
        """Wait while the road is closed. Raises `Over`."""
        with self._lock:
            self._wait(lambda: not self._is_closed)

    def await_settlement(self) -> None:
        """Wait until somebody has looked what became of an interrupted request. Raises `Over`."""
        with self._lock:
            self.tally.interrupted += 1
            before = self._settlements
            self._wait(lambda: self._settlements > before and not self._is_closed)

    def close(self) -> None:
        """Let nobody start another request."""
        with self._lock:
            self._is_closed = True

    def is_quiet(self, *, within: float) -> bool:
        """Return when every walker waits; false where one still does not after so many seconds."""
        with self._lock:
            return self._lock.wait_for(lambda: self._waiting == self._walkers, timeout=within)

    def open(self) -> None:
        """Let everybody go on: what was interrupted is settled."""
        with self._lock:
            self._is_closed = False
            self._settlements += 1
            self._lock.notify_all()

    def end(self) -> None:
        """Send everybody home."""
        with self._lock:
            self._is_over = True
            self._lock.notify_all()

    def arrive(self, person: Person) -> None:
        """Note a new person."""
        with self._lock:
            self.people.append(person)

    def note_sent(self, deed: Deed) -> None:
        """Note that a request is under way."""
        with self._lock:
            self.tally.requests += 1
            self._sent[deed] += 1
            self._lock.notify_all()

    def note_answer(self, deed: Deed, seconds: float) -> None:
        """Note how long an answer took."""
        with self._lock:
            self._usual[deed] = 0.8 * self._usual.get(deed, seconds) + 0.2 * seconds

    def note(self, *, refused: int = 0, late: int = 0, error: str = "", breach: Breach | None = None) -> None:
        """Add to the tally."""
        with self._lock:
            self.tally.refused += refused
            self.tally.late_refreshes += late
            self.tally.errors += [error] if error else []
            self.tally.breaches += [breach] if breach else []

    def usual_seconds(self, deed: Deed) -> float:
        """Return how long such a request takes of late."""
        with self._lock:
            return self._usual.get(deed, 0.05)

    def wait_for(self, deed: Deed, *, within: float) -> None:
        """Return when somebody sends such a request, or after so many seconds."""
        with self._lock:
            before = self._sent[deed]
            self._lock.wait_for(lambda: self._sent[deed] > before, timeout=within)

    def _wait(self, condition: Callable[[], bool]) -> None:
        self._waiting += 1
        self._lock.notify_all()
        self._lock.wait_for(lambda: self._is_over or condition())
        self._waiting -= 1
        if self._is_over:
            raise Over
