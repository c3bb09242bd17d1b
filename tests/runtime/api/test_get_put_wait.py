"""`get`, `put` and `wait`: what they take, what they give, what they refuse."""

from __future__ import annotations

import time

import pytest

from tests.support.gate import Gate
from tests.support.module import Ray


@pytest.mark.parametrize(
    "value",
    [None, 0, 3.5, "text", b"bytes", [1, [2]], {"a": (1, 2)}, {1, 2}, True, 2**80, ...],
    ids=repr,
)
def test_what_is_put_comes_back(ray: Ray, value: object) -> None:
    ref = ray.put(value)
    assert ray.get(ref) == value
    assert ray.get(ray.remote(lambda x: x).remote(value)) == value


def test_get_takes_a_list_of_refs_and_keeps_its_order(ray: Ray) -> None:
    refs = [ray.put(number) for number in (3, 1, 2)]
    assert ray.get(refs) == [3, 1, 2]
    assert ray.get([]) == []
    assert ray.get([refs[0], refs[0]]) == [3, 3]


@pytest.mark.parametrize("wrong", [1, "ref", {"a": 1}, None], ids=repr)
def test_get_of_something_else_is_refused(ray: Ray, wrong: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        ray.get(wrong)


def test_get_of_a_list_with_something_else_in_it_is_refused(ray: Ray) -> None:
    with pytest.raises((TypeError, ValueError)):
        ray.get([ray.put(1), 1])


def test_get_gives_a_copy_that_the_program_may_change(ray: Ray) -> None:
    ref = ray.put([1, 2])
    ray.get(ref).append(3)
    assert ray.get(ref) == [1, 2]


def test_get_gives_up_after_its_timeout(ray: Ray, errors: object, gate: Gate) -> None:
    ref = ray.remote(gate.through).remote(1)
    started = time.monotonic()
    with pytest.raises(ray.exceptions.GetTimeoutError):
        ray.get(ref, timeout=0.1)
    assert 0.1 <= time.monotonic() - started < 2
    with pytest.raises(TimeoutError):
        ray.get([ray.put(1), ref], timeout=0)
    gate.open()
    assert ray.get(ref) == 1


def test_a_timeout_of_zero_gives_what_is_there(ray: Ray) -> None:
    ref = ray.put("here")
    assert ray.get(ref, timeout=0) == "here"


def test_put_of_a_ref_is_refused(ray: Ray) -> None:
    with pytest.raises(TypeError):
        ray.put(ray.put(1))


def test_every_put_is_an_object_of_its_own(ray: Ray) -> None:
    assert ray.put(1) != ray.put(1)


def test_wait_gives_what_is_ready_and_what_is_not(ray: Ray, gate: Gate) -> None:
    ready, blocked = ray.put(1), ray.remote(gate.through).remote(2)
    assert ray.wait([blocked, ready], timeout=5) == ([ready], [blocked])
    assert ray.wait([blocked], timeout=0) == ([], [blocked])
    gate.open()
    assert ray.wait([blocked], timeout=20) == ([blocked], [])


@pytest.mark.parametrize("asked", [1, 3, 5])
def test_wait_gives_as_many_as_were_asked_for_and_both_lists_in_the_order_given(ray: Ray, asked: int) -> None:
    refs = [ray.put(number) for number in range(5)]
    ready, rest = ray.wait(refs, num_returns=asked)
    assert len(ready) == asked
    assert ready == [ref for ref in refs if ref in ready]
    assert rest == [ref for ref in refs if ref not in ready]


def test_wait_comes_back_with_fewer_when_its_time_is_up(ray: Ray, gate: Gate) -> None:
    refs = [ray.put(0), ray.remote(gate.through).remote(1)]
    assert ray.wait(refs, num_returns=2, timeout=0.1) == (refs[:1], refs[1:])


def test_wait_counts_a_failed_task_as_ready(ray: Ray) -> None:
    failed = ray.remote(lambda: 1 / 0).remote()
    assert ray.wait([failed], timeout=20) == ([failed], [])


def test_wait_pops_all_refs_one_by_one(ray: Ray) -> None:
    task = ray.remote(lambda x: x)
    left = [task.remote(number) for number in range(100)]
    seen = []
    while left:
        (done,), left = ray.wait(left, timeout=20)
        seen.append(ray.get(done))
    assert sorted(seen) == list(range(100))


def test_wait_refuses_the_same_ref_twice(ray: Ray) -> None:
    ref = ray.put(1)
    with pytest.raises(ValueError):
        ray.wait([ref, ref])


def test_wait_refuses_numbers_that_make_no_sense(ray: Ray) -> None:
    refs = [ray.put(1)]
    with pytest.raises(ValueError):
        ray.wait(refs, num_returns=0)
    with pytest.raises(ValueError):
        ray.wait(refs, num_returns=2)
    with pytest.raises(ValueError):
        ray.wait(refs, timeout=-1)


@pytest.mark.parametrize("wrong", [1, "refs", [1]], ids=repr)
def test_wait_refuses_what_is_not_a_list_of_refs(ray: Ray, wrong: object) -> None:
    with pytest.raises(TypeError):
        ray.wait(wrong)


def test_wait_refuses_a_single_ref(ray: Ray) -> None:
    with pytest.raises(TypeError):
        ray.wait(ray.put(1))


def test_wait_of_nothing_is_nothing(ray: Ray) -> None:
    assert ray.wait([]) == ([], [])
