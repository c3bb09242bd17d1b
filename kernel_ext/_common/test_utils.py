"""Helpers for tests of programs, under the names of ``ray._common.test_utils``."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, Final

from raynb._common.prometheus import (
    MetricSamplePattern,
    PrometheusTimeseries,
    fetch_prometheus,
    fetch_prometheus_metric_timeseries,
    fetch_prometheus_metrics,
    fetch_prometheus_timeseries,
    fetch_raw_prometheus,
)
from raynb.differences import OWN_WORKINGS, absent_names
from raynb.runtime.adapters.ray_alias import VARIABLE
from raynb.runtime.api.remote import make_remote

__all__ = [
    "MetricSamplePattern",
    "PrometheusTimeseries",
    "Semaphore",
    "SignalActor",
    "async_wait_for_condition",
    "fetch_prometheus",
    "fetch_prometheus_metric_timeseries",
    "fetch_prometheus_metrics",
    "fetch_prometheus_timeseries",
    "fetch_raw_prometheus",
    "is_named_tuple",
    "run_string_as_driver",
    "run_string_as_driver_stdout_stderr",
    "wait_for_condition",
]

DEFAULT_DRIVER_TIMEOUT_SECONDS: Final = 300
"""How long a program may take that is given as text."""

NOT_MET: Final = "The condition wasn't met before the timeout expired."


class _Signal:
    """Lets as many wait as like, until somebody says `send`."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._waiters = 0

    async def send(self, clear: bool = False) -> None:
        """Let all go on; with ``clear`` only those that wait now."""
        self._event.set()
        if clear:
            self._event.clear()

    async def wait(self, should_wait: bool = True) -> None:
        """Return when it was sent; at once without ``should_wait``."""
        if not should_wait:
            return
        self._waiters += 1
        try:
            await self._event.wait()
        finally:
            self._waiters -= 1

    async def cur_num_waiters(self) -> int:
        """How many wait now."""
        return self._waiters


class _Semaphore:
    """So many may have it at once."""

    def __init__(self, value: int = 1) -> None:
        self._semaphore = asyncio.Semaphore(value)

    async def acquire(self) -> None:
        """Return when it is had."""
        await self._semaphore.acquire()

    async def release(self) -> None:
        """Give it back."""
        self._semaphore.release()

    async def locked(self) -> bool:
        """Whether the next one would have to wait."""
        return self._semaphore.locked()


def _actor(kind: type, name: str) -> Any:
    # Workers find the class under its public name only as an actor: so it travels itself.
    kind.__name__ = kind.__qualname__ = name
    return make_remote(kind, {"num_cpus": 0, "max_concurrency": 1000})


SignalActor = _actor(_Signal, "SignalActor")
Semaphore = _actor(_Semaphore, "Semaphore")


def wait_for_condition(
    condition_predictor: Callable[..., Any],
    timeout: float = 10,
    retry_interval_ms: float = 100,
    raise_exceptions: bool = False,
    **kwargs: Any,
) -> None:
    """Ask until the answer is true.

    Parameters
    ----------
    raise_exceptions
        What the condition raises ends the wait; else it counts as no.
    **kwargs
        The condition gets them.

    Raises
    ------
    RuntimeError
        The time is over; it has what was raised last.
    """
    deadline = time.monotonic() + timeout
    raised = ""
    while True:
        try:
            if condition_predictor(**kwargs):
                return
        except Exception:
            if raise_exceptions:
                raise
            raised = traceback.format_exc()
        if time.monotonic() > deadline:
            raise RuntimeError(_not_met(raised))
        time.sleep(retry_interval_ms / 1000)


async def async_wait_for_condition(
    condition_predictor: Callable[..., Any | Awaitable[Any]],
    timeout: float = 10,
    retry_interval_ms: float = 100,
    **kwargs: Any,
) -> None:
    """As `wait_for_condition`; the condition may be a coroutine function."""
    deadline = time.monotonic() + timeout
    raised = ""
    while True:
        try:
            answer = condition_predictor(**kwargs)
            if await answer if isinstance(answer, Awaitable) else answer:
                return
        except Exception:
            raised = traceback.format_exc()
        if time.monotonic() > deadline:
            raise RuntimeError(_not_met(raised))
        await asyncio.sleep(retry_interval_ms / 1000)


def _not_met(raised: str) -> str:
    return f"{NOT_MET} Last exception: {raised}" if raised else NOT_MET


def run_string_as_driver(
    driver_script: str,
    env: dict[str, str] | None = None,
    encode: str = "utf-8",
    timeout: float | None = DEFAULT_DRIVER_TIMEOUT_SECONDS,
) -> str:
    """Run a program that is given as text, in a process of its own; what it wrote to both streams.

    Raises
    ------
    subprocess.CalledProcessError
        It failed; ``output`` is what it wrote.
    """
    return _run(driver_script, env, encode, timeout, subprocess.STDOUT)[0]


def run_string_as_driver_stdout_stderr(
    driver_script: str,
    env: dict[str, str] | None = None,
    encode: str = "utf-8",
    timeout: float | None = DEFAULT_DRIVER_TIMEOUT_SECONDS,
) -> tuple[str, str]:
    """As `run_string_as_driver`, with the streams apart."""
    return _run(driver_script, env, encode, timeout, subprocess.PIPE)


def _run(script: str, env: dict[str, str] | None, encode: str, timeout: float | None, stderr: int) -> tuple[str, str]:
    done = subprocess.run(
        driver_command(), input=script.encode(encode), stdout=subprocess.PIPE, stderr=stderr, env=env, timeout=timeout
    )
    out, err = done.stdout.decode(encode), (done.stderr or b"").decode(encode)
    if done.returncode:
        print(out, err, sep="\n", file=sys.stderr)
        raise subprocess.CalledProcessError(done.returncode, done.args, out, err)
    return out, err


def driver_command() -> list[str]:
    """How Python is started for a program that it reads from its input: one that may say ``import ray``, as this one
    does."""
    if os.environ.get(VARIABLE) == "1":
        return [sys.executable, "-m", "raynb.as_ray", "-"]
    return [sys.executable, "-"]


def is_named_tuple(cls: type) -> bool:
    """Whether a class was made by ``namedtuple``."""
    fields = getattr(cls, "_fields", None)
    return cls.__bases__ == (tuple,) and isinstance(fields, tuple) and all(type(name) is str for name in fields)


__getattr__ = absent_names(
    "_common.test_utils",
    dict.fromkeys(
        (
            "FakeTimer", "TelemetryCallsite",
            "assert_tensors_equivalent", "check_library_usage_telemetry", "simulate_s3_bucket",
        ),
        OWN_WORKINGS,
    ),
)  # fmt: skip
