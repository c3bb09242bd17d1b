"""What is said of tasks that are tried again."""

from __future__ import annotations

import pytest

from raynb.runtime.client.failure_news import NAMES_MAX, WINDOW_S, RetryNews
from raynb.runtime.client.failures import from_exception
from raynb.runtime.core.client_effects import Retried
from raynb.runtime.messages.errors import RayTaskError
from raynb.runtime.messages.node import LOG_END
from raynb.runtime.messages.values import Failed


def of(name: str, left: int) -> Retried:
    return Retried(Failed("WorkerCrashedError", "it died"), left, "", name)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_it_says_what_failed_why_and_how_often_it_may_be_tried() -> None:
    news = RetryNews(Clock())
    assert news.text(of("f", 2)) == (
        "Task f failed. There are 2 retries remaining, so the task will be retried. Error: it died"
    )
    assert "infinite retries remaining" in news.text(of("f", -1))


class AskingForTwo(Exception):
    def __init__(self, left: int, right: int) -> None:
        super().__init__(f"{left} and {right}")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("no\nno"), "ValueError: no\nno"),
        (RayTaskError("inner", "Traceback", KeyError("k")).as_instanceof_cause(), "KeyError: 'k'"),
        (AskingForTwo(1, 2), "The exception of a task can't be unpickled here"),
    ],
)
def test_what_a_task_raised_is_told_in_short(error: Exception, told: str) -> None:
    failure = from_exception(error, "outer", 7)
    said = RetryNews(Clock()).text(Retried(failure, 1, "", "f")).partition(" Error: ")[2]
    assert said.startswith(told) and "Traceback" not in said


def test_the_end_of_a_log_has_been_shown_already() -> None:
    failure = Failed("WorkerCrashedError", f"it died: exit code 1. {LOG_END}\nline 1\nline 2.")
    assert RetryNews(Clock()).text(Retried(failure, 1, "", "f")).endswith("Error: it died: exit code 1.")


def test_of_many_in_a_short_time_it_says_it_once() -> None:
    clock = Clock()
    news = RetryNews(clock)
    assert [bool(news.text(of("f", 3))) for _ in range(41)] == [True] + 40 * [False]
    assert news.text(of("f", 2)) and news.text(of("g", 3)), "others are others"
    clock.now += WINDOW_S
    assert news.text(of("f", 3)).startswith("Task f failed (and 40 more since the last time).")
    clock.now += WINDOW_S
    assert news.text(of("f", 3)).startswith("Task f failed.")


def test_it_does_not_grow_with_the_names() -> None:
    news = RetryNews(Clock())
    assert all(news.text(of(f"f{number}", 1)) for number in range(NAMES_MAX + 1))
    assert news.text(of("f0", 1)), "the oldest is forgotten"
    assert not news.text(of(f"f{NAMES_MAX}", 1))
