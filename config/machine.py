"""How much CPU this process may use."""

import os
from math import ceil
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def cpu_limit(cgroup: Path = _CGROUP) -> int:
    """Return the number of CPUs, at least 1, that affinity and control group (v2, v1) allow."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(available, _quota(cgroup) or available))


def _quota(cgroup: Path) -> int | None:
    """Return the control group's CPU quota, a part of a CPU counting as one; `None` where there is none."""
    try:
        if (cgroup / "cpu.max").exists():
            quota, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text(encoding="ascii").strip()
        if quota in {"max", "-1"}:
            return None
        return ceil(int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return None
