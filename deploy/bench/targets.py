"""What the service is to reach, and whether one run shows it."""

from collections.abc import Iterator
from dataclasses import dataclass

from deploy.bench.figures import Figures, Row, Spread
from deploy.bench.growth import LOADS
from deploy.bench.speed import BARE, HASHES_BESIDE, START, WEB_MEMORY

SERVICE, DJ_REST_AUTH, DJOSER = "authsvc", "dj-rest-auth", "djoser"
MIB = 1024 * 1024
GROWTH_FACTOR = 1.3


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target beside what was measured."""

    workload: str
    target: str
    measured: str
    holds: bool
    certain: bool = True


def of_speed(figures: Figures) -> list[Verdict]:
    """Return a verdict for each target whose loads were measured without a failure."""
    return [*_me(figures), *_hashing(figures), *_refresh(figures), *_beside(figures), *_process(figures)]


def of_growth(figures: Figures, small: str, large: str) -> list[Verdict]:
    """Return a verdict for each load: ranges that overlap, or at most 1.3 times as slow."""
    verdicts = []
    for load in LOADS:
        before, after = figures.row(load, small), figures.row(load, large)
        if before and after:
            factor = before.rate.middle / after.rate.middle
            overlap = before.rate.overlaps(after.rate)
            measured = f"{factor:.2f} x, ranges {'overlap' if overlap else 'do not overlap'}"
            target = f"ranges overlap, or ≤ {GROWTH_FACTOR} x as slow"
            verdicts.append(Verdict(load, target, measured, overlap or factor <= GROWTH_FACTOR))
    return verdicts


def _me(figures: Figures) -> Iterator[Verdict]:
    ours = figures.row("W1c8", SERVICE)
    if ours is None:
        return
    yield from _times(ours, figures.row("W1c8", DJ_REST_AUTH), 3.0)
    app = ours.microseconds("app").middle
    yield Verdict("W1c8", "app ≤ 370 µs", f"{app:.0f} µs", app <= 370)  # noqa: PLR2004


def _hashing(figures: Figures) -> Iterator[Verdict]:
    for load, least, factor in (("W2", 0.85, 8.0), ("W5", 0.85, 8.0), ("W4", 0.80, None)):
        ours = figures.row(load, SERVICE)
        share = figures.shares(ours, HASHES_BESIDE) if ours else None
        if ours is None or share is None:
            continue
        target = f"≥ {least:.0%} of the bare hash by {BARE} beside it"
        yield Verdict(load, target, f"{share.middle:.0%} ({share.low:.0%}-{share.high:.0%})", share.middle >= least)
        if factor is not None:
            yield from _times(ours, figures.row(load, DJ_REST_AUTH), factor)
            yield from _times(ours, figures.row(load, DJOSER), factor)


def _refresh(figures: Figures) -> Iterator[Verdict]:
    ours = figures.row("W3", SERVICE)
    if ours is not None:
        yield from _times(ours, figures.row("W3", DJ_REST_AUTH), 3.5)


def _beside(figures: Figures) -> Iterator[Verdict]:
    me, sign_ins = figures.row("W7 me", SERVICE), figures.row("W7 sign-ins", SERVICE)
    if me is None or sign_ins is None:
        return
    yield Verdict("W7", "`me` p95 < 50 ms", f"{me.p95.middle * 1000:.1f} ms", me.p95.middle < 0.050)  # noqa: PLR2004
    yield Verdict("W7", "`me` ≥ 300/s", f"{me.rate.middle:.0f}/s", me.rate.middle >= 300)  # noqa: PLR2004
    rate = sign_ins.rate.middle
    yield Verdict("W7", "sign-ins ≥ 50/s beside it", f"{rate:.0f}/s", rate >= 50)  # noqa: PLR2004


def _process(figures: Figures) -> Iterator[Verdict]:
    start, memory = figures.spread(START, SERVICE), figures.spread(WEB_MEMORY, SERVICE)
    if start is not None:
        yield Verdict("W6", "first 200 within 1.5 s", f"{start.middle:.2f} s", start.middle <= 1.5)  # noqa: PLR2004
    if memory is not None:
        held = memory.middle / MIB
        yield Verdict("W6", "two web workers ≤ 220 MiB PSS", f"{held:.0f} MiB", held <= 220)  # noqa: PLR2004


def _times(ours: Row, theirs: Row | None, factor: float) -> Iterator[Verdict]:
    """Hold our rate against a peer's; a lead is certain where the ranges don't overlap."""
    if theirs is not None:
        ratio = ours.rate.middle / theirs.rate.middle
        apart = not ours.rate.overlaps(theirs.rate)
        yield Verdict(ours.workload, f"≥ {factor:g} x {theirs.system}", f"{ratio:.2f} x", ratio >= factor, apart)


def ratio(ours: Spread, theirs: Spread) -> str:
    """Return how many times as much ours is, and whether the ranges leave doubt."""
    doubt = " (ranges overlap)" if ours.overlaps(theirs) else ""
    return f"{ours.middle / theirs.middle:.2f} x{doubt}"
