"""Each command of `%raynb` in a real IPython, on a real cluster."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from raynb.magics.commands import COMMANDS, HOMES
from raynb.magics.commands.why import with_names
from raynb.magics.connected import need_cluster
from raynb.magics.errors import OptionError
from raynb.runtime.api import cluster as api
from raynb.runtime.client.why import Why
from tests.magics.notebook import Notebook
from tests.support.gate import Gate
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("cluster")

DEFINITIONS = """
import raynb as ray
through = ray.remote(gate.through)

@ray.remote
def load(n):
    print("loading", n)
    return n

@ray.remote
def join(*parts):
    return sum(parts)

@ray.remote
def divide(n):
    return n / 0

@ray.remote
class Counter:
    def __init__(self):
        self.n = 0
    def add(self):
        print("counting")
        self.n += 1
        return self.n
    def stay(self, gate):
        gate.through()
"""


@pytest.fixture
def gate(tmp_path: Path, notebook: Notebook) -> Any:
    """The notebook has some remote functions and an actor class; `through` waits for the test."""
    made = Gate(tmp_path / "gate")
    notebook.namespace()["gate"] = made
    notebook.must(DEFINITIONS)
    yield made
    made.open()


def show(notebook: Notebook, line: str) -> str:
    """What a command shows and prints, as a terminal has it."""
    notebook.screens.clear()
    ran = notebook.must(line)
    return "\n".join([ran.stdout, *(text for screen in notebook.screens for text in screen.texts)])


def html(notebook: Notebook, line: str) -> str:
    """What a command shows in a notebook."""
    notebook.screens.clear()
    notebook.must(line)
    return "".join(data["text/html"] for screen in notebook.screens for data, _ in screen.shown.values())


def refused(notebook: Notebook, line: str) -> str:
    """The error of a command, which is no stack."""
    ran = notebook.run(line)
    assert isinstance(ran.error, OptionError), ran.error
    assert "Traceback" not in ran.stdout
    return str(ran.error)


def row(shown: str, *words: str) -> str:
    """The one line that has all these words."""
    (found,) = [line for line in shown.splitlines() if all(word in line.split() for word in words)]
    return found


class Cells(HTMLParser):
    """The texts of a table's cells, and every tag that there is."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self._inside = tag in {"td", "th"}
        if self._inside:
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.cells[-1] += data


# -- all of them


def test_each_module_of_a_command_is_listed_and_keeps_to_the_convention() -> None:
    folder = Path(api.__file__).parents[2] / "magics" / "commands"
    modules = {f"raynb.magics.commands.{path.stem}" for path in folder.glob("[!_]*.py")}
    assert modules <= set(HOMES.values())
    for command in COMMANDS.values():
        assert command.options.usage.startswith(f"%raynb {command.name}") and command.summary.endswith(".")


@pytest.mark.parametrize("name", HOMES)
def test_each_command_has_help(notebook: Notebook, name: str) -> None:
    printed = notebook.must(f"%raynb {name} --help").stdout
    assert printed.startswith(f"usage: %raynb {name}")
    assert COMMANDS[name].summary.split(".")[0] in " ".join(printed.split())


def test_a_command_that_is_not_used_is_not_loaded(notebook: Notebook) -> None:
    code = """
    import sys
    from raynb.magics.cluster import ClusterCommands
    from raynb.magics.commands import COMMANDS
    assert "tasks" in COMMANDS
    print([name for name in sys.modules if name.startswith("raynb.magics.commands.")])
    """
    run = [sys.executable, "-c", textwrap.dedent(code)]
    assert subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip() == "[]"


# -- scale


