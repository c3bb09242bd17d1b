"""What this machine, or the container that we are in, lets us use.

A container's limits count, not the machine's: ``os.cpu_count()`` and the memory of the host are wrong in most notebooks
in the cloud, and whoever believes them starts 64 workers on half a CPU.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

CGROUP_ROOT: Final = Path("/sys/fs/cgroup")
_UNLIMITED_BYTES: Final = 1 << 60
"""cgroup v1 writes a huge number where there is no limit."""


def cpu_count() -> int:
    """CPUs that this process may use: those that it may run on, and no more than the cgroup's quota; at least 1."""
    count = len(os.sched_getaffinity(0))
    quota = _cpu_quota()
    return max(1, count if quota is None else min(count, int(quota)))


def _cpu_quota() -> float | None:
    """The smallest quota of our cgroups, in CPUs."""
    quotas: list[float] = []
    for folder in _own_cgroups("cpu"):
        with suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = (folder / "cpu.max").read_text().split()
            quotas.append(float(quota) / float(period))
        with suppress(OSError, ValueError, ZeroDivisionError):
            quota_us = float((folder / "cpu.cfs_quota_us").read_text())
            if quota_us > 0:
                quotas.append(quota_us / float((folder / "cpu.cfs_period_us").read_text()))
    return min(quotas, default=None)


def memory_total_bytes() -> int:
    """Memory of the machine, or the smallest limit of our cgroups, whichever is less."""
    limits = [_meminfo("MemTotal")]
    for folder in _own_cgroups("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with suppress(OSError, ValueError):
                limit = int((folder / name).read_text())
                if limit < _UNLIMITED_BYTES:
                    limits.append(limit)
    return min(limits)


def memory_used_bytes() -> int:
    """Memory in use, without what the kernel would give back at once."""
    used = [_meminfo("MemTotal") - _meminfo("MemAvailable")]
    for folder in _own_cgroups("memory"):
        with suppress(OSError, ValueError):
            current = int((folder / "memory.current").read_text())
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            if (folder / "memory.max").read_text().strip() != "max":
                used.append(current - int(stat.get("inactive_file", 0)))
    return max(used)


def memory_of_groups(leaders: Mapping[str, int]) -> dict[str, int]:
    """Memory of process groups, without what they share with others (files, shared memory), in bytes.

    Parameters
    ----------
    leaders
        Any key -> the pid of the group's leader.
    """
    import psutil  # only where memory is short

    sizes = dict.fromkeys(leaders, 0)
    keys = {pid: key for key, pid in leaders.items()}
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            key = keys.get(os.getpgid(process.pid))
            if key is not None:
                memory = process.memory_info()
                sizes[key] += memory.rss - memory.shared
    return sizes


def visible_gpus() -> list[str] | None:
    """The names in ``CUDA_VISIBLE_DEVICES``; None: it is not set, and all are visible by their numbers."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return None
    names = [name.strip() for name in visible.split(",")]
    return [name for name in names if name and name != "-1"]


def check_gpus(wanted: float) -> None:
    """Raise `ValueError` where a node is to have more GPUs than this process may see."""
    visible = visible_gpus()
    if visible is not None and wanted > len(visible):
        raise ValueError(
            f"a node can't have {wanted:g} GPUs: CUDA_VISIBLE_DEVICES has {', '.join(visible) or 'none'}. "
            "Ask for no more (num_gpus), or change that variable."
        )


def gpu_count() -> int:
    """NVIDIA devices: those in ``CUDA_VISIBLE_DEVICES`` where it is set, else those that the driver lists."""
    visible = visible_gpus()
    if visible is not None:
        return len(visible)
    try:
        return len(os.listdir("/proc/driver/nvidia/gpus"))
    except OSError:
        return 0


def _meminfo(field: str) -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def _own_cgroups(controller: str) -> Iterator[Path]:
    """Folders of the cgroup that we are in and of those above it, version 2 and 1."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            root = CGROUP_ROOT
        elif controller in controllers.split(","):
            root = CGROUP_ROOT / controller
        else:
            continue
        # In a container the path may be the host's, which isn't there: then the root is our own.
        folder = root / path.lstrip("/")
        while True:
            if folder.is_dir():
                yield folder
            if folder == root:
                break
            folder = folder.parent


class CpuMeter:
    """How busy the machine's CPUs were since the last call."""

    def __init__(self) -> None:
        self._last = self._read()

    @staticmethod
    def _read() -> tuple[int, int]:
        with open("/proc/stat") as file:
            ticks = [int(field) for field in file.readline().split()[1:9]]
        return sum(ticks), ticks[3] + ticks[4]

    def percent(self) -> float:
        """0 to 100."""
        total, idle = self._read()
        total_before, idle_before = self._last
        self._last = total, idle
        passed = total - total_before
        return 100.0 * (1 - (idle - idle_before) / passed) if passed > 0 else 0.0
