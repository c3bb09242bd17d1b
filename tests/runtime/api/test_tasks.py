"""Remote functions: how they are declared, called, configured and composed."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.support.gate import Gate
from tests.support.module import Ray


def test_a_remote_function_gives_a_ref_at_once_and_its_value_later(ray: Ray) -> None:
    @ray.remote
    def square(x: int) -> int:
        return x * x

    ref = square.remote(7)
    assert isinstance(ref, ray.ObjectRef)
    assert ray.get(ref) == 49


def test_a_remote_function_takes_positional_keyword_and_default_arguments(ray: Ray) -> None:
    @ray.remote
    def collect(a: int, b: int = 2, *rest: int, c: int = 3, **more: int) -> object:
        return a, b, rest, c, more

    assert ray.get(collect.remote(1)) == (1, 2, (), 3, {})
    assert ray.get(collect.remote(1, 5, 6, 7, c=8, d=9)) == (1, 5, (6, 7), 8, {"d": 9})
    assert ray.get(collect.remote(b=1, a=2)) == (2, 1, (), 3, {})


def test_arguments_that_do_not_fit_are_refused_at_submission(ray: Ray) -> None:
    @ray.remote
    def one(a: int) -> int:
        return a

    with pytest.raises(TypeError):
        one.remote()
    with pytest.raises(TypeError):
        one.remote(1, 2)
    with pytest.raises(TypeError):
        one.remote(b=1)


def test_options_can_be_given_at_declaration(ray: Ray) -> None:
    @ray.remote(num_cpus=2, num_returns=2, max_retries=0)
    def pair() -> tuple[int, int]:
        return 1, 2

    first, second = pair.remote()
    assert ray.get([first, second]) == [1, 2]


def test_options_of_one_call_leave_the_declaration_as_it_was(ray: Ray) -> None:
    @ray.remote
    def three() -> tuple[int, int, int]:
        return 1, 2, 3

    changed = three.options(num_returns=3)
    assert ray.get(changed.remote()) == [1, 2, 3]
    assert ray.get(three.remote()) == (1, 2, 3)
    assert ray.get(three.options(name="once", num_cpus=0.5).remote()) == (1, 2, 3)


def test_a_function_without_results_gives_none(ray: Ray) -> None:
    @ray.remote(num_returns=0)
    def nothing() -> None:
        return None

    assert nothing.remote() is None


@pytest.mark.parametrize("options", [{"num_cpus": -1}, {"no_such_option": 1}, {"max_retries": -2}, {"num_returns": -1}])
def test_options_that_make_no_sense_are_refused(ray: Ray, options: dict[str, int]) -> None:
    def function() -> None: ...

    with pytest.raises((ValueError, TypeError)):
        ray.remote(**options)(function)
    with pytest.raises((ValueError, TypeError)):
        ray.remote(function).options(**options)


def test_only_functions_and_classes_can_be_remote(ray: Ray) -> None:
    for wrong in (42, "options"):
        with pytest.raises((TypeError, AssertionError)):
            ray.remote(wrong)  # pyright: ignore


def test_calling_a_remote_function_directly_is_a_type_error_that_names_it(ray: Ray) -> None:
    @ray.remote
    def wash() -> None: ...

    with pytest.raises(TypeError, match="wash"):
        wash()


def test_lambdas_and_closures_are_functions_too(ray: Ray) -> None:
    offset = 10
    assert ray.get(ray.remote(lambda x: x + offset).remote(1)) == 11


def test_a_function_sees_its_globals_as_they_were_at_its_first_call(ray: Ray) -> None:
    namespace: dict[str, object] = {"ray": ray, "__name__": "__main__"}
    exec("factor = 2\n@ray.remote\ndef scale(x):\n    return factor * x\n", namespace)
    scale = namespace["scale"]
    assert ray.get(scale.remote(4)) == 8  # type: ignore[attr-defined]


def test_a_redefined_function_is_the_new_one_everywhere_at_once(ray: Ray) -> None:
    for version in range(5):

        @ray.remote
        def current(value: int = version) -> int:
            return value

        @ray.remote
        def nested(inner: object = current) -> int:
            return ray.get(inner.remote())  # type: ignore[attr-defined]

        refs = [current.remote() for _ in range(8)]
        assert ray.get([*refs, nested.remote()]) == [version] * 9


def test_a_value_of_one_task_is_the_argument_of_the_next(ray: Ray) -> None:
    @ray.remote
    def add(a: int, b: int) -> int:
        return a + b

    total = add.remote(0, 0)
    for number in range(50):
        total = add.remote(total, b=number)
    assert ray.get(total) == sum(range(50))


def test_a_task_waits_for_its_arguments(ray: Ray, gate: Gate) -> None:
    slow = ray.remote(gate.through).remote(20)
    double = ray.remote(lambda x: 2 * x).remote(slow)
    assert ray.wait([double], timeout=0.1) == ([], [double])
    gate.open()
    assert ray.get(double) == 40


def test_tasks_start_tasks(ray: Ray) -> None:
    @ray.remote
    def leaf(x: int) -> int:
        return x + 1

    @ray.remote
    def parent(n: int) -> int:
        return sum(ray.get([leaf.remote(i) for i in range(n)]))

    assert ray.get([parent.remote(10) for _ in range(4)]) == [55] * 4


def test_a_graph_may_grow_while_it_runs(ray: Ray) -> None:
    @ray.remote
    def fibonacci(n: int) -> int:
        if n < 2:
            return n
        return sum(ray.get([fibonacci.remote(n - 1), fibonacci.remote(n - 2)]))

    assert ray.get(fibonacci.remote(7)) == 13


def test_tasks_that_wait_for_tasks_deeper_than_there_are_cpus_do_not_hang(ray: Ray) -> None:
    @ray.remote
    def descend(depth: int) -> int:
        return 0 if depth == 0 else 1 + ray.get(descend.remote(depth - 1))

    assert ray.get(descend.remote(12), timeout=60) == 12


def test_a_reduction_tree_gives_the_sum(ray: Ray) -> None:
    @ray.remote
    def add(a: int, b: int) -> int:
        return a + b

    level = [ray.put(number) for number in range(64)]
    while len(level) > 1:
        level = [add.remote(*pair) for pair in zip(level[::2], level[1::2], strict=True)]
    assert ray.get(level[0]) == sum(range(64))


def test_tasks_run_in_processes_of_their_own_and_at_the_same_time(ray: Ray, gate: Gate) -> None:
    import os

    def meet() -> int:
        import os

        gate_through()
        return os.getpid()

    gate_through = gate.through
    refs = [ray.remote(meet).remote() for _ in range(3)]
    gate.wait_for(3)  # all three are inside: none of them waits for another
    gate.open()
    pids = set(ray.get(refs))
    assert len(pids) == 3
    assert os.getpid() not in pids


def test_workers_do_not_share_a_random_state(ray: Ray, gate: Gate) -> None:
    through = gate.through

    @ray.remote
    def draw() -> tuple[float, float]:
        through()  # so that each draws in a worker of its own
        return random.random(), float(np.random.rand())

    refs = [draw.remote() for _ in range(4)]
    gate.wait_for(4)
    gate.open()
    drawn = ray.get(refs)
    assert len({first for first, _ in drawn}) == 4
    assert len({second for _, second in drawn}) == 4


def test_many_small_tasks_give_their_values_in_the_order_asked_for(ray: Ray) -> None:
    square = ray.remote(lambda x: x * x)
    assert ray.get([square.remote(i) for i in range(2_000)]) == [i * i for i in range(2_000)]


def test_a_generator_gives_a_fixed_number_of_results(ray: Ray) -> None:
    @ray.remote(num_returns=3)
    def count() -> object:
        yield from range(3)

    assert ray.get(count.remote()) == [0, 1, 2]


def test_a_wrong_number_of_results_is_an_error_of_each_ref(ray: Ray) -> None:
    @ray.remote(num_returns=2, max_retries=0)
    def one() -> tuple[int]:
        return (1,)

    for ref in one.remote():
        with pytest.raises(ValueError):
            ray.get(ref)


def test_a_function_that_captures_too_much_is_refused(ray: Ray) -> None:
    large = bytes(100 * 2**20)
    with pytest.raises(ValueError, match="too large"):
        ray.remote(lambda: len(large)).remote()
