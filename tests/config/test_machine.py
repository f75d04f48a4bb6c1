"""The CPU limit that the pool of password hashes is cut to."""

import os
from pathlib import Path

import pytest

from config.machine import cpu_limit

AVAILABLE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "limit"),
    [
        ("50000 100000", 1),
        ("100000 100000", 1),
        ("max 100000", AVAILABLE),
        ("9900000 100000", AVAILABLE),
        ("", AVAILABLE),
    ],
)
def test_a_quota_counts_where_it_is_below_the_machine(tmp_path: Path, quota: str, limit: int) -> None:
    (tmp_path / "cpu.max").write_text(f"{quota}\n", encoding="ascii")

    assert cpu_limit(tmp_path) == limit


@pytest.mark.parametrize(("quota", "limit"), [("100000", 1), ("-1", AVAILABLE)])
def test_the_older_control_groups_are_read_too(tmp_path: Path, quota: str, limit: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(quota, encoding="ascii")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000", encoding="ascii")

    assert cpu_limit(tmp_path) == limit


def test_without_a_control_group_the_machine_is_the_limit(tmp_path: Path) -> None:
    assert cpu_limit(tmp_path) == AVAILABLE
