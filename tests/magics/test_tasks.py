"""`%%remote` cells that run: dataflow between cells, failures in their cell, what is shown, what runs again."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from raynb.magics.errors import CaptureError, OptionError, UndefinedNameError
from raynb.magics.references import RefList
from raynb.magics.remote import LostChangeWarning
from raynb.runtime.api import outputs
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.codec.captures import LargeCaptureWarning
from raynb.runtime.messages.errors import RayTaskError, TaskCancelledError
from tests.magics.notebook import Notebook, name_of, wait_for_screen
from tests.support.gate import Gate
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("cluster")


@pytest.fixture
def gate(tmp_path: Path, notebook: Notebook) -> Gate:
    """The notebook has `through`, which waits for the test."""
    made = Gate(tmp_path / "gate")
    notebook.namespace()["through"] = made.through
    return made


# Dataflow.


def test_outputs_are_references_at_once(notebook: Notebook, gate: Gate) -> None:
    notebook.must("%%remote\nx = through(1)\ny = x + 1")
    assert isinstance(notebook.namespace()["x"], ObjectRef)
    gate.open()
    assert notebook.value("x, y") == (1, 2)


def test_cells_that_use_one_anothers_names_form_a_graph(notebook: Notebook, gate: Gate) -> None:
    notebook.must("%%remote\na = through(3)")
    notebook.must("%%remote\nb = a * 2")
    notebook.must("%%remote\nc = a + b")
    gate.open()
    assert notebook.value("c") == 9


def test_a_helper_of_the_notebook_gets_values_for_references(notebook: Notebook) -> None:
    notebook.must("%%remote\ndata = [1, 2, 3]")
    notebook.must("def mean():\n    return total() / len(data)\ndef total():\n    return sum(data)")
    notebook.must("%%remote\nm = mean()")
    assert notebook.value("m") == 2


def test_references_inside_containers_stay_references(notebook: Notebook) -> None:
    notebook.must("import raynb as ray")
    notebook.must("refs = [ray.put(n) for n in range(3)]")
    notebook.must("%%remote\ns = sum(ray.get(refs))")
    assert notebook.value("s") == 3


def test_remote_functions_and_actors_arrive_as_such(notebook: Notebook) -> None:
    notebook.must("import raynb as ray")
    notebook.must(
        "%%remote\ndef f(x): return x + 1\nclass C:\n    def __init__(self): self.n = 0\n"
        "    def add(self, k):\n        self.n += k\n        return self.n"
    )
    notebook.must("c = C.remote()")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        notebook.must("%%remote\nr = ray.get(f.remote(1))\ns = ray.get(c.add.remote(r))\nd = C.remote()")
    assert notebook.value("r, s, ray.get(c.add.remote(1))") == (2, 2, 3)


def test_a_changed_input_comes_back(notebook: Notebook) -> None:
    notebook.must("import numpy as np\na = np.zeros(100_000)")
    notebook.must("%%remote\na[3] = 1")
    notebook.must("%%remote\na += 1")
    notebook.must("%%remote\ns = a.sum()")
    assert notebook.value("s") == 100_001


def test_each_item_of_a_map_is_a_task(notebook: Notebook) -> None:
    notebook.must("k, items = 10, [1, 2, 3]")
    notebook.must("%%remote --map x=items --out z\ny = x * k\ny + 1")
    assert isinstance(notebook.namespace()["y"], RefList)
    notebook.must("%%remote\ntotal = sum(y), z")
    assert notebook.value("total") == (60, [11, 21, 31])
    notebook.must("%%remote --map x=[v for v in y[1:]]\nw = x + 1")
    notebook.must("%%remote\nw = list(w)")
    assert notebook.value("w") == [21, 31]


def test_a_map_over_nothing_gives_empty_lists(notebook: Notebook) -> None:
    notebook.must("%%remote --map x=[]\ny = x\ny")
    assert notebook.namespace()["y"] == []
    assert isinstance(notebook.namespace()["y"], RefList)


def test_a_task_that_is_over_holds_no_input(notebook: Notebook) -> None:
    notebook.must("import numpy as np, raynb as ray\ndef helper():\n    return other()\ndef other():\n    return 1")
    before = notebook.value("ray.object_store_usage()['used_bytes']")
    notebook.must("big = ray.put(np.ones(4_000_000))")
    assert notebook.value("ray.object_store_usage()['used_bytes']") > before + 30_000_000
    notebook.must("%%remote\ns = helper() + big.sum()")
    notebook.must("%%remote\nbig[0] += 1\nbig += helper()\nt = big[0]\nbig = None")
    assert notebook.value("s, float(t)") == (4_000_001, 3.0)
    notebook.must("del big")
    wait_until(lambda: notebook.value("ray.object_store_usage()['used_bytes']") <= before)


# What is refused before anything happens.


@pytest.mark.parametrize(
    ("cell", "error", "words"),
    [
        ("%%remote\nx = 2\ny = tot + 1", UndefinedNameError, "line 3: `tot` .* Did you mean `total`"),
        ("%%remote\nx = lock", CaptureError, "`lock`.*_thread.lock"),
        ("%%remote\nx = holder", CaptureError, r"`holder`: dict key 'k' -> list item 1 -> _thread.lock"),
        ("%%remote --local\nx = holder", CaptureError, "`holder`"),
        ("%%remote\nx = uses_lock()", CaptureError, "`uses_lock`.*global variable 'lock'"),
        ("%%remote --num-gpus 3\nx = 2", OptionError, "no node has 3 GPU: the most is 0"),
        ("%%remote --resources nope=1\nx = 2", OptionError, "no node has 1 nope"),
        ("%%remote --num-cpus 200\nx = 2", OptionError, "no node has 200 CPU: the most is 2"),
        ("%%remote --out z\nx = 2", OptionError, "last expression"),
        ("%%remote --out x\nx = 2\nx", OptionError, "assigns that name itself"),
        ("%%remote --map v=total\nx = v", OptionError, "a int has no items"),
        ("%%remote --map v=[nope]\nx = v", OptionError, "can't be evaluated: NameError: .*nope"),
        ("%%remote --map v=ref\nx = v", OptionError, "ray.get"),
        ("%%remote --inputs nope\nx = 2", UndefinedNameError, "--inputs names `nope`"),
    ],
)
def test_what_is_refused_changes_nothing(notebook: Notebook, cell: str, error: type[Exception], words: str) -> None:
    notebook.must("import threading, raynb as ray\nlock = threading.Lock()\nholder = {'k': [1, lock]}\nx = 'old'")
    notebook.must("total = 1\nref = ray.put(1)\ndef uses_lock():\n    return lock")
    ran = notebook.run(cell)
    with pytest.raises(error, match=words):
        raise ran.error or AssertionError("it was not refused")
    assert "Traceback" not in ran.stdout and "run_cell_magic" not in ran.stdout
    assert notebook.namespace()["x"] == "old"


def test_a_syntax_error_shows_the_line_of_the_cell(notebook: Notebook) -> None:
    ran = notebook.run("\n%%remote\nx = 1\ny = = 2\n")
    assert isinstance(ran.error, SyntaxError)
    assert (ran.error.lineno, ran.error.text) == (4, "y = = 2\n")


def test_a_task_has_pythons_own_open_and_exit(notebook: Notebook) -> None:
    notebook.must("%%remote\nimport io\nfound = open is io.open, type(exit).__name__, type(quit).__name__")
    assert notebook.value("found") == (True, "Quitter", "Quitter")


def test_magics_inside_are_refused(notebook: Notebook) -> None:
    for line in ("!ls", "files = !ls", "%time 1", "print?"):
        ran = notebook.run(f"%%remote\nx = 1\n{line}")
        assert name_of(ran.error or AssertionError()) == "IPythonSyntaxError"
        assert "line 3" in str(ran.error)


# Failures.


def test_a_failed_cell_shows_its_line_and_fails_its_outputs(notebook: Notebook) -> None:
    notebook.must("%%remote\nok = 1\n\nbad = ok / 0  # here")
    [screen] = notebook.screens
    wait_until(lambda: screen.failures)
    text = str(screen.failures[0])
    assert ", line 4, in <module>" in text and "bad = ok / 0  # here" in text
    for name in ("ok", "bad"):
        assert notebook.value(name) == "ZeroDivisionError"


def test_a_cell_whose_input_failed_says_whose_fault_it_is(notebook: Notebook) -> None:
    notebook.must("%%remote --name first\na = 1 / 0")
    notebook.must("%%remote\nb = a + 1\nb")
    screen = notebook.screens[1]
    wait_for_screen(screen, "first failed, which makes an input of it")
    assert not screen.failures
    assert notebook.value("b") == "ZeroDivisionError"


def test_an_exception_keeps_its_cause(notebook: Notebook) -> None:
    ran = notebook.run("%%remote --block\ntry:\n    {}[1]\nexcept KeyError as e:\n    raise ValueError('new') from e")
    assert isinstance(ran.error, RayTaskError) and isinstance(ran.error, ValueError)
    text = str(ran.error)
    assert text.index("KeyError: 1") < text.index("direct cause") < text.index("ValueError: new")


def test_a_read_only_array_says_copy(notebook: Notebook) -> None:
    notebook.must("import numpy as np\na = np.array([2, 1])")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LostChangeWarning)
        ran = notebook.run("%%remote --block\na.sort()")
    assert isinstance(ran.error, ValueError)
    assert "`x = x.copy()`" in str(ran.error)


def test_a_local_failure_has_the_frames_of_the_cell_alone(notebook: Notebook) -> None:
    ran = notebook.run("%%remote --local\nx = 1\n\ndef_ = x / 0")
    assert isinstance(ran.error, ZeroDivisionError)
    assert "line 4" in ran.stdout and "def_ = x / 0" in ran.stdout
    assert "local.py" not in ran.stdout and "task.py" not in ran.stdout
    assert notebook.value("x") == "absent"


# What is shown.


def test_the_last_expression_takes_the_place_of_a_placeholder(notebook: Notebook, gate: Gate) -> None:
    ran = notebook.must("%%remote\nx = through(20)\nx * 2")
    [screen] = notebook.screens
    assert len(screen.texts) == 1 and screen.texts[0].endswith("is running")
    assert not ran.shown
    gate.open()
    wait_for_screen(screen, "40")
    assert screen.texts == ["40"]


def test_nothing_stays_where_the_last_expression_is_none(notebook: Notebook) -> None:
    notebook.must("%%remote\nNone")
    [screen] = notebook.screens
    wait_until(lambda: screen.texts == [""])


def test_block_waits_and_shows_in_order(notebook: Notebook) -> None:
    notebook.must("%%remote --block\ndisplay(1)\ndisplay({'text/plain': 'raw'}, raw=True)\n'last'")
    assert notebook.screens[0].texts == ["1", "raw", "'last'"]


def test_a_table_is_shown_as_html(notebook: Notebook) -> None:
    notebook.must("%%remote --block\nimport pandas as pd\npd.DataFrame({'a': [1]})")
    [(data, _)] = notebook.screens[0].shown.values()
    assert "<table" in data["text/html"]


def test_figures_are_shown(notebook: Notebook) -> None:
    notebook.must(
        "%%remote --block\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nprint()\n"
        "fig, ax = plt.subplots()\nax.plot([2, 1])\ndel fig, ax\n'end'"
    )
    kinds = ["image/png" in data for data, _ in notebook.screens[0].shown.values()]
    assert kinds == [True, False, True]
    notebook.must("%%remote --block\nimport matplotlib.pyplot as plt\nopen_ = plt.get_fignums()\nopen_")
    assert notebook.screens[1].texts == ["[]"]


def test_out_binds_the_last_expression(notebook: Notebook) -> None:
    notebook.must("%%remote --out best\nx = [3, 1]\nmin(x);")
    assert notebook.value("best, x") == (1, [3, 1])
    assert notebook.screens[0].texts == []


def test_a_map_shows_some_and_counts_all(notebook: Notebook) -> None:
    notebook.must("%%remote --map x=range(25) --block\nx")
    texts = notebook.screens[0].texts
    assert texts[:10] == [str(n) for n in range(10)]
    notebook.must("%%remote --map x=range(25)\n1 / (x - 20)")
    screen = notebook.screens[1]
    wait_for_screen(screen, "24 tasks done, 1 failed (what 14 of them show is left out)")
    assert len(screen.failures) == 1


def test_what_a_quiet_cell_prints_goes_nowhere(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    monkeypatch.setattr(outputs, "sink", lambda lines, _: texts.extend(line.text for line in lines))
    notebook.must("%%remote --no-stream --block\nprint('hidden')")
    notebook.must("%%remote --block\nprint('seen')")
    wait_until(lambda: "seen" in "".join(texts))
    assert "hidden" not in "".join(texts)


# Running again.


def test_running_a_cell_again_cancels_what_it_left_running(notebook: Notebook, gate: Gate) -> None:
    cell = "%%remote\nx = through('old') if first else 'new'"
    notebook.must("first = True")
    notebook.must(cell, cell_id="a")
    old = notebook.namespace()["x"]
    gate.wait_for(1)
    notebook.must("first = False")
    notebook.must("%%remote\ny = through('other')", cell_id="b")
    notebook.must(cell, cell_id="a")
    assert notebook.value("x") == "new"
    notebook.namespace()["old"] = old
    assert notebook.value("old") == "TaskCancelledError"
    assert not notebook.screens[0].failures
    gate.open()
    assert notebook.value("y") == "other"


def test_a_run_that_builds_on_the_last_one_does_not_cancel_it(notebook: Notebook, gate: Gate) -> None:
    notebook.must("n = 0")
    for _ in range(3):
        notebook.must("%%remote\nn += through(1)", cell_id="a")
    gate.open()
    assert notebook.value("n") == 3


def test_an_output_of_a_cancelled_run_is_not_kept(notebook: Notebook, gate: Gate) -> None:
    cell = "%%remote\nfor v in values:\n    last = through(v)"
    notebook.must("values = [1]")
    notebook.must(cell, cell_id="a")
    gate.wait_for(1)
    notebook.must(cell, cell_id="a")
    gate.open()
    assert notebook.value("last") == 1


def test_a_setting_keeps_what_runs(notebook: Notebook, gate: Gate) -> None:
    notebook.must("%config RaynbMagics.cancel_on_rerun = False")
    try:
        notebook.must("%%remote\nx = through(1)", cell_id="a")
        notebook.namespace()["old"] = notebook.namespace()["x"]
        notebook.must("%%remote\nx = through(1)", cell_id="a")
        gate.open()
        assert notebook.value("old, x") == (1, 1)
    finally:
        notebook.must("%config RaynbMagics.cancel_on_rerun = True")


def test_a_cancelled_cell_says_so(notebook: Notebook, gate: Gate) -> None:
    notebook.must("import raynb as ray")
    notebook.must("%%remote\nx = through(1)\nx")
    gate.wait_for(1)
    notebook.must("ray.cancel(x)")
    wait_for_screen(notebook.screens[0], "was cancelled")
    assert notebook.value("x") == "TaskCancelledError"
    assert issubclass(TaskCancelledError, Exception)


# Warnings.


def test_a_change_that_would_be_lost_is_warned_of_with_its_line(notebook: Notebook) -> None:
    notebook.must("items = []")
    with pytest.warns(LostChangeWarning, match="`items`") as caught:
        notebook.must("%%remote\nx = 1\nitems.append(x)")
    assert caught[0].lineno == 3


@pytest.mark.parametrize(
    "cell",
    [
        "s = text.upper() + np.round(2.5).__str__()",
        "m = array.mean() + frame.a.sum()",
        "n = len(items), items.count(1)",
        "items = items + [1]\nitems.append(2)",
        "f.remote(1)",
    ],
)
def test_harmless_calls_are_not_warned_of(notebook: Notebook, cell: str) -> None:
    notebook.must(
        "import numpy as np, pandas as pd, raynb as ray\ntext, items = 'a', [1]\narray = np.ones(3)\n"
        "frame = pd.DataFrame({'a': [1]})\n@ray.remote\ndef f(x): return x"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        notebook.must(f"%%remote --block\n{cell}")


def test_a_random_generator_is_warned_of(notebook: Notebook) -> None:
    notebook.must("import numpy as np\nrng = np.random.default_rng()")
    with pytest.warns(LostChangeWarning, match=r"`rng\.normal\(\)`"):
        notebook.must("%%remote\nx = rng.normal()")


# Expressions.


def test_an_expression_gives_a_reference(notebook: Notebook) -> None:
    notebook.must("import raynb as ray\nk = 4\ndef f(x): return x * k")
    notebook.must("a = %remote f(3)")
    notebook.must("b = %remote --name sum {n: a + n for n in (1, 2)}")
    notebook.must("c = %remote --local a * 2")
    assert notebook.value("a, b, c") == (12, {1: 13, 2: 14}, 24)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%remote x = 1", "one expression"),
        ("%remote", "one expression"),
        ("%remote f(); g()", "one expression"),
        ("%remote nope + 1", "`nope`"),
        ("%remote --num-gpus 9 1", "no node has 9 GPU"),
        ("%remote --block 1", "no option --block"),
    ],
)
def test_what_is_no_expression_is_refused(notebook: Notebook, line: str, words: str) -> None:
    notebook.must("def f(): pass\ng = f")
    ran = notebook.run(line)
    assert words in str(ran.error)


def test_an_expression_fails_with_its_line(notebook: Notebook) -> None:
    notebook.must("import raynb as ray")
    ran = notebook.run("x = 1\n\nr = %remote 1 / 0\nray.get(r)")
    assert isinstance(ran.error, ZeroDivisionError)
    assert ", line 3, in <module>" in str(ran.error)


def test_help_is_printed_and_nothing_runs(notebook: Notebook) -> None:
    for line in ("%%remote --help\nx = 1", "%remote --help"):
        ran = notebook.must(line)
        assert "usage: %" in ran.stdout and "--num-cpus" in ran.stdout
    assert notebook.value("x") == "absent"


# Large inputs.


def test_a_large_input_is_warned_of_once_and_put_helps(notebook: Notebook) -> None:
    notebook.must("import numpy as np\nimport raynb\nbig_table = np.ones(1_500_000)")
    with pytest.warns(
        LargeCaptureWarning, match=r"`big_table` \(12.0 MB\).*`big_table = raynb.put\(big_table\)`"
    ) as told:
        notebook.must("%%remote\nfirst = big_table.sum()")
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        notebook.must("%%remote\nsecond = big_table.sum() + 1")
        notebook.must("big_table = raynb.put(big_table)")
        notebook.must("%%remote\nthird = big_table.sum() + 2")
    assert notebook.value("first, second, third") == (1.5e6, 1.5e6 + 1, 1.5e6 + 2)


def test_a_helper_that_drags_something_large_along_is_looked_into(notebook: Notebook) -> None:
    notebook.must("import numpy as np\nbig_lookup = np.ones(1_500_000)")
    notebook.must("def helper_of_lookup():\n    return big_lookup.sum()")
    with pytest.warns(LargeCaptureWarning, match="`helper_of_lookup` .*global variable 'big_lookup' of function"):
        notebook.must("%%remote\ns = helper_of_lookup()")
    assert notebook.value("s") == 1.5e6
