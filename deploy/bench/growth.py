"""Whether the service slows down with its data: a small and a large database side by side on one server."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from deploy.bench import service, speed, workloads
from deploy.bench.figures import Figures
from deploy.bench.systems import System

LOADS = ("W1c8", "W2", "W3")
SIGNING_IN_USERS = 1000
SESSIONS_EACH = 3
_LARGE_DATABASE = "large"
_LARGE_REDIS_DATABASE = 2  # and the one beside it, for jobs

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many people there are in the small and in the large database."""

    small: int = 1000
    large: int = 1_000_000


@contextmanager
def running(parent: Path, sizes: Sizes, *, path: str, report: Report) -> Iterator[tuple[System, System]]:
    """Run a stack on a small database and one on a large one, of the same servers. Raises `ServerFailed`."""
    with service.running(parent, name=_name(sizes.small), path=path) as small:
        given = _beside(small)
        with service.running(parent, name=_name(sizes.large), path=path, given=given) as large:
            report(f"filling databases with {sizes.small:,} and {sizes.large:,} users, {SESSIONS_EACH} sessions each")
            service.populate(small.system, users=sizes.small, sessions_each=SESSIONS_EACH)
            service.populate(large.system, users=sizes.large, sessions_each=SESSIONS_EACH)
            yield small.system, large.system


def measure(systems: Sequence[System], sizes: Sizes, *, rounds: int, seconds: float, report: Report) -> Figures:
    """Walk the loads in each round, on the small and on the large database in turn. Raises `Silent`."""
    figures = Figures()
    people = [workloads.names(users=SIGNING_IN_USERS, spread_over=users) for users in (sizes.small, sizes.large)]
    for number in range(1, rounds + 1):
        report(f"growth, round {number} of {rounds}")
        for load in LOADS:
            for system, crowd in zip(systems, people, strict=True):
                speed.run(system, load, crowd, figures, seconds=seconds)
    return figures


def _name(users: int) -> str:
    return f"{users:,} users"


def _beside(small: service.Service) -> dict[str, str]:
    """Make the large database on the server of the small one; return the variables that lead a stack to it."""
    url, cache = small.env["DATABASE_URL"], small.env["REDIS_URL"]
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {_LARGE_DATABASE}")
    return {
        "DATABASE_URL": urlunsplit(urlsplit(url)._replace(path=f"/{_LARGE_DATABASE}")),
        "REDIS_URL": urlunsplit(urlsplit(cache)._replace(path=f"/{_LARGE_REDIS_DATABASE}")),
    }