def test_scale_says_from_what_to_what(notebook: Notebook, gate: Gate) -> None:
    assert "4 CPU now (2 before)" in show(notebook, "%raynb scale 4")
    notebook.must("refs = [through.remote() for _ in range(3)]")
    gate.wait_for(3)
    assert "3 are in use still" in show(notebook, "%raynb scale 2")
    assert api.cluster_resources()["CPU"] == 2
    gate.open()
    notebook.must("ray.get(refs)")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("scale", "required: N"),
        ("scale many", "expects a number"),
        ("scale -2", "can't be negative"),
        ("scale 2 3", "takes one N: '3' is too many"),
    ],
)
def test_scale_says_what_it_expects(notebook: Notebook, line: str, words: str) -> None:
    assert words in refused(notebook, f"%raynb {line}")


# -- nodes, tasks


def test_nodes_shows_what_is_in_use(notebook: Notebook) -> None:
    shown = show(notebook, "%raynb nodes")
    assert "1 node" in shown and "ALIVE" in shown and "of 2 CPU" in shown and "127.0.0.1" in shown


def test_tasks_are_listed_the_newest_first(notebook: Notebook, gate: Gate) -> None:
    notebook.must("ref = load.options(name='first').remote(1)\nray.get(ref)")
    notebook.must("bad = divide.options(name='second').remote(1)\nray.wait([bad])")
    shown = show(notebook, "%raynb tasks --limit 2")
    lines = [line for line in shown.splitlines() if "first" in line.split() or "second" in line.split()]
    assert "FAILED" in lines[0] and "division by zero" in lines[0]
    assert "FINISHED" in lines[1]


def test_tasks_are_filtered_by_state_and_name(notebook: Notebook, gate: Gate) -> None:
    notebook.must("refs = [through.options(name='held').remote() for _ in range(3)]")
    gate.wait_for(2)
    assert "2 tasks of held in state RUNNING" in show(notebook, "%raynb tasks --name held --state running")
    assert "3 tasks of held" in show(notebook, "%raynb tasks --name held")
    gate.open()
    notebook.must("ray.get(refs)")
    assert "3 tasks of held in state FINISHED" in show(notebook, "%raynb tasks --name held --state FINISHED")


def test_many_tasks_are_counted_exactly_and_summed_up_by_function(notebook: Notebook, gate: Gate) -> None:
    notebook.must("many = [join.options(name='many').remote(n) for n in range(150)]\nray.get(many)")
    shown = show(notebook, "%raynb tasks --limit 3")
    total = sum(sum(each["state_counts"].values()) for each in api.query("task_summary", limit=1000)["rows"])
    assert f"The newest 3 of {total:,} tasks" in shown and "More with --limit" in shown
    assert "All tasks, by function" in shown
    assert row(shown, "many", "150").split()[:3] == ["many", "150", "150"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("tasks --state runing", "did you mean RUNNING?"),
        ("tasks --name laod", "Did you mean load?"),
        ("tasks --limit x", "expects a whole number"),
        ("tasks --limit 99999", "at most 10000"),
        ("tasks --stat RUNNING", "Did you mean --state?"),
        ("tasks --cell 4711", "no cell In[4711] has run"),
        ("tasks load", "takes options only, not 'load'"),
    ],
)
def test_what_tasks_does_not_understand_is_named(notebook: Notebook, gate: Gate, line: str, words: str) -> None:
    notebook.must("ray.get(load.remote(1))")
    assert words in refused(notebook, f"%raynb {line}")


def test_names_of_tasks_are_shown_as_text(notebook: Notebook, gate: Gate) -> None:
    notebook.must("evil = '<img src=x onerror=alert(1)>\\x1b[31m\\u202e'")
    notebook.must("ray.get(join.options(name=evil).remote(1))")
    page = Cells(html(notebook, "%raynb tasks --limit 5"))
    assert any("<img src=x onerror=alert(1)>" in cell for cell in page.cells)
    assert "img" not in page.tags
    text = show(notebook, "%raynb tasks --limit 5")
    assert "\x1b" not in text and "\u202e" not in text


# -- actors


