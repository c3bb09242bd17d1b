"""What a task prints is shown, also where its process is killed before it could send that."""

from __future__ import annotations

import subprocess
from pathlib import Path

from raynb.runtime.api.last_words import WORKERS_MAX, Heard
from raynb.runtime.messages.tasks import DISPLAY, LastWords, OutputLine, TaskOutput

TASK = b"t" * 24


def line(text: str, stream: str = "stdout") -> OutputLine:
    return OutputLine("cell", TASK, "f", 7, stream, text)


def words(out: bytes, err: bytes = b"", out_end: int | None = None) -> LastWords:
    return LastWords("w", 7, "cell", TASK, (out, err), (len(out) if out_end is None else out_end, len(err)), "A")


def texts(lines: list[OutputLine]) -> list[tuple[str, str]]:
    return [(line.stream, line.text) for line in lines]


def test_of_a_log_that_is_new_which_nobody_has_sent() -> None:
    heard = Heard()
    assert texts(heard.lines("w", TaskOutput([line("one\n")], 0, (4, 0)))) == [("stdout", "one\n")]
    assert texts(heard.last_lines(words(b"one\ntwo\n", b"oh\n"))) == [("stdout", "two\n"), ("stderr", "oh\n")]
    assert texts(heard.lines("w", TaskOutput([line("two\n"), line("{}", DISPLAY)], 0, (8, 0)))) == [(DISPLAY, "{}")]


def test_what_begins_later_in_the_log_or_was_told_wholly() -> None:
    heard = Heard()
    heard.lines("w", TaskOutput([], 0, (103, 0)))
    (found,) = heard.last_lines(words(b"abcdefgh", out_end=108))
    assert (found.text, found.cell, found.task_id, found.pid, found.name) == ("defgh", "cell", TASK, 7, "A")
    heard = Heard()
    heard.lines("w", TaskOutput([], 0, (200, 0)))
    assert heard.last_lines(words(b"abc", out_end=103)) == []


def test_it_does_not_grow_with_the_workers() -> None:
    heard = Heard()
    for number in range(WORKERS_MAX + 10):
        heard.lines(f"w{number}", TaskOutput([], 0, (1, 1)))
    assert repr(heard) == f"<Heard {WORKERS_MAX} workers, 0 to the last>"


def test_all_that_a_killed_worker_has_printed_is_shown_once(python: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import ctypes, os, signal, sys, time\n"
        "import raynb as ray\n"
        "ray.init(num_cpus=2)\n"
        "@ray.remote(max_retries=0)\n"
        "def prints(how):\n"
        "    for number in range(60):\n"
        "        print(how, 'line', number)\n"
        "        if number % 20 == 19:\n"
        "            time.sleep(0.06)\n"  # some of it is sent
        "    print(how, 'ends', file=sys.stderr)\n"
        "    if how == 'exit':\n"
        "        os._exit(3)\n"
        "    if how == 'kill':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    os.write(1, b'written beside\\n')\n"
        "    ctypes.string_at(0)\n"
        "@ray.remote\n"
        "class Actor:\n"
        "    def prints(self):\n"
        "        print('in an actor')\n"
        "        os._exit(4)\n"
        "@ray.remote\n"
        "def asks():\n"
        "    ray.wait([prints.options(name='inner').remote('nested')])\n"
        "actor = Actor.remote()\n"
        "refs = [prints.remote('exit'), prints.remote('kill'), actor.prints.remote(), asks.remote()]\n"
        "ray.wait(refs, num_returns=4)\n"
    )
    done = subprocess.run([python, str(script)], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.count(") in an actor\n") == 1 and "(Actor pid=" in done.stdout
    for how in ("exit", "kill", "nested"):
        for number in range(60):
            assert done.stdout.count(f") {how} line {number}\n") == 1, (how, number, done.stdout)
        assert done.stderr.count(f") {how} ends\n") == 1, (how, done.stderr)
    assert done.stdout.count(") written beside\n") == 1
    assert "Fatal Python error: Segmentation fault" in done.stderr
