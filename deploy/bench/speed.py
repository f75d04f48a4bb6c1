"""The service beside its peers: interleaved rounds of the same loads.

A load that hashes is held against the bare hash of the seconds before and after it: what a hash
costs on a shared machine changes faster than a round lasts.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

from deploy.bench import limits, processor, workloads
from deploy.bench.figures import Figures, Sample
from deploy.bench.service import delivery_paused, mails_per_second
from deploy.bench.systems import System, seconds_to_first_answer
from deploy.bench.wire import drive
from deploy.stack import ROOT

USERS = 1000
WARM_UP_SECONDS = 1.0
# Names of what is one number a round.
HASHES, HASH_CPU, HASHES_BESIDE, MAILS = "hashes", "hash CPU", "hashes beside", "mails"
START, WEB_MEMORY, OTHER_MEMORY = "start", "web memory", "other memory"
BARE = limits.ARGON2_CFFI
# Of these loads most is the hash.
HASHING = ("W2", "W4", "W5")

Report = Callable[[str], None]


def measure(systems: Sequence[System], loads: Sequence[str], *, rounds: int, seconds: float, report: Report) -> Figures:
    """Walk all loads in each round, and all systems in each load: so everybody meets the same minutes.

    Raises `Silent`, `ServerFailed`.
    """
    figures = Figures()
    people = workloads.names(users=USERS, spread_over=USERS)
    for number in range(1, rounds + 1):
        report(f"round {number} of {rounds}: start, and the bare hash limits")
        _start_and_limit(systems, figures, seconds=seconds)
        for load in loads:
            report(f"round {number} of {rounds}: {load}")
            service, *peers = systems
            with _beside_bare_hashes(load, figures, seconds=seconds) if load in HASHING else nullcontext():
                run(service, load, people, figures, seconds=seconds)
            for system in peers:
                run(system, load, people, figures, seconds=seconds)
        for system in systems:
            _weigh(system, figures)
    return figures


def run(system: System, load: str, people: Sequence[str], figures: Figures, *, seconds: float) -> None:
    """Put one load on one system once. Raises `Silent`."""
    groups = workloads.ALL[load](system, people)
    if load == "W4" and system.delivers_apart:
        with delivery_paused(system):
            driven = drive(system.port, groups, seconds=seconds, warm_up=WARM_UP_SECONDS)
        figures.add_value(MAILS, system.name, mails_per_second(system))
    else:
        driven = drive(system.port, groups, seconds=seconds, warm_up=WARM_UP_SECONDS)
    for group, tally in driven.tallies.items():
        name = f"{load} {group}" if len(driven.tallies) > 1 else load
        figures.add_sample(name, system.name, Sample.of(tally, driven.usage))


def _start_and_limit(systems: Sequence[System], figures: Figures, *, seconds: float) -> None:
    for system in systems:
        figures.add_value(START, system.name, seconds_to_first_answer(system, cwd=ROOT))
    for library in (BARE, limits.LIBSODIUM):
        limit = limits.measure(library, seconds)
        figures.add_value(HASHES, library, limit.per_second)
        figures.add_value(HASH_CPU, library, limit.cpu_seconds)


@contextmanager
def _beside_bare_hashes(load: str, figures: Figures, *, seconds: float) -> Iterator[None]:
    before = limits.measure(BARE, seconds / 2)
    yield
    after = limits.measure(BARE, seconds / 2)
    figures.add_value(HASHES_BESIDE, load, (before.per_second + after.per_second) / 2)


def _weigh(system: System, figures: Figures) -> None:
    held = processor.memory(system.root)
    figures.add_value(WEB_MEMORY, system.name, held["app"])
    figures.add_value(OTHER_MEMORY, system.name, held["worker"])
