"""A program of its own process that drives a cluster: one that can be stopped and killed, as a kernel can."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tests.support.stopped import stop_process

PATIENCE_S = 60.0
LOOP = """
import json, os, sys, traceback
answers = os.fdopen(int(sys.argv[1]), "w")
names = {"__name__": "__main__"}
for line in sys.stdin:
    try:
        exec(compile(json.loads(line), "<program>", "exec"), names)
        answer = {"value": names.pop("answer", None)}
    except BaseException:
        answer = {"error": traceback.format_exc()}
    print(json.dumps(answer), file=answers, flush=True)
"""


class Program:
    """Runs what it is told, in the order in which it is told."""

    def __init__(self, environment: Mapping[str, str], python: str = sys.executable) -> None:
        ours, theirs = os.pipe()
        command = [python, "-c", LOOP, str(theirs)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, env=dict(environment), pass_fds=[theirs], start_new_session=True
        )
        os.close(theirs)
        self._answers = ours
        self._read = b""

    @property
    def pid(self) -> int:
        return self._process.pid

    def begin(self, code: str) -> None:
        """Have it run something, without waiting for its end."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(code).encode() + b"\n")
        self._process.stdin.flush()

    def end(self, timeout_s: float = PATIENCE_S) -> Any:
        """Wait until the oldest of what was begun has ended; what it has bound to ``answer``."""
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._read:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"the program had no answer within {timeout_s} s"
            more = os.read(self._answers, 1 << 16)
            assert more, "the program has ended"
            self._read += more
        line, _, self._read = self._read.partition(b"\n")
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def run(self, code: str) -> Any:
        self.begin(code)
        return self.end()

    def stop(self) -> None:
        """It stands still, as one that computes with the GIL held."""
        stop_process(self.pid)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._close_pipe()

    def _close_pipe(self) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def close(self) -> None:
        """Idempotent."""
        if self._process.poll() is None:
            self.go_on()
            self._close_pipe()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        if self._answers >= 0:
            os.close(self._answers)
            self._answers = -1
