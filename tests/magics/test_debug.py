"""`%raynb debug` in a real kernel: a failed task runs again there, under the debugger."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.magics.kernel import Kernel, notebook_kernel
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    """A kernel with raynb loaded and a cluster of two CPUs that keeps little."""
    little = "_system_config={'failures_kept': 4, 'failures_kept_bytes': 3_000_000}"
    with notebook_kernel("import numpy as np", config=little) as made:
        yield made


def fail(kernel: Kernel, cell: str) -> None:
    """Run a cell that ends in the failure of its task."""
    request = kernel.run(cell)
    assert kernel.errors(request), kernel.printed(request)


def test_a_failed_task_is_examined_at_the_frame_that_failed(kernel: Kernel) -> None:
    kernel.run("@ray.remote\ndef share(total, parts):\n    left = total\n    return left / parts")
    fail(kernel, "ray.get(share.remote(ray.put(17), parts=0))")
    ran = kernel.converse("%raynb debug", ["p left, total, parts", "q"])
    printed = kernel.printed(ran)
    assert "share runs again, here" in printed and "ZeroDivisionError: division by zero" in printed
    assert "(17, 17, 0)" in printed
    assert "return left / parts" in printed, "the line that failed"
    assert "failures.py" not in printed and "debug.py" not in printed, "raynb's own frames"
    assert not kernel.errors(ran)


def test_in_a_task_cell_the_frames_are_the_cells_own_lines(kernel: Kernel) -> None:
    kernel.run("rows = np.arange(100_000)")
    cell = kernel.run("%%remote\ncount = len(rows)\n\nratio = 1 / (count - 100_000)")
    kernel.wait_until(lambda: kernel.errors(cell))
    ran = kernel.converse("%raynb debug", ["p count, rows.flags.writeable", "up", "q"])
    printed = kernel.printed(ran)
    assert "----> 4 ratio = 1 / (count - 100_000)" in printed
    assert "(100000, False)" in printed
    assert "Oldest frame" in printed, "above the cell there is nothing"


def test_arrays_are_read_only_as_in_the_task(kernel: Kernel) -> None:
    kernel.run("@ray.remote\ndef change(array):\n    array[0] = 1")
    fail(kernel, "ray.get(change.remote(ray.put(np.zeros(100_000))))")
    ran = kernel.converse("%raynb debug", ["p array.flags.writeable, array.shape", "q"])
    assert "(False, (100000,))" in kernel.printed(ran)


def test_a_reference_says_which_failure_is_meant_and_its_dependents_mean_the_same(kernel: Kernel) -> None:
    kernel.run("@ray.remote\ndef first():\n    marker = 'one'\n    raise KeyError(marker)")
    kernel.run("@ray.remote\ndef second(x):\n    return x")
    kernel.run("@ray.remote\ndef third():\n    raise OSError('another')")
    fail(kernel, "a = first.remote(); b = second.remote(a); ray.get(b)")
    fail(kernel, "ray.get(third.remote())")
    kernel.run("parts = [ray.put(1), b]")
    for name in ("a", "b", "parts[1]", "parts"):
        assert "'one'" in kernel.printed(kernel.converse(f"%raynb debug {name}", ["p marker", "q"]))
    assert "third runs again" in kernel.printed(kernel.converse("%raynb debug", ["q"]))


def test_args_binds_the_inputs_and_runs_nothing(kernel: Kernel) -> None:
    kernel.run("@ray.remote\ndef loud(x, *, y):\n    print('it runs')\n    raise ValueError(x)")
    fail(kernel, "ray.get(loud.remote([1], y=ray.put('why')))")
    bound = kernel.run("%raynb debug --args")
    assert "args[0] = [1]" in kernel.printed(bound) and "kwargs['y'] = 'why'" in kernel.printed(bound)
    assert kernel.printed(kernel.run("print(args, kwargs)")).strip() == "([1],) {'y': 'why'}"
    kernel.run("n, ref = 3, ray.put(4)")
    cell = kernel.run("%%remote\nm = n / (ref - 4)")
    kernel.wait_until(lambda: kernel.errors(cell))
    kernel.run("%raynb debug --args")
    assert kernel.printed(kernel.run("print(args, kwargs)")).strip() == "() {'n': 3, 'ref': 4}"


def test_what_does_not_fail_again_gives_its_value(kernel: Kernel) -> None:
    kernel.run(
        "import os\nhere = os.getpid()\n@ray.remote\ndef elsewhere():\n    assert os.getpid() == here\n    return 7"
    )
    fail(kernel, "ray.get(elsewhere.remote())")
    ran = kernel.run("%raynb debug")
    assert "did not fail this time" in kernel.printed(ran)
    assert kernel.shown(ran) == ["7"]


def test_a_method_of_an_actor_is_shown_and_not_run(kernel: Kernel) -> None:
    kernel.run("@ray.remote\nclass Account:\n    def take(self, amount):\n        raise ValueError(amount)")
    fail(kernel, "account = Account.remote()\nray.get(account.take.remote(5))")
    ran = kernel.run("%raynb debug")
    printed = kernel.printed(ran)
    assert "state that it works on is in the actor" in printed
    assert "raise ValueError(amount)" in printed and "line 4, in take" in printed and "args[0] = 5" in printed


def test_a_front_end_without_input_gets_the_traceback_and_the_inputs(kernel: Kernel) -> None:
    fail(kernel, "ray.get(share.remote(1, 0))")
    printed = kernel.printed(kernel.run("%raynb debug"))
    assert "return left / parts" in printed and "can't ask for commands" in printed and "args[1] = 0" in printed


def test_what_is_kept_is_bounded_and_seen_as_a_holder(kernel: Kernel) -> None:
    kernel.run("@ray.remote\ndef refuse(x):\n    raise ValueError(len(x))")
    fail(kernel, "r = refuse.remote(ray.put(np.zeros(300_000)))\nray.get(r)")
    kernel.run("from raynb.util.state import list_objects")
    kept = kernel.run("print([o['failed_tasks'] for o in list_objects(detail=True) if o['object_size'] > 2_000_000])")
    assert kernel.printed(kept).strip() == "[1]"
    fail(kernel, "ray.get(refuse.remote(ray.put(np.zeros(200_000))))")
    gone = kernel.run("%raynb debug r")
    assert "kept up to 3.0 MB" in kernel.errors(gone) and "failures_kept_bytes" in kernel.errors(gone)
    assert "ValueError: 300000" in kernel.errors(gone), "at least how it failed is told"
    kernel.run("for i in range(4):\n    try: ray.get(share.remote(i, 0))\n    except ZeroDivisionError: pass")
    many = kernel.run("%raynb debug r")
    assert "many others have failed since" in kernel.errors(many)
    usage = "import gc; gc.collect(); print(ray.object_store_usage()['used_bytes'])"
    wait_until(lambda: int(kernel.printed(kernel.run(usage))) < 1_000_000, what="the inputs' memory is free")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%raynb debug 17", "neither a variable"),
        ("%raynb debug number", "no reference, but a int"),
        ("%raynb debug nothing_here", "the notebook has no `nothing_here`"),
        ("%raynb debug holder", "is an actor, not a task"),
        ("%raynb debug fine", "it has not failed"),
    ],
)
def test_what_cannot_be_debugged_is_said_in_a_line(kernel: Kernel, line: str, words: str) -> None:
    kernel.run("fine, number = ray.put(1), 17")
    kernel.run("@ray.remote(num_cpus=0)\nclass Holder:\n    pass\nholder = Holder.remote()")
    ran = kernel.run(line)
    assert words in kernel.errors(ran) and "Traceback" not in kernel.errors(ran)