def test_actors_say_what_runs_and_how_many_calls_wait(notebook: Notebook, gate: Gate) -> None:
    notebook.must("counter = Counter.options(name='cnt', max_restarts=2).remote()\nray.get(counter.add.remote())")
    notebook.must("calls = [counter.stay.remote(gate), counter.add.remote(), counter.add.remote()]")
    gate.wait_for(1)
    line = row(show(notebook, "%raynb actors"), "cnt")
    assert "ALIVE" in line and " stay " in line and " 2 " in line and "0 of 2" in line and "counter" in line.split()
    gate.open()
    notebook.must("ray.get(calls)\nray.kill(counter)")
    wait_until(lambda: "DEAD" in row(show(notebook, "%raynb actors"), "cnt"))
    assert "killed by `ray.kill`" in row(show(notebook, "%raynb actors --state dead --name cnt"), "cnt")


def test_actors_are_asked_for_by_name(notebook: Notebook, gate: Gate) -> None:
    notebook.must("one = Counter.options(name='one').remote()\nray.get(one.add.remote())")
    assert "1 actor, 1 alive" in show(notebook, "%raynb actors --name one")
    assert "Did you mean one?" in refused(notebook, "%raynb actors --name onne")
    notebook.must("del one")


# -- objects


def test_objects_are_named_as_the_notebook_names_them(notebook: Notebook, gate: Gate) -> None:
    notebook.must("import numpy as np\nstored = ray.put(np.zeros(300_000))\nview = ray.get(stored)[10:20]")
    notebook.must("parts = [load.remote(n) for n in range(3)]\ntable = {'a': ray.put('x')}\nray.get(parts)")
    notebook.must("load.remote(5)")
    number = max(notebook.namespace()["Out"])
    shown = show(notebook, "%raynb objects --limit 50")
    line = row(shown, "stored,", "view")
    assert "ndarray" in line and "2.4 MB" in line and "STORED" in line and "put" in line.split()
    assert "load" in row(shown, "parts[2]") and "str" in row(shown, "table['a']")
    assert row(shown, f"Out[{number}]")
    notebook.must("del stored")
    assert row(show(notebook, "%raynb objects --limit 50"), "view").split()[0] == "view"
    notebook.must("del view, parts, table")
    assert "ndarray" not in show(notebook, "%raynb objects --limit 50")


def test_dataframes_and_arrow_tables_hold_what_they_view(notebook: Notebook, gate: Gate) -> None:
    notebook.must("import numpy as np, pandas as pd, pyarrow as pa")
    notebook.must("df = ray.get(ray.put(pd.DataFrame({'x': np.arange(100_000), 'y': np.zeros(100_000)})))")
    notebook.must("tb = ray.get(ray.put(pa.table({'x': np.arange(100_000)})))")
    shown = show(notebook, "%raynb objects")
    assert "DataFrame" in row(shown, "df") and "Table" in row(shown, "tb")
    notebook.must("del df, tb")


def test_objects_without_a_name_and_what_is_left_out_are_said(notebook: Notebook, gate: Gate) -> None:
    notebook.must("Out.clear()\nheld = [ray.put(n) for n in range(30)]")
    shown = show(notebook, "%raynb objects --limit 5")
    assert "smaller ones are left out" in shown
    notebook.must("class Hidden: pass\nhidden = Hidden()\nhidden.ref = ray.put('deep')")
    assert "that no name holds" in show(notebook, "%raynb objects --unnamed")
    assert "held" not in show(notebook, "%raynb objects --unnamed")
    notebook.must("del held, hidden")


def test_the_pending_tasks_of_an_object_are_counted(notebook: Notebook, gate: Gate) -> None:
    notebook.must("source = ray.put(1)\nusers = [through.remote(source) for _ in range(2)]")
    gate.wait_for(2)
    fields = row(show(notebook, "%raynb objects"), "source,", "through").split()
    assert fields[-2:] == ["1", "2"], "one reference, two tasks"
    gate.open()
    notebook.must("ray.get(users)")


# -- why


