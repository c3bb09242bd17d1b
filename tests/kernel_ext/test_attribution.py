"""Whose output is it? Cells that run one after the other, at the same time, and again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.magics.kernel import Kernel, notebook_kernel

CELLS = 20


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    with notebook_kernel(
        "%config RaynbMagics.fold_lines = False\n"
        "@ray.remote\ndef say(number, rounds=5):\n"
        "    for i in range(rounds):\n        print(f'cell {number} line {i}')\n"
        "    os.system(f'echo cell {number} shell')\n"
        "    if number == 13: raise ValueError(f'cell {number} is unlucky')\n"
        "@ray.remote\ndef hold(text, path):\n"
        "    print(text, 'begins')\n    while not os.path.exists(path): time.sleep(0.005)\n    print(text, 'ends')\n"
    ) as kernel:
        yield kernel


def numbers_in(text: str) -> set[int]:
    return {int(number) for number in re.findall(r"cell (\d+)", text)}


def test_run_all_over_twenty_cells_puts_everything_where_it_belongs(kernel: Kernel) -> None:
    requests = [
        kernel.send(f"refs{number} = [say.remote({number}) for _ in range(3)]", f"cell-{number}")
        for number in range(CELLS)
    ]
    names = ", ".join(f"*refs{number}" for number in range(CELLS) if number != 13)
    done = kernel.run(f"ray.get([{names}])", "the last")
    failed = kernel.run("ray.get(refs13)", "asks for the unlucky")
    for number, request in enumerate(requests):
        kernel.wait_until(lambda: kernel.printed(request).count("\n") >= 3 * 6)  # noqa: B023
        assert numbers_in(kernel.printed(request)) == {number}
        assert kernel.printed(request).count("shell") == 3
    assert kernel.printed(done) == ""
    assert "cell 13 is unlucky" in kernel.errors(failed)
    assert not any(kernel.errors(request) for request in requests)


def test_task_cells_run_together_show_each_its_own_and_one_that_fails_its_error(kernel: Kernel) -> None:
    requests = []
    for number in range(CELLS):
        after = f"base = {number}" if number == 0 else f"base = previous{number - 1} and {number}"
        failure = "\nraise RuntimeError('cell 7 breaks')" if number == 7 else ""
        # What comes after the one that fails needs it not.
        if number == 8:
            after = "base = 8"
        body = f"%%remote\n{after}\nprint('cell {number} prints')\nprevious{number} = True{failure}"
        requests.append(kernel.send(body, f"task-{number}"))
    kernel.run(f"ray.get(previous{CELLS - 1})")
    for number, request in enumerate(requests):
        kernel.wait_until(lambda: "prints" in kernel.printed(request))  # noqa: B023
        assert numbers_in(kernel.printed(request)) == {number}
    kernel.wait_until(lambda: kernel.errors(requests[7]))
    assert "cell 7 breaks" in kernel.errors(requests[7])
    assert [number for number, request in enumerate(requests) if kernel.errors(request)] == [7]


def test_a_cell_that_runs_again_has_its_own_output_and_so_has_its_first_run(kernel: Kernel, tmp_path: Path) -> None:
    gates = [tmp_path / "first", tmp_path / "second"]
    first = kernel.run(f"a = hold.remote('first run', {str(gates[0])!r})", "same cell")
    second = kernel.run(f"b = hold.remote('second run', {str(gates[1])!r})", "same cell")
    for request in (first, second):
        kernel.wait_until(lambda: "begins" in kernel.printed(request))  # noqa: B023
    gates[1].touch()
    kernel.run("ray.get(b)")
    gates[0].touch()
    kernel.run("ray.get(a)")
    kernel.wait_until(lambda: "ends" in kernel.printed(first) and "ends" in kernel.printed(second))
    assert kernel.printed(first) == "first run begins\nfirst run ends\n"
    assert kernel.printed(second) == "second run begins\nsecond run ends\n"


def test_what_tasks_submit_prints_into_the_cell_that_began_it(kernel: Kernel) -> None:
    kernel.run(
        "@ray.remote\ndef parent(number):\n    ray.get([say.remote(number) for _ in range(2)])\n"
        "@ray.remote\nclass Speaker:\n    def say(self, text): print(text)\n"
        "speaker = Speaker.options(num_cpus=0).remote()"
    )
    request = kernel.run("ray.get(parent.remote(99)); ray.get(speaker.say.remote('cell 99 speaks'))")
    other = kernel.run("ray.get(speaker.say.remote('cell 100 speaks'))")
    kernel.wait_until(lambda: kernel.printed(request).count("\n") >= 13 and kernel.printed(other))
    assert numbers_in(kernel.printed(request)) == {99}
    assert numbers_in(kernel.printed(other)) == {100}
