"""A kernel that is restarted finds its cluster again; one that is shut down takes it along."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.magics.kernel import Kernel
from tests.support.waiting import wait_until

BEGIN = "%load_ext raynb\nimport os, raynb as ray\ncontext = ray.init(num_cpus=1)"
KEEPER = """
@ray.remote(num_cpus=0)
class Keeper:
    def __init__(self): self.kept = []
    def keep(self, value): self.kept.append(value); return self.kept
    def pid(self): return os.getpid()
"""


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    kernel = Kernel()
    yield kernel
    kernel.run("import raynb; raynb.shutdown()")
    kernel.close()


def begin(kernel: Kernel, cell: str = BEGIN) -> tuple[str, int]:
    """What the cell printed, and the pid of the cluster's node manager."""
    request = kernel.run(cell)
    assert not kernel.errors(request), kernel.errors(request)
    pid = kernel.value("int(__import__('json').load(open(context['session_dir'] + '/config'))['pid'])")
    return kernel.printed(request), pid


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("how", ["restarted", "killed"])
def test_a_kernel_finds_its_cluster_and_what_is_detached_again(kernel: Kernel, how: str) -> None:
    _, cluster = begin(kernel)
    kernel.run(KEEPER + "\nkeeper = Keeper.options(name='keeper', lifetime='detached').remote()")
    before = kernel.value("ray.get(keeper.keep.remote(1)) and ray.get(keeper.pid.remote())")
    if how == "killed":
        os.kill(kernel.value("os.getpid()"), signal.SIGKILL)
    kernel.restart()
    printed, again = begin(kernel)
    assert "cluster of before" in printed
    assert again == cluster
    assert kernel.value("ray.get(ray.get_actor('keeper').keep.remote(2))") == [1, 2]
    assert kernel.value("ray.get(ray.get_actor('keeper').pid.remote())") == before


def test_auto_is_this_notebooks_cluster_also_where_there_are_others(kernel: Kernel) -> None:
    _, cluster = begin(kernel)
    other = Kernel()
    try:
        _, others = begin(other)
        assert others != cluster
        kernel.restart()
        _, again = begin(kernel, BEGIN.replace("num_cpus=1", "address='auto'"))
        assert again == cluster
        other.run("ray.shutdown()")
    finally:
        other.close()


def test_a_cluster_that_is_not_what_is_asked_for_is_left_to_its_end(kernel: Kernel) -> None:
    _, cluster = begin(kernel)
    kernel.restart()
    printed, again = begin(kernel, BEGIN.replace("num_cpus=1", "num_cpus=2"))
    assert "CPU=2" in printed
    assert again != cluster
    os.kill(cluster, signal.SIGTERM)
    wait_until(lambda: not alive(cluster), 10)


def test_a_kernel_that_is_shut_down_takes_its_cluster_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    kernel = Kernel()
    _, cluster = begin(kernel)
    kernel.close()
    wait_until(lambda: not alive(cluster), 10)


def test_a_second_cluster_that_makes_it_too_many_cpus_says_so(kernel: Kernel) -> None:
    begin(kernel, BEGIN.replace("num_cpus=1", "num_cpus=1"))
    other = Kernel()
    try:
        printed, _ = begin(other, BEGIN.replace("num_cpus=1", f"num_cpus={os.cpu_count() or 1}"))
        assert "will slow each other down" in printed
        other.run("ray.shutdown()")
    finally:
        other.close()