def test_why_takes_what_names_a_reference(notebook: Notebook, gate: Gate) -> None:
    notebook.must("parts = [through.options(name='part').remote(n) for n in range(4)]")
    gate.wait_for(2)
    notebook.must("total = join.remote(*parts)\nby = {'t': total}\ncounter = Counter.options(name='cnt').remote()")
    for text in ("total", "by['t']", 'by["t"]'):
        assert "join waits for 4 inputs, first of all for part, which has been running" in show(
            notebook, f"%raynb why {text}"
        )
    assert "part waits for 1 CPU" in show(notebook, "%raynb why parts[3]")
    shown = show(notebook, "%raynb why parts")
    assert "parts: 4 of 4 have no value yet" in shown and "2 x part" in shown
    task_id = row(show(notebook, "%raynb tasks --name join --limit 1"), "join", "PENDING_ARGS_AVAIL").split()[0]
    assert "join waits for 4 inputs" in show(notebook, f"%raynb why {task_id}")
    full = notebook.namespace()["total"].hex()
    assert "join waits for 4 inputs" in show(notebook, f"%raynb why {full}")
    wait_until(lambda: "has nothing to do" in show(notebook, "%raynb why counter"))
    assert "Counter 'cnt' is alive" in show(notebook, "%raynb why cnt")
    page = html(notebook, "%raynb why total")
    assert "<strong>join waits for" in page
    gate.open()
    notebook.must("ray.get(total)\ndel counter")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("why", "required: REF"),
        ("why nothing_here", "the notebook has no `nothing_here`"),
        ("why resul", "Did you mean result?"),
        ("why number", "`number` is no reference, but a int"),
        ("why result[0]", "`result[0]`: TypeError"),
        ("why things[9]", "`things[9]`: IndexError"),
        ("why print(1)", "neither a variable"),
        ("why result --now", "there is no option --now"),
    ],
)
def test_what_why_can_not_explain_is_named(notebook: Notebook, gate: Gate, line: str, words: str) -> None:
    notebook.must("result = load.remote(1)\nnumber = 7\nthings = [result]")
    assert words in refused(notebook, f"%raynb {line}")


def test_why_names_what_of_the_notebook_fills_the_store(notebook: Notebook, gate: Gate) -> None:
    notebook.must("import numpy as np\nsmall, large = ray.put(np.zeros(50_000)), ray.put(np.zeros(90_000))")
    full = Why("store", "huge waits for room.", "Let go.")
    named = with_names(full, need_cluster(), notebook.namespace())
    assert named.fix.startswith("Here large (720.3 kB); small (400.3 kB)") and named.fix.endswith("hold most. Let go.")


# -- graph, timeline, logs


def test_the_graph_shows_whose_values_go_where(notebook: Notebook, gate: Gate) -> None:
    notebook.must("first, second, last = (f.options(name=n) for f, n in ((load, 'A'), (join, 'B'), (through, 'C')))")
    notebook.must("parts = [first.remote(n) for n in range(3)]\nray.get(parts)")
    notebook.must("both = [second.remote(part) for part in parts]\nend = last.remote(second.remote(*both))")
    gate.wait_for(1)
    lines = show(notebook, "%raynb graph").splitlines()
    at = lines.index("A  x3  3 finished")
    assert lines[at + 1] == "└─ B  x4  4 finished  (into itself)"
    assert lines[at + 2] == "   └─ C  x1  1 running"
    assert "<pre" in html(notebook, "%raynb graph")
    assert "Dataflow of 1 task" in show(notebook, "%raynb graph --name C")
    gate.open()
    notebook.must("ray.get(end)")
    assert "did you mean CELL?" in refused(notebook, "%raynb graph --by cel")


