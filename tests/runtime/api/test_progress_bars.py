"""`experimental.tqdm_ray`: progress bars of tasks."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import pytest

from raynb.runtime.api import outputs
from tests.support.module import NAME, Ray
from tests.support.waiting import wait_until

bars = importlib.import_module(f"{NAME}.experimental.tqdm_ray")


def test_a_bar_follows_an_iterable(capsys: pytest.CaptureFixture[str]) -> None:
    bar = bars.tqdm(range(5), desc="steps", flush_interval_s=0)
    assert (bar.total, bar.n, list(bar), bar.n) == (5, 0, [0, 1, 2, 3, 4], 5)
    bar.close()
    assert "steps: 100%" in capsys.readouterr().err


def test_a_bar_is_moved_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    bar = bars.tqdm(total=10, unit="page", position=0)
    bar.update(3)
    bar.total, bar.n = 8, 4
    bar.set_description("read")
    bars.instance().hide_bars()
    bars.safe_print("beside it")
    bars.instance().unhide_bars()
    bar.refresh()
    bar.close()
    shown = capsys.readouterr()
    assert shown.out == "beside it\n" and "read:  50%" in shown.err and "4.00/8.00" in shown.err
    with pytest.raises(ValueError, match="No iterable"):
        list(bars.tqdm(total=3))


def test_nothing_is_drawn_without_tqdm(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.warns(UserWarning, match="not installed"):
        bar = bars.tqdm([1, 2])
    assert list(bar) == [1, 2] and bar.n == 2
    bar.close()
    assert capsys.readouterr().err == ""


def test_the_bar_of_a_task_is_shown_by_its_driver(ray: Ray, raynb_only: None) -> None:
    told: list[str] = []

    def listen(lines: list[Any]) -> None:
        told.extend(line.text for line in lines)

    def work() -> int:
        bar = bars.tqdm(range(3), desc="of a task")
        done = sum(bar)
        bar.close()
        return done

    outputs.listeners.add(listen)
    try:
        assert ray.get(ray.remote(work).remote()) == 3
        wait_until(lambda: "of a task: 100%" in "".join(told))
    finally:
        outputs.listeners.discard(listen)
