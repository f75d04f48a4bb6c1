"""Who used the CPU, by /proc: the parts of the stack, this process, and everything else on the machine."""

import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PARTS = {"serve": "app", "worker": "worker", "beat": "worker", "postgres": "PostgreSQL", "redis-server": "Redis"}
_OTHER_PART = "stack"
CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds used since some moment, and when they were read."""

    read_at: float
    parts: Mapping[str, float]
    machine: float

    def since(self, before: "Usage") -> "Usage":
        """Return what was used between two readings; `read_at` is then the time between them."""
        parts = {part: seconds - before.parts.get(part, 0.0) for part, seconds in self.parts.items()}
        return Usage(self.read_at - before.read_at, parts, self.machine - before.machine)

    @property
    def elsewhere(self) -> float:
        """CPUs that everything else on the machine kept busy on average, of a difference between two readings."""
        return max(0.0, self.machine - sum(self.parts.values())) / self.read_at


def read() -> Usage:
    """Return what was used until now."""
    return Usage(time.monotonic(), _by_part(), _busy_seconds())


def part_of(command: list[str]) -> str:
    """Return which part of the stack a command line is."""
    for word in command[:3]:
        name = word.removesuffix(":").rpartition("/")[2]
        if name in _PARTS:
            return _PARTS[name]
    return _OTHER_PART


def _by_part() -> dict[str, float]:
    used = defaultdict(float, {CLIENT: time.process_time()})
    for pid, seconds in _descendants():
        used[part_of(_command(pid))] += seconds
    return used


def _descendants() -> Iterator[tuple[int, float]]:
    """Yield every process below this one, with its CPU seconds and those of children it has outlived."""
    children: dict[int, list[tuple[int, float]]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        seconds = sum(map(int, fields[11:15])) / _TICKS
        children.setdefault(int(fields[1]), []).append((int(entry.parent.name), seconds))
    waiting = children.get(os.getpid(), [])
    while waiting:
        pid, seconds = waiting.pop()
        yield pid, seconds
        waiting += children.get(pid, [])


def _command(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return []
    return text.replace("\0", " ").split()


def _busy_seconds() -> float:
    user, nice, system, _idle, _waiting, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS
