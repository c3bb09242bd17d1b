"""Who refers to which objects and why, as the text that ``memory_summary`` makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raynb._private.internal_api import memory_summary
from tests.support.cluster import cluster_of
from tests.support.module import Ray
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("raynb_only")
HERE = Path(__file__).name


def lines_of(text: str, *words: str) -> list[str]:
    return [line for line in text.splitlines() if all(word in line for word in words)]


def test_a_put_is_shown_with_the_line_that_made_it(ray: Ray) -> None:
    ref = ray.put("kept")
    (line,) = lines_of(memory_summary(), ref.hex())
    assert "| Driver  | (put object) " in line and f"{HERE}:test_a_put_" in line
    assert "LOCAL_REFERENCE" in line
    del ref
    wait_until(lambda: not lines_of(memory_summary(), HERE))


def test_an_argument_is_shown_at_the_caller_and_at_the_worker_that_reads_it(ray: Ray) -> None:
    @ray.remote
    def look(array: Any) -> str:
        return memory_summary()

    ref = look.remote(np.zeros(100_000))
    text = ray.get(ref)
    (used,) = lines_of(text, "USED_BY_PENDING_TASK")
    (read,) = lines_of(text, "PINNED_IN_MEMORY")
    assert "| Driver  | (task call) " in used and HERE in used
    assert "| Worker  | (deserialize task arg) " in read and read.rsplit(" | ", 1)[1] == used.rsplit(" | ", 1)[1]
    (result,) = lines_of(text, ref.hex())
    assert "(task call)" in result and "| SUBMITTED_TO_WORKER " in result and "| ? " in result


def test_what_an_actor_keeps_is_shown_as_its_own(ray: Ray) -> None:
    @ray.remote
    class Keeper:
        def keep(self, given: list[Any]) -> None:
            self.kept = given

    keeper = Keeper.remote()
    ref = ray.put(np.zeros(100_000))
    ray.get(keeper.keep.remote([ref]))
    text = memory_summary(group_by="STACK_TRACE", sort_by="PID")
    assert text.startswith(
        "Grouping by stack trace...        Sorting by pid...        Display all entries per group...\n"
    )
    assert lines_of(text, ref.hex(), "(deserialize actor task arg)", "LOCAL_REFERENCE")
    assert lines_of(text, "--- Summary for stack trace: (deserialize actor task arg)")
    assert lines_of(text, "ACTOR_HANDLE", "(actor call)")


def test_the_sums_are_those_of_the_kinds(ray: Ray) -> None:
    inner = ray.put(np.zeros(100_000))
    outer = ray.put([inner])
    del inner
    text = memory_summary(num_entries=1, units="MB")
    heads, sums = (text.splitlines()[at] for at in (4, 5))
    assert heads.split("  ")[0] == "Mem Used by Objects" and "Captured in Objects" in heads
    assert sums[heads.index("Captured in Objects") :].startswith("1, (0.76")
    assert len(lines_of(text, " | Driver  | ")) == 1
    assert ray.get(outer)


@pytest.mark.parametrize(("name", "value"), [("units", "stones"), ("sort_by", "colour"), ("group_by", "taste")])
def test_what_it_does_not_know_it_names(name: str, value: str) -> None:
    wrong: dict[str, Any] = {name: value}
    with pytest.raises(ValueError, match=f"{name} must be one of .*, not '{value}'"):
        memory_summary(**wrong)


def test_where_calls_were_made_is_shown_if_it_is_to_be_noted(bare_ray: Ray) -> None:
    class Keeper:
        def call(self) -> int:
            return 1

    if bare_ray.is_initialized():
        bare_ray.shutdown()
    with cluster_of(bare_ray, num_cpus=1, _system_config={"record_ref_creation_sites": True}):
        keeper = bare_ray.remote(Keeper).remote()
        refs = [bare_ray.remote(lambda: 1).remote(), keeper.call.remote(), bare_ray.put(1)]
        bare_ray.get(refs)
        text = memory_summary()
        for ref, what in zip(refs, ("(task call)", "(actor call)", "(put object)"), strict=True):
            assert ref.call_site().startswith(what) and f"{HERE}:test_where_calls_" in ref.call_site()
            assert lines_of(text, ref.hex(), f"| {ref.call_site()} |")
        for _ in range(20):
            assert keeper.call.remote().call_site().startswith("(actor call) "), "also at once"
