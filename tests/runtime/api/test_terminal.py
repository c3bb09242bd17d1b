"""What a script shows of the output of its tasks."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from raynb._private.ray_constants import TESTING_NEVER_DEDUP_TOKEN
from raynb.runtime.api.terminal import HOW_TO, Terminal
from raynb.runtime.messages.tasks import OutputLine
from tests.support.waiting import wait_until


def said(pid: int, text: str, stream: str = "stdout", name: str = "f") -> list[OutputLine]:
    return [OutputLine("", b"t" * 24, name, pid, stream, f"{text}\n")]


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_a_line_of_several_processes_is_shown_once_and_then_how_often_it_came(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal = Terminal({})
    for pid in (1, 1, 2, 3, 1):
        terminal.take(said(pid, f"step {pid} of many"), 0)
    assert shown(capsys) == ["(f pid=1) step 1 of many"] * 2, "one process may repeat itself"
    terminal.settle()
    assert shown(capsys) == [f"(f pid=1) step 1 of many [repeated 3x across cluster]{HOW_TO}"]
    for pid in (1, 2, 3):
        terminal.take(said(pid, "another"), 0)
    terminal.settle()
    assert shown(capsys) == ["(f pid=1) another", "(f pid=3) another [repeated 2x across cluster]"], "the way out, once"


def test_a_line_that_came_once_more_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal({})
    terminal.take(said(1, "twice"), 0)
    terminal.take(said(2, "twice"), 0)
    terminal.settle()
    assert shown(capsys) == ["(f pid=1) twice", "(f pid=2) twice"]


def test_numbers_alone_are_never_held_back(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal({})
    for pid in range(4):
        terminal.take(said(pid, str(pid)), 0)
    assert shown(capsys) == [f"(f pid={pid}) {pid}" for pid in range(4)]
    terminal.settle()
    assert shown(capsys) == []


def test_each_state_of_a_progress_bar_is_a_line_and_none_is_held_back(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal({})
    for pid in (1, 2):
        terminal.take(said(pid, "\rdone: 50%\rdone: 100%"), 0)
    assert shown(capsys) == [f"(f pid={pid}) done: {done}%" for pid in (1, 2) for done in (50, 100)]
    terminal.settle()
    assert shown(capsys) == []


def test_the_two_streams_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal({})
    terminal.take(said(1, "same"), 0)
    terminal.take(said(2, "same", "stderr"), 0)
    assert tuple(capsys.readouterr()) == ("(f pid=1) same\n", "(f pid=2) same\n")
    terminal.settle()


def test_repetitions_are_told_by_themselves_and_counted_on(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal({"RAY_DEDUP_LOGS_AGG_WINDOW_S": "0.05"})
    out: list[str] = []

    def told() -> list[str]:
        out.extend(shown(capsys))
        return [line for line in out if "repeated" in line]

    for pid in (1, 2, 3):
        terminal.take(said(pid, "again"), 0)
    wait_until(lambda: len(told()) == 1)
    for pid in (1, 2, 3, 4):
        terminal.take(said(pid, "again"), 0)
    wait_until(lambda: len(told()) == 2)
    assert "[repeated 2x" in told()[0]
    assert "[repeated 4x" in told()[1]
    terminal.settle()


def test_what_is_remembered_is_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal({})
    for pid in (1, 2, 3):
        terminal.take(said(pid, "first"), 0)
    for i in range(1000):
        terminal.take(said(1, "x" * (i + 1)), 0)
    assert [line for line in shown(capsys) if "repeated 2x" in line], "told before it is forgotten"
    terminal.settle()


def test_it_can_be_switched_off_and_told_what_to_show(capsys: pytest.CaptureFixture[str]) -> None:
    off = Terminal({"RAY_DEDUP_LOGS": "0"})
    folding = Terminal({})
    chosen = Terminal({"RAY_DEDUP_LOGS_ALLOW_REGEX": "^keep", "RAY_DEDUP_LOGS_SKIP_REGEX": "noise"})
    for pid in (1, 2):
        off.take(said(pid, "same"), 0)
        folding.take(said(pid, f"keep this{TESTING_NEVER_DEDUP_TOKEN}"), 0)
        chosen.take(said(pid, "keep this"), 0)
        chosen.take(said(pid, "some noise"), 0)
    for terminal in (off, chosen, folding):
        terminal.settle()
    kept = ("same", f"keep this{TESTING_NEVER_DEDUP_TOKEN}", "keep this")
    assert shown(capsys) == [f"(f pid={pid}) {text}" for pid in (1, 2) for text in kept]


@pytest.mark.parametrize(
    ("name", "value"),
    [("RAY_DEDUP_LOGS_AGG_WINDOW_S", "soon"), ("RAY_DEDUP_LOGS_SKIP_REGEX", "("), ("RAY_DEDUP_LOGS_ALLOW_REGEX", "[")],
)
def test_a_variable_without_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        Terminal({name: value})


def test_a_script_shows_what_its_workers_repeat_once_and_how_often_before_it_ends(python: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, raynb as ray\n"
        "ray.init(num_cpus=2)\n"
        "@ray.remote\n"
        "class Speaks:\n"
        "    def speak(self):\n"
        "        print('hello from', os.getpid())\n"
        "actors = [Speaks.remote() for _ in range(5)]\n"
        "ray.get([actor.speak.remote() for actor in actors])\n"
    )
    done = subprocess.run(
        [python, str(script)], env=dict(os.environ), capture_output=True, text=True, timeout=90, check=True
    )
    lines = [line for line in done.stdout.splitlines() if "hello from" in line]
    assert len(lines) == 2, done.stdout
    assert "[repeated 4x across cluster]" in lines[1]
