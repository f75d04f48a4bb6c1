"""How many password hashes this machine makes per second, with nothing around them.

python -m deploy.bench.limits LIBRARY SECONDS
"""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from argon2.low_level import Type, hash_secret
from nacl.pwhash.argon2id import kdf

from deploy.stack import ROOT

PROCESSES = 2
# What Django's own hasher uses, and so the peers; and what the service uses.
ARGON2_CFFI, LIBSODIUM = "argon2-cffi", "libsodium"
_PASSWORD, _SALT = b"bench-Horse-7-battery", b"sixteen bytes of"
_HASH: Mapping[str, Callable[[], object]] = {
    ARGON2_CFFI: lambda: hash_secret(_PASSWORD, _SALT, 2, 19456, 1, 32, Type.ID),
    LIBSODIUM: lambda: kdf(32, _PASSWORD, _SALT, opslimit=2, memlimit=19456 * 1024),
}


@dataclass(frozen=True, slots=True)
class Limit:
    """Hashes per second of all processes, and the CPU seconds of one."""

    per_second: float
    cpu_seconds: float


def measure(library: str, seconds: float) -> Limit:
    """Hash in two processes at once, as two web workers would with nothing else to do."""
    command = [sys.executable, "-m", "deploy.bench.limits", library, str(seconds)]
    started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
    results = [process.communicate()[0].split() for process in started]
    hashes = sum(int(count) for count, _elapsed, _cpu in results)
    return Limit(
        per_second=sum(int(count) / float(elapsed) for count, elapsed, _cpu in results),
        cpu_seconds=sum(float(cpu) for _count, _elapsed, cpu in results) / hashes,
    )


def main() -> None:
    """Hash for the seconds of the command line; print how often, in what time and with how much CPU."""
    work, seconds, count = _HASH[sys.argv[1]], float(sys.argv[2]), 0
    began, cpu = time.monotonic(), time.process_time()
    while time.monotonic() - began < seconds:
        work()
        count += 1
    print(count, time.monotonic() - began, time.process_time() - cpu)


if __name__ == "__main__":
    main()
