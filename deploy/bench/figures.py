"""What was measured: samples of one round each, and what several rounds say together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from deploy.bench.processor import Usage
from deploy.bench.wire import Tally

PARTS = ("app", "PostgreSQL", "Redis", "client")


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and range of several rounds."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of at least one value."""
        return cls(median(values), min(values), max(values))

    def overlaps(self, other: "Spread") -> bool:
        """Tell whether some value lies in both ranges."""
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True, slots=True)
class Sample:
    """One system under one workload in one round."""

    answered: int
    failed: int
    first_failure: str
    p95: float
    usage: Usage

    @classmethod
    def of(cls, tally: Tally, usage: Usage) -> "Sample":
        """Return what a tally comes to."""
        return cls(len(tally.seconds), tally.failed, tally.first_failure, tally.p95, usage)

    @property
    def rate(self) -> float:
        """Right answers per second."""
        return self.answered / self.usage.read_at

    def microseconds(self, part: str) -> float:
        """CPU time of a part for one right answer."""
        return self.usage.parts.get(part, 0.0) / max(1, self.answered) * 1e6


@dataclass(frozen=True, slots=True)
class Row:
    """One system under one workload in all rounds."""

    workload: str
    system: str
    samples: Sequence[Sample]

    @property
    def rate(self) -> Spread:
        """Right answers per second."""
        return Spread.of([sample.rate for sample in self.samples])

    @property
    def p95(self) -> Spread:
        """The 95th percentile of a round, in seconds."""
        return Spread.of([sample.p95 for sample in self.samples])

    @property
    def elsewhere(self) -> Spread:
        """CPUs that everything else on the machine kept busy."""
        return Spread.of([sample.usage.elsewhere for sample in self.samples])

    @property
    def failed(self) -> int:
        """Wrong answers: with a single one, the rates mean nothing."""
        return sum(sample.failed for sample in self.samples)

    @property
    def is_valid(self) -> bool:
        """Whether there was something to measure and nothing failed."""
        return self.failed == 0 and all(sample.answered for sample in self.samples)

    @property
    def first_failure(self) -> str:
        """An example of what went wrong."""
        return next((sample.first_failure for sample in self.samples if sample.first_failure), "no answer")

    def microseconds(self, part: str) -> Spread:
        """CPU time of a part for one right answer."""
        return Spread.of([sample.microseconds(part) for sample in self.samples])


@dataclass(slots=True)
class Figures:
    """Everything that the rounds of a run gave, by workload and system."""

    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)
    values: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def add_sample(self, workload: str, system: str, sample: Sample) -> None:
        """Keep what a load showed."""
        self.samples.setdefault((workload, system), []).append(sample)

    def add_value(self, name: str, system: str, value: float) -> None:
        """Keep what is one number a round."""
        self.values.setdefault((name, system), []).append(value)

    def rows(self, workload: str) -> list[Row]:
        """Return the rows of a workload, in the order of measurement."""
        return [Row(*key, samples) for key, samples in self.samples.items() if key[0] == workload]

    def row(self, workload: str, system: str) -> Row | None:
        """Return a row that was measured and is valid."""
        samples = self.samples.get((workload, system))
        row = Row(workload, system, samples) if samples else None
        return row if row is not None and row.is_valid else None

    def spread(self, name: str, system: str) -> Spread | None:
        """Return the spread of single numbers, where there are any."""
        values = self.values.get((name, system))
        return Spread.of(values) if values else None

    def shares(self, row: Row, limit: str) -> Spread | None:
        """Return what a row reaches of a limit that was measured beside it in each round, where it was."""
        limits = self.values.get((limit, row.workload))
        if limits is None:
            return None
        return Spread.of([sample.rate / most for sample, most in zip(row.samples, limits, strict=True)])

    def spreads(self, name: str) -> Mapping[str, Spread]:
        """Return the spreads of all systems."""
        return {system: Spread.of(values) for (kind, system), values in self.values.items() if kind == name}

    @property
    def are_valid(self) -> bool:
        """Whether no request failed anywhere."""
        return all(Row(*key, samples).is_valid for key, samples in self.samples.items())
