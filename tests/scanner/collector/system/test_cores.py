"""The number of workers is that of the cores this process may use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scanner.collector.system import cores

CHECKOUT = Path(__file__).parents[4]
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

ONE_PROCESSOR = """
import os
from scanner.collector.system import cores
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(cores.count_workers(), cores.count_logical(), cores.count_physical())
"""

KSTAT = """cpu_info:0:cpu_info0:chip_id\t0
cpu_info:0:cpu_info0:core_id\t0
cpu_info:1:cpu_info1:chip_id\t0
cpu_info:1:cpu_info1:core_id\t0
cpu_info:2:cpu_info2:chip_id\t0
cpu_info:2:cpu_info2:core_id\t1
cpu_info:3:cpu_info3:chip_id\t1
cpu_info:3:cpu_info3:core_id\t1
cpu_info:3:cpu_info3:brand\tSPARC-T5
"""


def write_tree(root: Path, files: dict[str, str]) -> str:
    """Write files of one line each below a directory. Return its path."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content + "\n")
    return str(root)


def test_workers_on_this_machine() -> None:
    """There is at least one worker, and no more than processors."""
    assert 1 <= cores.count_workers() <= (os.cpu_count() or 1)


@linux
def test_affinity_counts() -> None:
    """A process that is held to one processor has one worker."""
    process = subprocess.run(
        [sys.executable, "-c", ONE_PROCESSOR], check=True, capture_output=True, text=True, cwd=CHECKOUT
    )
    assert process.stdout.split() == ["1", "1", "1"]


@linux
def test_threads_of_a_core_count_once(tmp_path: Path) -> None:
    """Processors that share a core are one; those outside the affinity do not count."""
    allowed = sorted(os.sched_getaffinity(0))
    files = {f"devices/system/cpu/cpu{number}/topology/core_cpus_list": "0-99" for number in allowed}
    files["devices/system/cpu/cpu4095/topology/core_cpus_list"] = "4095"
    assert cores.linux_cores(write_tree(tmp_path, files)) == 1


@linux
def test_older_kernels_call_it_siblings(tmp_path: Path) -> None:
    """Older kernels have thread_siblings_list, which says the same; with neither nothing is known."""
    number = min(os.sched_getaffinity(0))
    files = {f"devices/system/cpu/cpu{number}/topology/thread_siblings_list": "0-1"}
    assert cores.linux_cores(write_tree(tmp_path / "a", files)) == 1
    assert cores.linux_cores(str(tmp_path / "empty")) is None


def test_sunos_cores() -> None:
    """SunOS' kstat lists hardware threads; a core is a pair of chip and core."""
    assert cores.kstat_cores(KSTAT) == 3
    assert cores.kstat_cores("") is None


@pytest.mark.parametrize(
    ("group", "files", "quota"),
    [
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "150000 100000", "cpu.max": "max 100000"}, 1.5),
        ("0::/a/b", {"a/b/cpu.max": "50000 100000", "a/cpu.max": "150000 100000"}, 0.5),
        ("0::/../../host", {"cpu.max": "200000 100000"}, 2.0),
        ("0::/", {}, None),
        (
            "4:cpu,cpuacct:/x",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "300000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"},
            3.0,
        ),
        ("4:cpu:/x", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1.0),
        ("4:cpu:/x", {"cpu/x/cpu.cfs_quota_us": "-1", "cpu/x/cpu.cfs_period_us": "100000"}, None),
        ("4:memory:/x\n0::/y", {"unified/y/cpu.max": "100000 100000"}, 1.0),
        ("0::/a", {"a/cpu.max": "garbage"}, None),
    ],
)
def test_quota(tmp_path: Path, group: str, files: dict[str, str], quota: float | None) -> None:
    """The tightest quota of the control groups above this process counts, of either version."""
    proc = write_tree(tmp_path / "proc", {"self/cgroup": group})
    assert cores.cgroup_quota(proc, write_tree(tmp_path / "sys", files) if files else str(tmp_path / "sys")) == quota


@pytest.mark.parametrize(
    ("logical", "physical", "quota", "workers"),
    [(8, 4, None, 4), (8, None, None, 8), (2, 16, None, 2), (8, 4, 2.9, 2), (8, 4, 0.5, 1), (1, 1, 64.0, 1)],
)
def test_workers_are_the_least(
    monkeypatch: pytest.MonkeyPatch, logical: int, physical: int | None, quota: float | None, workers: int
) -> None:
    """The least of processors, cores and quota counts, and never less than one."""
    monkeypatch.setattr(cores, "count_logical", lambda: logical)
    monkeypatch.setattr(cores, "count_physical", lambda: physical)
    monkeypatch.setattr(cores, "cgroup_quota", lambda: quota)
    assert cores.count_workers() == workers
