"""Measure the production shape on this machine: `make bench`.

    python -m deploy.bench [--only neutrality|speed|growth] [--growth] [--rounds N] [--seconds N] [--samples N]

Stacks and peers of its own are started under var/bench; they end, and their data goes, with this process. First comes
what must hold: nobody can tell by bytes or time who has an account. Then come rates beside those of other systems and
beside the bare limits of the machine. Exit code 1 where the first is broken or a request failed; targets bind nobody.
"""

import argparse
import os
import platform
import signal
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import django
from django.db import connection

from deploy.bench import growth, neutrality, peer, processor, report, service, speed, workloads
from deploy.bench.client import Client, Failed
from deploy.bench.service import Service
from deploy.bench.targets import SERVICE
from deploy.bench.wire import Silent
from deploy.local_servers import ServerFailed
from deploy.stack import ROOT

PLACE = ROOT / "var" / "bench"
WARM_UP_ROUNDS = 20
NEUTRALITY, SPEED, GROWTH = "neutrality", "speed", "growth"


def main() -> int:
    """Measure, print and return the exit code."""
    options = _options()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        return 0 if _Run(options).all_hold() else 1
    except (ServerFailed, Failed, Silent) as reason:
        say(f"failed: {reason}")
    except KeyboardInterrupt:
        say("stopped")
    return 1


def say(line: str) -> None:
    """Print a line of progress."""
    print(f"bench: {line}", flush=True)


class _Run:
    """One run: the measurements that were asked for, and the report that grows with them."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._path = os.environ["PATH"]
        self._report: list[str] = []

    def all_hold(self) -> bool:
        """Measure; tell whether everything held that must."""
        parts, options = self._parts(), self._options
        # pip needs the environment as it was given, so this comes first.
        pythons = {p: peer.install(p, PLACE / "peers") for p in options.peers} if SPEED in parts else {}
        self._write(_head(options))
        holds = True
        if {NEUTRALITY, SPEED} & parts:
            say("starting a stack")
            with service.running(PLACE, name=SERVICE, path=self._path) as stack:
                if NEUTRALITY in parts:
                    holds &= self._neutrality(stack)
                if SPEED in parts:
                    holds &= self._speed(stack, pythons)
        if GROWTH in parts:
            holds &= self._growth()
        say(f"the report is in {PLACE / 'report.md'}")
        return holds

    def _parts(self) -> set[str]:
        if self._options.only:
            return {self._options.only}
        return {NEUTRALITY, SPEED, *([GROWTH] if self._options.growth else [])}

    def _neutrality(self, stack: Service) -> bool:
        samples = self._options.samples
        say(f"who has an account? {samples} samples of each case, one at a time, in random order")
        before = processor.read()
        # Paused, or the mail of one sample would be delivered while the next is timed.
        with _database_of(stack), service.delivery_paused(stack.system), Client(stack.system.port) as client:
            found = neutrality.measure(client, rounds=samples, warm_up=WARM_UP_ROUNDS, report=say)
        elsewhere = processor.read().since(before).elsewhere
        broken = sum(not finding.holds for finding in found)
        noise = (
            "; too much to tell noise from a leak, measure again in a quiet hour"
            if elsewhere > report.QUIET_CPUS
            else ""
        )
        self._write(
            f"## Who has an account?\n\n{neutrality.table(found)}\n\n{broken} of {len(found)} bounds broken; "
            f"everything else on the machine kept {elsewhere:.2f} CPUs busy{noise}."
        )
        return not broken

    def _speed(self, stack: Service, pythons: dict[peer.Peer, Path]) -> bool:
        options = self._options
        with ExitStack() as running:
            say(f"{speed.USERS:,} users for each system")
            service.populate(stack.system, users=speed.USERS)
            systems = [stack.system]
            for other, python in pythons.items():
                say(f"starting {other.name}")
                place = peer.running(
                    other, python, beside=stack.system.database_url, users=speed.USERS, path=self._path
                )
                systems.append(running.enter_context(place))
            say("waiting until all mail is delivered")
            service.mails_per_second(stack.system)
            figures = speed.measure(systems, options.loads, rounds=options.rounds, seconds=options.seconds, report=say)
        limits = "on, and raised above the load" if service.counts_requests(stack.system.port) else "not built yet"
        self._write(f"## Speed\n\nLimits of {SERVICE}: {limits}.\n\n{report.of_speed(figures)}")
        return figures.are_valid

    def _growth(self) -> bool:
        options = self._options
        sizes = growth.Sizes(large=options.large)
        say("starting a stack on a small and one on a large database")
        with growth.running(PLACE, sizes, path=self._path, report=say) as systems:
            figures = growth.measure(systems, sizes, rounds=options.rounds, seconds=options.seconds, report=say)
        small, large = (system.name for system in systems)
        self._write(f"## Growth\n\n{report.of_growth(figures, small, large)}")
        return figures.are_valid

    def _write(self, text: str) -> None:
        """Print a part of the report, and keep all of it in a file."""
        print(f"\n{text}\n", flush=True)
        self._report.append(text)
        PLACE.mkdir(mode=0o700, parents=True, exist_ok=True)
        (PLACE / "report.md").write_text("\n\n".join(self._report) + "\n")


@contextmanager
def _database_of(stack: Service) -> Iterator[None]:
    """Lend this process the environment of a stack, and so its database."""
    os.environ.clear()
    os.environ.update(stack.env)
    django.setup()
    try:
        yield
    finally:
        connection.close_pool()  # type: ignore[attr-defined]


def _head(options: argparse.Namespace) -> str:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"# Measured on {now}\n\n{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}; "
        f"{options.rounds} interleaved rounds of {options.seconds:g} s; median (min-max). Server, databases and client "
        "share the machine: compare ratios within this run, not figures of different ones."
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="deploy.bench", description="Measure the service on this machine.")
    parser.add_argument("--only", choices=[NEUTRALITY, SPEED, GROWTH], help="measure nothing else")
    parser.add_argument("--growth", action="store_true", help="also measure at 1,000,000 users: takes minutes")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds of rates (5)")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each load lasts in a round (5)")
    parser.add_argument("--samples", type=int, default=200, help="samples of each case of neutrality (200)")
    parser.add_argument("--large", type=int, default=1_000_000, help="users of the large database (1,000,000)")
    parser.add_argument(
        "--peers",
        type=_peers,
        default=list(peer.ALL),
        help=f"systems to compare with, of {'; '.join(other.name for other in peer.ALL)}; all by default, '' for none",
    )
    parser.add_argument(
        "--loads",
        type=_loads,
        default=[load for load in workloads.ALL if load != "W1c32"],
        help=f"of {','.join(workloads.ALL)}; all but W1c32 by default",
    )
    return parser.parse_args()


def _peers(text: str) -> list[peer.Peer]:
    known = {other.name: other for other in peer.ALL}
    return [known[name] for name in _chosen(text.split(";"), known)]


def _loads(text: str) -> list[str]:
    return _chosen(text.split(","), workloads.ALL)


def _chosen(given: Sequence[str], known: Collection[str]) -> list[str]:
    names = [name.strip() for name in given if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
    return names


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
