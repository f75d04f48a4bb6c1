"""Measure the production shape on this machine: `make bench`.

    python -m deploy.bench [--rounds N] [--seconds N]

A stack of its own is started under var/bench; it ends, and its data goes, with this process. First comes what must
hold: nobody can tell by bytes or time who has an account; exit code 1 where that is broken. Then come rates, which
bind nobody.
"""

import argparse
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import django
from django.db import connection

from deploy.bench import neutrality, processor, throughput
from deploy.bench.client import Client
from deploy.local_servers import Guarded, ServerFailed, free_port
from deploy.stack import ROOT

START_SECONDS = 120.0
STOP_SECONDS = 30.0
WARM_UP_ROUNDS = 20
CONNECTIONS = 8
# One client on one network does here what thousands do elsewhere.
UNLIMITED = {"LIMIT_GLOBAL": "1000000/1s", "LIMIT_SIGNIN": "1000000/1s", "LIMIT_MAIL": "1000000/1s"}


def main() -> int:
    """Measure, print and return the exit code."""
    options = _options()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with running_stack(ROOT / "var" / "bench") as port:
            holds = _measure_neutrality(port, rounds=options.rounds)
            say(f"rates, {options.seconds} s each over {CONNECTIONS} connections")
            rates = throughput.measure(port, connections=CONNECTIONS, seconds=options.seconds)
            print(f"\n{throughput.table(rates)}\n")
            connection.close_pool()  # type: ignore[attr-defined]
    except ServerFailed as reason:
        say(f"failed: {reason}")
        return 1
    except KeyboardInterrupt:
        say("stopped")
        return 1
    return 0 if holds else 1


@contextmanager
def running_stack(parent: Path) -> Iterator[int]:
    """Run a new stack below `parent`, lend this process its environment and so its database, and yield its port.

    Raises `ServerFailed`.
    """
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    port = free_port()
    with tempfile.TemporaryDirectory(dir=parent) as place:
        folder = Path(place) / "stack"
        say(f"starting a stack in {folder}")
        stack = Guarded(
            [sys.executable, "-m", "deploy.stack", folder],
            log=Path(place) / "log",
            options=["--remove", str(folder)],
            env={"PATH": os.environ["PATH"], "PORT": str(port), **UNLIMITED},
            cwd=ROOT,
            grace=STOP_SECONDS,
        )
        try:
            stack.wait_until(lambda: "ready in" in stack.last_lines(), what="the stack", seconds=START_SECONDS)
            os.environ.update(_environment(folder / "env"))
            django.setup()
            yield port
        finally:
            stack.stop()


def say(line: str) -> None:
    """Print a line of progress."""
    print(f"bench: {line}", flush=True)


def _measure_neutrality(port: int, *, rounds: int) -> bool:
    say(f"who has an account? {rounds} samples of each case, one at a time, in random order")
    before = processor.read()
    with Client(port) as client:
        found = neutrality.measure(client, rounds=rounds, warm_up=WARM_UP_ROUNDS, report=say)
    elsewhere = processor.read().since(before).elsewhere
    print(f"\n{neutrality.table(found)}\n")
    broken = sum(not finding.holds for finding in found)
    say(f"{broken or 'no'} bound broken; everything else on the machine kept {elsewhere:.2f} CPUs busy")
    return not broken


def _environment(file: Path) -> dict[str, str]:
    """Return the variables that the stack set, as it wrote them for a shell."""
    assignments = shlex.split(file.read_text())
    return dict(assignment.split("=", maxsplit=1) for assignment in assignments)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="deploy.bench", description="Measure the service on this machine.")
    parser.add_argument("--rounds", type=int, default=200, help="samples of each case (200)")
    parser.add_argument("--seconds", type=int, default=5, help="how long each rate is measured (5)")
    return parser.parse_args()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