def test_the_timeline_is_a_trace_that_says_how_to_open_it(notebook: Notebook, gate: Gate, tmp_path: Path) -> None:
    notebook.must("ray.get([load.options(name='traced').remote(n) for n in range(3)])")
    file = tmp_path / "trace.json"
    printed = show(notebook, f"%raynb timeline {file}")
    assert str(file) in printed and "ui.perfetto.dev" in printed and "chrome://tracing" in printed
    events = json.loads(file.read_text())
    assert sum(event["ph"] == "X" and event["name"] == "traced" for event in events) == 3
    assert "can't be written" in refused(notebook, f"%raynb timeline {tmp_path}/no/such/folder.json")


def test_logs_of_tasks_actors_and_processes(notebook: Notebook, gate: Gate) -> None:
    notebook.must("ref = load.remote('this line')\nray.get(ref)")
    shown = show(notebook, "%raynb logs ref")
    assert "loading this line" in shown and "that ran load" in shown and ".out" in shown
    pid = next(line for line in shown.splitlines() if "(pid " in line).partition("(pid ")[2].partition(")")[0]
    assert "loading this line" in show(notebook, f"%raynb logs {pid}")
    notebook.must("counter = Counter.options(name='logged').remote()\ncall = counter.add.remote()\nray.get(call)")
    for what in ("counter", "logged", "call"):
        assert "counting" in show(notebook, f"%raynb logs {what}")
    notebook.must("ray.get([counter.add.remote() for _ in range(9)])")
    assert show(notebook, "%raynb logs counter --tail 3").count("counting") == 3
    assert "its last 3 lines" in show(notebook, "%raynb logs counter --tail 3")
    listed = show(notebook, "%raynb logs")
    assert "gcs.log" in listed and "an actor (pid" in listed
    assert "gcs.log" in show(notebook, "%raynb logs gcs")
    notebook.must("del counter, call")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("logs gsc", "Did you mean the log gcs?"),
        ("logs 1", "no worker of this cluster has the pid 1"),
        ("logs waiting", "no worker has run it"),
        ("logs several", "2 references: name one, such as several[0]"),
        ("logs ../../etc/passwd", "neither a variable"),
    ],
)
def test_logs_that_there_are_not_are_named(notebook: Notebook, gate: Gate, line: str, words: str) -> None:
    notebook.must("waiting = through.options(num_gpus=4).remote()\nseveral = [load.remote(1), load.remote(2)]")
    assert words in refused(notebook, f"%raynb {line}")
    notebook.must("ray.cancel(waiting)")
    notebook.must("ray.get(several)")


# -- cancel


def test_cancel_takes_a_reference_a_list_or_everything(notebook: Notebook, gate: Gate) -> None:
    notebook.must("one = through.remote()\nlist_of = [through.options(num_gpus=1).remote() for _ in range(3)]")
    gate.wait_for(1)
    assert "Cancelled 1 task of `one`" in show(notebook, "%raynb cancel one")
    assert "Cancelled 3 tasks of `list_of`" in show(notebook, "%raynb cancel list_of")
    assert notebook.value("one") == "TaskCancelledError"
    notebook.must("rest = [through.options(name='rest', num_gpus=1).remote() for _ in range(4)]")
    assert "4 tasks of this notebook: 4 x rest" in show(notebook, "%raynb cancel --all")
    for name in ("ray.get(list_of[2])", "ray.get(rest[0])"):
        assert notebook.value(name) == "TaskCancelledError"
    assert "Nothing to cancel in `one`" in show(notebook, "%raynb cancel one")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("cancel", "say what: a REF, --cell N or --all"),
        ("cancel ref --all", "one of them"),
        ("cancel --all --force", "--force is for a REF alone"),
        ("cancel counter", "ray.kill(counter)"),
        ("cancel reff", "Did you mean ref?"),
        ("cancel --cell 4711", "no cell In[4711]"),
    ],
)
def test_what_cancel_can_not_do_is_named(notebook: Notebook, gate: Gate, line: str, words: str) -> None:
    notebook.must("ref = load.remote(1)\ncounter = Counter.remote()")
    assert words in refused(notebook, f"%raynb {line}")
    notebook.must("ray.get(ref)")
