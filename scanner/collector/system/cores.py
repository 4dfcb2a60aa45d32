"""Count the physical cores that this process may really use: that many workers are worth starting."""

from __future__ import annotations

import glob
import math
import os
import sys
from typing import Callable, Dict, Iterator, NamedTuple, Optional, Set

from scanner.collector.system.tools import run_tool


def count_workers() -> int:
    """Return the number of physical cores within this process's affinity and CPU quota, at least 1."""
    logical = count_logical()
    usable = min(logical, count_physical() or logical)
    quota = cgroup_quota()
    if quota is not None:
        # A quotient such as 2.9999999999999996 means 3.
        usable = min(usable, math.floor(quota + 1e-9))
    return max(1, usable)


def count_logical() -> int:
    """Return the number of processors that this process may be scheduled on."""
    # os.process_cpu_count, which respects the affinity, exists from Python 3.13 on.
    process_cpu_count: Optional[Callable[[], Optional[int]]] = getattr(os, "process_cpu_count", None)
    if process_cpu_count is not None:
        return process_cpu_count() or 1

    if hasattr(os, "sched_getaffinity"):
        try:
            return len(os.sched_getaffinity(0)) or 1
        except OSError:
            pass
    return os.cpu_count() or 1


def count_physical() -> Optional[int]:
    """Return the number of physical cores, on Linux of those within the affinity; None when the system hides it."""
    # Annotated, so that the type checker does not take the other branches for unreachable.
    system: str = sys.platform

    if system == "linux":
        return linux_cores("/sys") or _psutil_cores()
    if system == "darwin":
        # Performance cores first: the efficiency cores of Apple's processors are much slower.
        return _sysctl("/usr/sbin/sysctl", "hw.perflevel0.physicalcpu") or _sysctl("/usr/sbin/sysctl", "hw.physicalcpu")
    if system.startswith("freebsd"):
        return _sysctl("/sbin/sysctl", "kern.smp.cores") or _psutil_cores()
    if system.startswith("openbsd"):
        return _sysctl("/sbin/sysctl", "hw.ncpuonline")
    if system.startswith("sunos"):
        return kstat_cores(run_tool("/usr/bin/kstat", "-p", "-m", "cpu_info").decode("utf-8", "replace"))
    return _psutil_cores()


def linux_cores(sysfs: str) -> Optional[int]:
    """Return the number of distinct cores in this process's affinity, or None when sysfs does not tell."""
    allowed = os.sched_getaffinity(0)
    cores: Set[str] = set()
    for directory in glob.glob(f"{glob.escape(sysfs)}/devices/system/cpu/cpu[0-9]*"):
        processor = int(directory.rpartition("cpu")[2])
        if processor not in allowed:
            continue

        # Each names the processors that share a core, so it names the core. Older kernels have only the second.
        siblings = _read_text(f"{directory}/topology/core_cpus_list")
        siblings = siblings or _read_text(f"{directory}/topology/thread_siblings_list")
        if siblings:
            cores.add(siblings)
    return len(cores) or None


def kstat_cores(output: str) -> Optional[int]:
    """Return the number of distinct pairs of chip_id and core_id in the output of SunOS' `kstat -p -m cpu_info`.

    A line is `cpu_info:INSTANCE:NAME:STATISTIC TAB VALUE`. Return None when no line has a core_id.
    """
    processors: Dict[str, Dict[str, str]] = {}
    for line in output.splitlines():
        key, _, value = line.partition("\t")
        parts = key.split(":")
        if len(parts) == 4:
            _, instance, _, statistic = parts
            processors.setdefault(instance, {})[statistic] = value.strip()

    cores = {(fields.get("chip_id"), fields["core_id"]) for fields in processors.values() if "core_id" in fields}
    return len(cores) or None


class _ControlGroup(NamedTuple):
    mount_point: str
    """Where its hierarchy is mounted."""
    path: str
    """Path in the hierarchy, from `/proc/self/cgroup`."""


def cgroup_quota(proc: str = "/proc", sysfs: str = "/sys/fs/cgroup") -> Optional[float]:
    """Return the CPUs that the tightest control group above this process grants, or None when none has a limit.

    Reads both versions of control groups (Linux, Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst).
    """
    quotas = [quota for group in _control_groups(proc, sysfs) for quota in _quotas_up_to_root(group)]
    return min(quotas, default=None)


def _control_groups(proc: str, sysfs: str) -> Iterator[_ControlGroup]:
    """Yield the control groups of this process that may limit CPUs, at each place where they may be mounted."""
    for line in _read_text(f"{proc}/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        # Version 2 has one hierarchy and names no controllers.
        if not controllers:
            yield _ControlGroup(sysfs, path)
            yield _ControlGroup(f"{sysfs}/unified", path)
        elif "cpu" in controllers.split(","):
            yield _ControlGroup(f"{sysfs}/{controllers}", path)
            yield _ControlGroup(f"{sysfs}/cpu", path)


def _quotas_up_to_root(group: _ControlGroup) -> Iterator[float]:
    """Yield the limits of a group and of each group above it: in a container only the root may be visible."""
    path = group.path
    while True:
        quota = _read_quota(group.mount_point + path.rstrip("/"))
        if quota:
            yield quota
        if path in ("/", ""):
            return
        path = os.path.dirname(path)


def _read_quota(directory: str) -> Optional[float]:
    """Return the CPUs that one group grants: its limit of microseconds in each period."""
    fields = _read_text(f"{directory}/cpu.max").split()
    if not fields:
        # Version 1 has a file for each.
        fields = [_read_text(f"{directory}/cpu.cfs_quota_us"), _read_text(f"{directory}/cpu.cfs_period_us")]

    try:
        limit, period = (int(field) for field in fields)
    except ValueError:
        # "max", or no such file.
        return None

    # -1 is version 1's word for no limit.
    if limit <= 0 or period <= 0:
        return None
    return limit / period


def _psutil_cores() -> Optional[int]:
    try:
        import psutil
    except ImportError:
        return None
    return psutil.cpu_count(logical=False)


def _sysctl(tool: str, name: str) -> Optional[int]:
    digits = run_tool(tool, "-n", name).decode("utf-8", "replace").strip()
    if not digits.isdigit():
        return None
    return int(digits) or None


def _read_text(path: str) -> str:
    """Return the content of a file without white space around it, or an empty text: each caller has a fallback."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
