"""How many workers the hash pass has: the physical cores that this process may really use."""

from __future__ import annotations

import glob
import math
import os
import subprocess
import sys
from typing import Callable, Dict, Iterator, Optional, Set, Tuple

_TOOL_SECONDS = 10


def workers() -> int:
    """The number of physical cores within this process's affinity and CPU quota, at least 1."""
    usable = min(logical(), physical() or logical())
    quota = cgroup_quota()
    return max(1, usable if quota is None else min(usable, math.floor(quota + 1e-9)))


def logical() -> int:
    """The processors that this process may be scheduled on."""
    counted: Callable[[], Optional[int]] = getattr(os, "process_cpu_count", os.cpu_count)
    if counted is os.cpu_count and hasattr(os, "sched_getaffinity"):
        try:
            return len(os.sched_getaffinity(0)) or 1
        except OSError:
            return os.cpu_count() or 1
    return counted() or 1


def physical() -> Optional[int]:
    """The physical cores of the machine, on Linux those within the affinity; None when the system does not tell."""
    system: str = sys.platform
    if system == "linux":
        return linux_cores("/sys") or _psutil_cores()
    if system == "darwin":
        return _sysctl("/usr/sbin/sysctl", "hw.perflevel0.physicalcpu") or _sysctl("/usr/sbin/sysctl", "hw.physicalcpu")
    if system.startswith("freebsd"):
        return _sysctl("/sbin/sysctl", "kern.smp.cores") or _psutil_cores()
    if system.startswith("openbsd"):
        return _sysctl("/sbin/sysctl", "hw.ncpuonline")
    if system.startswith("sunos"):
        return kstat_cores(_output("/usr/bin/kstat", "-p", "-m", "cpu_info"))
    return _psutil_cores()


def linux_cores(sysfs: str) -> Optional[int]:
    """The distinct cores of the processors in this process's affinity, by sysfs; None when sysfs does not tell."""
    allowed = os.sched_getaffinity(0)
    cores: Set[str] = set()
    for folder in glob.glob(f"{glob.escape(sysfs)}/devices/system/cpu/cpu[0-9]*"):
        if int(folder.rpartition("cpu")[2]) not in allowed:
            continue
        for leaf in ("core_cpus_list", "thread_siblings_list"):
            siblings = _content(f"{folder}/topology/{leaf}")
            if siblings:
                cores.add(siblings)
                break
    return len(cores) or None


def kstat_cores(output: str) -> Optional[int]:
    """The distinct (chip_id, core_id) of what SunOS' `kstat -p -m cpu_info` prints; None when it has none."""
    processors: Dict[str, Dict[str, str]] = {}
    for line in output.splitlines():
        key, _, value = line.partition("\t")
        parts = key.split(":")
        if len(parts) == 4:
            processors.setdefault(parts[1], {})[parts[3]] = value.strip()
    cores = {(fields.get("chip_id"), fields["core_id"]) for fields in processors.values() if "core_id" in fields}
    return len(cores) or None


def cgroup_quota(proc: str = "/proc", sysfs: str = "/sys/fs/cgroup") -> Optional[float]:
    """The CPUs that the tightest control group above this process grants; None when none limits it."""
    return min((quota for base, path in _groups(proc, sysfs) for quota in _quotas(base, path)), default=None)


def _groups(proc: str, sysfs: str) -> Iterator[Tuple[str, str]]:
    """The hierarchies that may limit CPUs, as (where it is mounted, this process's path in it)."""
    for line in _content(f"{proc}/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield sysfs, path
            yield f"{sysfs}/unified", path
        elif "cpu" in controllers.split(","):
            yield f"{sysfs}/{controllers}", path
            yield f"{sysfs}/cpu", path


def _quotas(base: str, path: str) -> Iterator[float]:
    """The limits of a group and of each group above it: in a container only the mount's root may be visible."""
    while True:
        quota = _quota(base + path.rstrip("/"))
        if quota:
            yield quota
        if path in ("/", ""):
            return
        path = os.path.dirname(path)


def _quota(folder: str) -> Optional[float]:
    fields = _content(f"{folder}/cpu.max").split()
    if not fields:
        fields = [_content(f"{folder}/cpu.cfs_quota_us"), _content(f"{folder}/cpu.cfs_period_us")]
    try:
        limit, period = (int(field) for field in fields)
    except ValueError:  # "max", or no such file
        return None
    return limit / period if limit > 0 and period > 0 else None


def _psutil_cores() -> Optional[int]:
    try:
        import psutil
    except ImportError:
        return None
    return psutil.cpu_count(logical=False)


def _sysctl(tool: str, name: str) -> Optional[int]:
    digits = _output(tool, "-n", name).strip()
    return int(digits) or None if digits.isdigit() else None


def _content(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def _output(*command: str) -> str:
    """What a system tool prints; empty when it is not there or fails: each caller has a next best answer."""
    try:
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TOOL_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
