"""What a run says, as Markdown."""

from collections.abc import Sequence

from deploy.bench import speed, targets
from deploy.bench.figures import PARTS, Figures, Row, Spread
from deploy.bench.growth import LOADS
from deploy.bench.targets import MIB, Verdict

TITLES = {
    "W1c8": "W1: `GET me`, 8 connections",
    "W1c32": "W1: `GET me`, 32 connections",
    "W2": "W2: sign-in, right password, 4 at a time",
    "W3": "W3: refresh with rotation, 8 chains",
    "W4": "W4: registration, 4 at a time, delivery paused",
    "W5": "W5: sign-in, wrong password, 4 at a time",
}
QUIET_CPUS = 0.2


def of_speed(figures: Figures) -> str:
    """Return the tables of all loads, of start and memory, and the targets."""
    parts = [load_table(figures, load, title) for load, title in TITLES.items() if figures.rows(load)]
    parts += [_beside_table(figures), _limit_line(figures), _process_table(figures)]
    parts += [_verdict_table("Targets", targets.of_speed(figures)), _noise_line(figures)]
    return "\n\n".join(part for part in parts if part)


def of_growth(figures: Figures, small: str, large: str) -> str:
    """Return the tables of both sizes and the targets."""
    parts = [load_table(figures, load, f"{TITLES[load]}, small and large database") for load in LOADS]
    parts += [_verdict_table("Growth", targets.of_growth(figures, small, large)), _noise_line(figures)]
    return "\n\n".join(part for part in parts if part)


def load_table(figures: Figures, load: str, title: str) -> str:
    """Return the table of one load: rates, what the service reaches of each, and CPU time per request."""
    rows = figures.rows(load)
    ours = figures.row(load, rows[0].system) if rows else None
    body = [_load_row(row, ours, figures.shares(row, speed.HASHES_BESIDE)) for row in rows]
    head = ["system", "requests/s", f"{rows[0].system} reaches" if rows else "", "p95 ms"]
    head += [
        "% of the bare hash beside it",
        *(f"{part} µs" for part in PARTS),
        "failures",
        "CPUs busy elsewhere",
    ]
    return f"### {title}\n\n{_table(head, body)}"


def _load_row(row: Row, ours: Row | None, share: Spread | None) -> list[str]:
    if not row.is_valid:
        reason = row.first_failure.replace("|", "/").replace("\n", " ")[:100]
        return [row.system, f"INVALID: {reason}", *["-"] * 7, str(row.failed), _number(row.elsewhere, 2)]
    return [
        row.system,
        _number(row.rate, 0 if row.rate.middle >= 100 else 1),  # noqa: PLR2004
        "-" if ours is None or ours.system == row.system else targets.ratio(ours.rate, row.rate),
        _number(row.p95, 1, scale=1000),
        "-" if share is None else _number(share, 0, scale=100),
        *(f"{row.microseconds(part).middle:.0f}" for part in PARTS),
        "0",
        _number(row.elsewhere, 2),
    ]


def _beside_table(figures: Figures) -> str:
    rows = zip(figures.rows("W7 me"), figures.rows("W7 sign-ins"), strict=True)
    body = [
        [me.system, _number(me.rate, 0), _number(me.p95, 1, scale=1000), _number(sign_ins.rate, 1), "0"]
        if me.is_valid and sign_ins.is_valid
        else [me.system, "INVALID", "-", "-", str(me.failed + sign_ins.failed)]
        for me, sign_ins in rows
    ]
    head = ["system", "`me`/s", "`me` p95 ms", "sign-ins/s", "failures"]
    return f"### W7: `GET me`, 8 connections, while 4 clients keep signing in\n\n{_table(head, body)}" if body else ""


def _limit_line(figures: Figures) -> str:
    cpu = figures.spreads(speed.HASH_CPU)
    lines = [
        f"Bare Argon2id (t=2, m=19456 KiB, p=1) by {library} on two processes: {_number(hashes, 1)} per second, "
        f"{cpu[library].middle * 1e6:.0f} CPU µs each."
        for library, hashes in figures.spreads(speed.HASHES).items()
    ]
    for system, mails in figures.spreads(speed.MAILS).items():
        lines.append(f"Mail delivery of {system}, measured apart: {_number(mails, 0)} mails/s.")
    return "\n".join(lines)


def _process_table(figures: Figures) -> str:
    starts = figures.spreads(speed.START)
    web, others = figures.spreads(speed.WEB_MEMORY), figures.spreads(speed.OTHER_MEMORY)
    body = [
        [
            system,
            _number(start, 2),
            _number(web[system], 0, scale=1 / MIB) if system in web else "-",
            _number(others[system], 0, scale=1 / MIB) if others.get(system) and others[system].high else "-",
        ]
        for system, start in starts.items()
    ]
    head = ["system", "seconds to the first answer", "web PSS MiB after the loads", "workers and beat PSS MiB"]
    return f"### W6: start and memory\n\n{_table(head, body)}" if body else ""


def _verdict_table(title: str, verdicts: Sequence[Verdict]) -> str:
    body = [
        [
            verdict.workload,
            verdict.target,
            verdict.measured,
            ("holds" if verdict.holds else "NOT REACHED") + ("" if verdict.certain else ", ranges overlap"),
        ]
        for verdict in verdicts
    ]
    return f"### {title}\n\n{_table(['load', 'target', 'measured', 'verdict'], body)}" if body else ""


def _noise_line(figures: Figures) -> str:
    """Return a warning where something else than this run kept the machine busy."""
    samples = [sample for several in figures.samples.values() for sample in several]
    noisy = sum(sample.usage.elsewhere > QUIET_CPUS for sample in samples)
    advice = f"In {noisy} of {len(samples)} measurements something else kept more than {QUIET_CPUS} CPUs busy"
    return f"{advice}: ratios of this run are noise, measure again in a quiet hour." if noisy else ""


def _number(spread: Spread, digits: int, *, scale: float = 1.0) -> str:
    middle, low, high = (f"{value * scale:,.{digits}f}" for value in (spread.middle, spread.low, spread.high))
    return f"{middle} ({low}-{high})"


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
