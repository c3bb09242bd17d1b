"""The thread of the widgets is there as long as there is something to look at."""

from __future__ import annotations

import logging
import threading

import pytest

from raynb.widgets.sampling import Sampler
from tests.support.waiting import wait_until


def thread_of(sampler: Sampler) -> threading.Thread | None:
    return sampler._thread


def test_it_ends_with_the_last_sample() -> None:
    sampler, calls = Sampler(), []

    def sample() -> float | None:
        calls.append(threading.current_thread().name)
        return 0.001 if len(calls) < 3 else None

    sampler.add(sample)
    thread = thread_of(sampler)
    assert thread is not None
    thread.join(10)
    assert calls == ["raynb-widgets"] * 3
    assert thread_of(sampler) is None


def test_it_starts_again() -> None:
    sampler, called = Sampler(), threading.Event()
    sampler.add(lambda: None)
    wait_until(lambda: thread_of(sampler) is None)
    sampler.add(lambda: called.set())
    assert called.wait(10)


def test_what_is_removed_is_not_called_any_more() -> None:
    sampler = Sampler()
    sampler.add(first := lambda: 0.001)
    sampler.add(second := lambda: 3600.0)
    sampler.remove(first)
    assert thread_of(sampler) is not None
    sampler.remove(second)
    wait_until(lambda: thread_of(sampler) is None)


def test_an_error_ends_one_sample_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    sampler, called = Sampler(), threading.Event()

    def fails() -> float | None:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR, logger="raynb"):
        sampler.add(fails)
        sampler.add(lambda: called.set(), 0.01)
        assert called.wait(10)
        wait_until(lambda: thread_of(sampler) is None)
    assert "ZeroDivisionError" in caplog.text


def test_one_that_is_added_while_it_says_never_again_is_called_again() -> None:
    sampler, calls, second = Sampler(), [], threading.Event()

    def sample() -> float | None:
        calls.append(1)
        if len(calls) == 1:
            sampler.add(sample)
        else:
            second.set()
        return None

    sampler.add(sample)
    assert second.wait(10)
