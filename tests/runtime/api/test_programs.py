"""Ray programs run unchanged: those that everyone starts with, as scripts and line by line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import module
from tests.support.leaks import processes_of
from tests.support.module import Ray
from tests.support.waiting import wait_until

SQUARES = """\
import raynb as ray
ray.init()
@ray.remote
def f(x):
    return x * x
futures = [f.remote(i)
           for i in range(4)]
print(ray.get(futures))
# [0, 1, 4, 9]
"""

COUNTERS = """\
import raynb as ray
ray.init()
@ray.remote
class Counter(object):
    def __init__(self): self.n = 0
    def increment(self): self.n += 1
    def read(self): return self.n
counters = [Counter.remote() for i in range(4)]
[c.increment.remote() for c in counters]
print(ray.get([c.read.remote() for c in counters]))
"""


def run(folder: Path, program: str, name: str = "program.py") -> str:
    """What a program prints to stdout when it is run as a script; it must end well."""
    script = folder / name
    script.write_text(program.replace("import raynb as ray", f"import {module.NAME} as ray"))
    command = [sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


@pytest.mark.parametrize(("program", "printed"), [(SQUARES, "[0, 1, 4, 9]"), (COUNTERS, "[1, 1, 1, 1]")])
def test_a_first_program_runs_verbatim_as_a_script(tmp_path: Path, program: str, printed: str) -> None:
    assert last_line(run(tmp_path, program)) == printed


@pytest.mark.parametrize(("program", "name", "value"), [(SQUARES, "futures", [0, 1, 4, 9]), (COUNTERS, "", None)])
def test_a_first_program_runs_inside_a_process_that_is_connected_already(
    ray: Ray, program: str, name: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    namespace: dict[str, object] = {"ray": ray, "__name__": "__main__"}
    body = "\n".join(program.splitlines()[2:])  # this process has done the first two lines
    exec(compile(body, "<program>", "exec"), namespace)
    assert last_line(capsys.readouterr().out) in ("[0, 1, 4, 9]", "[1, 1, 1, 1]")
    if name:
        assert ray.get(namespace[name]) == value


def test_modules_beside_the_script_can_be_imported_in_tasks(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("def answer():\n    return 42\n")
    program = """\
import raynb as ray
import beside
ray.init(num_cpus=1, include_dashboard=False)
@ray.remote
def ask():
    import beside as found
    return found.answer() + beside.answer()
print(ray.get(ask.remote()))
"""
    assert last_line(run(tmp_path, program)) == "84"


def test_what_a_task_prints_appears_where_the_driver_prints(tmp_path: Path) -> None:
    program = """\
import raynb as ray
ray.init(num_cpus=1, include_dashboard=False)
@ray.remote
def talk():
    print("said", "in a task")
ray.get(talk.remote())
ray.shutdown()
"""
    # Lines of tasks carry where they come from, so the text may stand inside of a line.
    assert "said in a task" in run(tmp_path, program)


def test_quick_tasks_run_although_the_script_that_called_them_ends(tmp_path: Path) -> None:
    program = """\
import raynb as ray
ray.init(num_cpus=2, include_dashboard=False)
@ray.remote
def talk(said):
    print(said)
@ray.remote
def forever():
    import threading
    threading.Event().wait()
forever.remote()
talk.remote("said by a task")
"""
    assert "said by a task" in run(tmp_path, program)


@pytest.mark.usefixtures("raynb_only")
def test_a_script_that_ends_without_shutdown_leaves_no_process(tmp_path: Path) -> None:
    program = """\
import raynb as ray
context = ray.init(num_cpus=2, include_dashboard=False)
@ray.remote
class Actor:
    def pid(self):
        return 1
actor = Actor.remote()
ray.get(actor.pid.remote())
print(context["session_dir"])
"""
    session = Path(last_line(run(tmp_path, program))).name
    wait_until(lambda: not processes_of(session), 5.0, f"processes of {session} are gone")


def test_a_script_that_fails_ends_with_its_own_error(tmp_path: Path) -> None:
    script = tmp_path / "fails.py"
    script.write_text(
        f"import {module.NAME} as ray\nray.init(num_cpus=1, include_dashboard=False)\nraise SystemExit('enough')\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 1
    assert "enough" in done.stderr


PRINTS = """\
import raynb as ray
ray.init(num_cpus=1)
@ray.remote
def blank(): print()
class Speaker:
    def __init__(self): print("begins")
    def speak(self): print("speaks")
class Described(Speaker):
    def __repr__(self): return "Described(7)"
ray.get(blank.remote())
for each in Speaker, Described:
    ray.get(ray.remote(each).remote().speak.remote())
ray.shutdown()
"""


def test_what_is_printed_says_which_task_or_actor_it_is_of(tmp_path: Path) -> None:
    words = [re.sub(r" pid=\d+", "", line) for line in run(tmp_path, PRINTS).splitlines()]
    assert words == [
        "(blank) ",
        "(Speaker) begins",
        "(Speaker) speaks",
        "(Described) begins",
        "(Described(7)) speaks",
    ]


def test_what_is_printed_is_not_shown_where_that_is_not_wanted(tmp_path: Path) -> None:
    assert run(tmp_path, PRINTS.replace("num_cpus=1", "num_cpus=1, log_to_driver=False")) == ""
    by_variable = PRINTS.replace("import raynb", "import os; os.environ['RAY_LOG_TO_DRIVER'] = '0'; import raynb")
    assert run(tmp_path, by_variable) == ""


ENDED = """\
import atexit, os, signal
import raynb as ray
ray.init(num_cpus=1)
atexit.register(print, "at the end", ray.is_initialized())
ready, told = os.pipe()
child = os.fork()
if child == 0:
    os.write(told, b".")  # before that Python may lose a signal
    signal.pause()
os.read(ready, 1)
os.kill(child, signal.SIGTERM)
print("child", os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)
try:
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()
except SystemExit as end:
    print("ended by", end.code)
    raise
finally:
    print("left")
"""


def test_a_driver_that_is_asked_to_end_does_so_in_order(tmp_path: Path) -> None:
    script = tmp_path / "ended.py"
    script.write_text(ENDED.replace("import raynb as ray", f"import {module.NAME} as ray"))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    words = ["child 15", "ended by 15", "left", "at the end True"]
    assert (done.returncode, done.stdout.splitlines()) == (15, words), done.stderr


KEEPS_ITS_OWN = """\
import os, signal
signal.signal(signal.SIGTERM, lambda number, frame: print("mine"))
import raynb as ray
ray.init(num_cpus=1)
os.kill(os.getpid(), signal.SIGTERM)
ray.shutdown()
"""


@pytest.mark.usefixtures("raynb_only")
def test_a_program_s_own_way_to_end_is_left_alone(tmp_path: Path) -> None:
    assert run(tmp_path, KEEPS_ITS_OWN) == "mine\n"
