"""Tasks and actors that wait for each other in a circle get an error that names it, instead of waiting for ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raynb.runtime.client.inquiry import Inquiry
from raynb.runtime.client.refs import current
from tests.support.module import Ray
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("raynb_only")


def test_two_actors_that_call_each_other(ray: Ray) -> None:
    @ray.remote(num_cpus=0)
    class Half:
        def meet(self, other: Any) -> str:
            self.other = other
            return "met"

        def ask(self) -> Any:
            return ray.get(self.other.answer.remote())

        def answer(self) -> Any:
            return ray.get(self.other.late.remote())

        def late(self) -> str:
            return "late"

    left, right = Half.remote(), Half.remote()
    ray.get([left.meet.remote(right), right.meet.remote(left)])
    with pytest.raises(ray.exceptions.DeadlockError, match=r"Half\.(answer|late).*so neither ends") as caught:
        ray.get(left.ask.remote(), timeout=60)
    assert "Let one of them not wait" in str(caught.value)
    assert ray.get(left.late.remote(), timeout=60) == "late"


def test_an_actor_that_waits_for_itself(ray: Ray) -> None:
    @ray.remote(num_cpus=0)
    class Selfish:
        def know(self, me: list[Any]) -> None:
            self.me = me[0]

        def ask(self) -> Any:
            return ray.get(self.me.late.remote())

        def late(self) -> str:
            return "late"

    actor = Selfish.remote()
    ray.get(actor.know.remote([actor]))
    with pytest.raises(ray.exceptions.DeadlockError, match="late"):
        ray.get(actor.ask.remote(), timeout=60)


def test_a_long_wait_that_is_no_circle_goes_on(ray: Ray, tmp_path: Path) -> None:
    gate, began = tmp_path / "gate", tmp_path / "began"

    @ray.remote(num_cpus=0)
    def slow() -> str:
        import time

        began.touch()
        while not gate.exists():
            time.sleep(0.01)
        return "slow"

    @ray.remote(num_cpus=0)
    def waits() -> Any:
        return ray.get(slow.remote())

    ref = waits.remote()
    wait_until(began.exists, 30)
    assert Inquiry(current()).circle(ref._id) is None
    gate.touch()
    assert ray.get(ref, timeout=60) == "slow"


def test_a_wait_with_a_timeout_ends_by_that(ray: Ray) -> None:
    @ray.remote(num_cpus=0)
    class Selfish:
        def know(self, me: list[Any]) -> None:
            self.me = me[0]

        def ask(self) -> Any:
            try:
                ray.get(self.me.late.remote(), timeout=4)
            except ray.exceptions.GetTimeoutError:
                return "in time"

        def late(self) -> str:
            return "late"

    actor = Selfish.remote()
    ray.get(actor.know.remote([actor]))
    assert ray.get(actor.ask.remote(), timeout=60) == "in time"
