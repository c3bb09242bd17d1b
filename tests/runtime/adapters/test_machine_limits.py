"""A container's limits count, not the machine's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raynb.runtime.adapters import machine_limits

GIB = 1 << 30


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of our cgroup (version 2), whose parent is the container's."""
    monkeypatch.setattr(machine_limits, "CGROUP_ROOT", tmp_path)
    read_text = Path.read_text

    def patched(self: Path, *args: str, **kwargs: str) -> str:
        if str(self) == "/proc/self/cgroup":
            return "0::/pod/notebook\n"
        return read_text(self, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", patched)
    folder = tmp_path / "pod" / "notebook"
    folder.mkdir(parents=True)
    return folder


def test_without_a_limit_it_is_the_machine(cgroup: Path) -> None:
    assert machine_limits.cpu_count() == len(os.sched_getaffinity(0))
    assert machine_limits.memory_total_bytes() == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(("quota", "cpus"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None)])
def test_a_cpu_quota_counts_and_one_cpu_is_the_least(cgroup: Path, quota: str, cpus: int | None) -> None:
    (cgroup / "cpu.max").write_text(quota)
    assert machine_limits.cpu_count() == (cpus or len(os.sched_getaffinity(0)))


def test_a_limit_of_a_cgroup_above_ours_counts_too(cgroup: Path) -> None:
    (cgroup / "memory.max").write_text("max")
    (cgroup.parent / "memory.max").write_text(str(GIB))
    assert machine_limits.memory_total_bytes() == GIB


def test_memory_that_the_kernel_would_give_back_is_not_in_use(cgroup: Path) -> None:
    huge = 1 << 45
    (cgroup / "memory.max").write_text(str(2 * huge))
    (cgroup / "memory.current").write_text(str(huge + GIB))
    (cgroup / "memory.stat").write_text(f"anon 5\ninactive_file {GIB}\n")
    assert machine_limits.memory_used_bytes() == huge


@pytest.mark.parametrize(("visible", "count"), [("", 0), ("-1", 0), ("0,2", 2), ("GPU-8a7", 1)])
def test_visible_gpus_are_counted(monkeypatch: pytest.MonkeyPatch, visible: str, count: int) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert machine_limits.gpu_count() == count


def test_the_meter_shows_a_share_of_the_machine() -> None:
    meter = machine_limits.CpuMeter()
    assert 0.0 <= meter.percent() <= 100.0
