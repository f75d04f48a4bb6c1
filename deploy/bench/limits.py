"""How many password hashes this machine makes per second, with nothing around them.

python -m deploy.bench.limits SECONDS
"""

import subprocess
import sys
import time
from dataclasses import dataclass

from argon2.low_level import Type, hash_secret

from deploy.stack import ROOT

PROCESSES = 2


@dataclass(frozen=True, slots=True)
class Limit:
    """Hashes per second of all processes, and the CPU seconds of one."""

    per_second: float
    cpu_seconds: float


def measure(seconds: float) -> Limit:
    """Hash in two processes at once, as two web workers would with nothing else to do."""
    command = [sys.executable, "-m", "deploy.bench.limits", str(seconds)]
    started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
    results = [process.communicate()[0].split() for process in started]
    hashes = sum(int(count) for count, _elapsed, _cpu in results)
    return Limit(
        per_second=sum(int(count) / float(elapsed) for count, elapsed, _cpu in results),
        cpu_seconds=sum(float(cpu) for _count, _elapsed, cpu in results) / hashes,
    )


def main() -> None:
    """Hash for the seconds of the command line; print how often, in what time and with how much CPU."""
    seconds, count = float(sys.argv[1]), 0
    began, cpu = time.monotonic(), time.process_time()
    while time.monotonic() - began < seconds:
        hash_secret(b"bench-Horse-7-battery", b"sixteen bytes of", 2, 19456, 1, 32, Type.ID)
        count += 1
    print(count, time.monotonic() - began, time.process_time() - cpu)


if __name__ == "__main__":
    main()
