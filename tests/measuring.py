"""Which of the programs that a test starts are measured by coverage.

Every Python process that inherits coverage's environment traces itself from its first import, which doubles what its
start costs; a web process, which is forked, writes down nothing of it. So a program is measured where that tells
something that no other test does, and runs as in production everywhere else.
"""

import os
from collections.abc import Mapping

_PREFIX = "COVERAGE_"


def measured() -> dict[str, str]:
    """Return the part of the environment by which a process of ours is measured; nothing where this run is not."""
    return {name: value for name, value in os.environ.items() if name.startswith(_PREFIX)}


def unmeasured(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return an environment without that part."""
    return {name: value for name, value in environment.items() if not name.startswith(_PREFIX)}
