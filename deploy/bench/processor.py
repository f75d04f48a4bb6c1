"""Who used CPU and memory, by /proc: the parts of each system, this process, and everything else on the machine."""

import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PARTS = {
    "serve": "app",
    "granian": "app",
    "worker": "worker",
    "beat": "worker",
    "postgres": "PostgreSQL",
    "redis-server": "Redis",
}
_OTHER_PART = "stack"
CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Process:
    """A running process: the part it belongs to, and its CPU seconds with those of children it has outlived."""

    pid: int
    part: str
    seconds: float


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


def part_of(command: list[str]) -> str | None:
    """Return which part of a system a command line starts, if it does."""
    for word in command[:3]:
        name = word.removesuffix(":").rpartition("/")[2]
        if name in _PARTS:
            return _PARTS[name]
    return None


def processes(root: int) -> Iterator[Process]:
    """Yield every process below another one; children without a name of their own belong to their parent's part."""
    children: dict[int, list[tuple[int, float]]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        seconds = sum(map(int, fields[11:15])) / _TICKS
        children.setdefault(int(fields[1]), []).append((int(entry.parent.name), seconds))
    waiting = [(pid, seconds, _OTHER_PART) for pid, seconds in children.get(root, [])]
    while waiting:
        pid, seconds, parent_part = waiting.pop()
        part = part_of(_command(pid)) or parent_part
        yield Process(pid, part, seconds)
        waiting += [(child, used, part) for child, used in children.get(pid, [])]


def memory(root: int) -> Mapping[str, int]:
    """Return the bytes of each part below a process, what is shared counted in proportion (PSS)."""
    held: dict[str, int] = defaultdict(int)
    for process in processes(root):
        held[process.part] += _pss(process.pid)
    return held


def _by_part() -> dict[str, float]:
    used = defaultdict(float, {CLIENT: time.process_time()})
    for process in processes(os.getpid()):
        used[process.part] += process.seconds
    return used


def _command(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return []
    return text.replace("\0", " ").split()


def _pss(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))


def _busy_seconds() -> float:
    user, nice, system, _idle, _waiting, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS
