"""What the kernel extension promises, in a real kernel whose messages are read by the request that they belong to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.magics.kernel import Kernel, notebook_kernel


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    with notebook_kernel("import sys, warnings") as kernel:
        yield kernel


#: Source of a task that waits until the file ``path`` is there.
GATE = "while not os.path.exists(path): time.sleep(0.005)"


def test_loading_the_extension_names_the_version_and_starts_no_process() -> None:
    kernel = Kernel()
    try:
        request = kernel.run("%load_ext raynb")
        assert kernel.printed(request).startswith("raynb ")
        children = kernel.run("import psutil; print(len(psutil.Process().children(recursive=True)))")
        assert kernel.printed(children).strip() == "0"
        connected = kernel.run("import raynb; print(raynb.is_initialized())")
        assert kernel.printed(connected).strip() == "False"
    finally:
        kernel.close()


def test_what_a_task_prints_appears_in_the_cell_that_submitted_it(kernel: Kernel) -> None:
    kernel.run("@ray.remote\ndef say(text):\n    print(text)\n    print(text, 'aloud', file=sys.stderr)")
    request = kernel.run("ray.get(say.remote('word'))")
    kernel.wait_until(lambda: "word aloud" in kernel.printed(request))
    streams = {content["name"] for content in kernel.of(request, "stream")}
    assert streams == {"stdout", "stderr"}


def test_output_goes_to_its_cell_after_the_cell_has_ended_and_while_another_runs(
    kernel: Kernel, tmp_path: Path
) -> None:
    first_gate, second_gate = tmp_path / "first", tmp_path / "second"
    kernel.run(f"@ray.remote\ndef late(text, path):\n    {GATE}\n    print(text)")
    first = kernel.run(f"a = late.remote('from the first', {str(first_gate)!r})")
    second = kernel.run(f"b = late.remote('from the second', {str(second_gate)!r})")
    third = kernel.send("ray.get([a, b]); print('third is done')")
    second_gate.touch()
    kernel.wait_until(lambda: kernel.printed(second))
    first_gate.touch()
    kernel.wait_until(lambda: kernel.is_done(third) and kernel.printed(first))
    assert kernel.printed(first) == "from the first\n"
    assert kernel.printed(second) == "from the second\n"
    assert kernel.printed(third) == "third is done\n"


def test_a_child_prints_into_the_cell_of_its_grandparent(kernel: Kernel) -> None:
    kernel.run(
        "@ray.remote\ndef leaf():\n    print('leaf speaks')\n"
        "@ray.remote\ndef branch():\n    return ray.get(leaf.remote())"
    )
    request = kernel.run("ray.get(branch.remote())")
    kernel.wait_until(lambda: "leaf speaks" in kernel.printed(request))


def test_an_actor_prints_into_the_cell_of_each_call(kernel: Kernel) -> None:
    kernel.run(
        "@ray.remote\nclass Parrot:\n"
        "    def say(self, text):\n        print(text)\n        return text\n"
        "parrot = Parrot.remote()"
    )
    first = kernel.run("x = ray.get(parrot.say.remote('polly'))")
    second = kernel.run("x = ray.get(parrot.say.remote('cracker'))")
    kernel.wait_until(lambda: kernel.printed(first) and kernel.printed(second))
    assert (kernel.printed(first), kernel.printed(second)) == ("polly\n", "cracker\n")


def test_a_traceback_names_the_cell_and_its_line_and_not_the_machinery(kernel: Kernel) -> None:
    kernel.run("@ray.remote\ndef divide(a, b):\n    # two lines\n    return a / b")
    request = kernel.run("ray.get(divide.remote(1, 0))")
    text = kernel.errors(request)
    assert "ZeroDivisionError" in text
    assert "line 4, in divide" in text
    assert "return a / b" in text
    assert "Cell In[" in text
    assert "runner.py" not in text and "client.py" not in text


def test_an_error_that_nobody_asked_for_appears_in_the_cell_that_submitted_the_task(
    kernel: Kernel, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    kernel.run(f"@ray.remote\ndef late(path):\n    {GATE}\n    raise ValueError('too late')")
    first = kernel.run(f"late.remote({str(gate)!r}); None")
    second = kernel.run(f"import pathlib; pathlib.Path({str(gate)!r}).touch()")
    kernel.wait_until(lambda: "ValueError: too late" in kernel.printed(first))
    assert "Unhandled error" in kernel.printed(first)
    assert "Cell In[" in kernel.printed(first)
    assert "ipykernel" not in kernel.printed(first)
    assert not kernel.printed(second)


def test_that_a_task_is_tried_again_appears_in_the_cell_that_submitted_it(kernel: Kernel, tmp_path: Path) -> None:
    gate, mark = tmp_path / "gate", tmp_path / "mark"
    kernel.run(
        f"import os, pathlib\n@ray.remote\ndef dies_once(path, mark):\n    {GATE}\n"
        "    if not pathlib.Path(mark).exists():\n        pathlib.Path(mark).touch()\n        os._exit(5)"
    )
    first = kernel.run(f"ref = dies_once.remote({str(gate)!r}, {str(mark)!r})")
    second = kernel.run(f"pathlib.Path({str(gate)!r}).touch()\nray.get(ref)")
    assert kernel.printed(first).startswith(
        "Task dies_once failed. There are 3 retries remaining, so the task will be retried. Error: The worker died"
    )
    assert "exit code 5" in kernel.printed(first)
    assert not kernel.printed(second)


def test_what_a_killed_task_has_printed_appears_in_the_cell_that_submitted_it(kernel: Kernel, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    kernel.run(
        f"import os\n@ray.remote(max_retries=0)\ndef ends(path):\n    {GATE}\n    print('so far')\n    os._exit(5)"
    )
    first = kernel.run(f"ref = ends.remote({str(gate)!r})")
    second = kernel.run(f"import pathlib\npathlib.Path({str(gate)!r}).touch()\n_ = ray.wait([ref])")
    kernel.wait_until(lambda: kernel.printed(first) == "so far\n")
    assert not kernel.printed(second)


def test_a_reference_can_be_awaited_in_a_cell(kernel: Kernel) -> None:
    kernel.run("@ray.remote\ndef twice(x):\n    return 2 * x")
    request = kernel.run("print(await twice.remote(21))")
    assert kernel.printed(request) == "42\n"


def test_an_interrupt_ends_the_wait_and_cancels_the_tasks_of_the_cell_alone(kernel: Kernel, tmp_path: Path) -> None:
    started, other_gate = tmp_path / "started", tmp_path / "other"
    kernel.run(
        "@ray.remote\ndef hold(path):\n    open(path + '.here', 'w').close()\n"
        "    while not os.path.exists(path): time.sleep(0.005)\n    return 'held'"
    )
    kernel.run(f"other = hold.remote({str(other_gate)!r})")
    request = kernel.send(f"mine = [hold.remote({str(started)!r}) for _ in range(50)]\nray.get(mine)")
    kernel.wait_until(lambda: Path(f"{started}.here").exists())
    kernel.manager.interrupt_kernel()
    kernel.wait_until(lambda: kernel.is_done(request))
    assert "KeyboardInterrupt" in kernel.errors(request)
    outcome = kernel.run(
        "def how(ref):\n"
        "    try: return ray.get(ref, timeout=20)\n"
        "    except ray.exceptions.TaskCancelledError: return 'cancelled'\n"
        "print({how(ref) for ref in mine})"
    )
    assert kernel.printed(outcome).strip() == "{'cancelled'}"
    other_gate.touch()
    assert kernel.printed(kernel.run("print(how(other))")).strip() == "held"


def test_unloading_takes_everything_back(kernel: Kernel) -> None:
    kernel.run("%unload_ext raynb")
    try:
        request = kernel.run("print(ray.get(twice.remote(1)))")
        assert kernel.printed(request) == "2\n"
    finally:
        kernel.run("%load_ext raynb")


def test_a_kernels_cluster_is_listed_where_others_find_it(kernel: Kernel) -> None:
    request = kernel.run(
        "from raynb.runtime.adapters.registry import clusters\n"
        "import json\nprint(json.dumps([c.pid for c in clusters()]))"
    )
    assert len(json.loads(kernel.printed(request))) >= 1


OUTPUTS = """
@ray.remote
def speak(number):
    import ctypes, logging, threading
    print("python", number)
    os.system(f"echo shell {number}")
    ctypes.CDLL(None).printf(b"C %d\\n", number)
    print("python again", number)
    sys.stdout.buffer.write(b"bytes %d\\n" % number)
    logging.getLogger("teaching").warning("logged %d", number)
    thread = threading.Thread(target=print, args=("thread", number))
    thread.start()
    thread.join()
"""


def test_whatever_writes_in_a_task_is_shown_in_order_in_its_cell(kernel: Kernel) -> None:
    kernel.run(OUTPUTS)
    request = kernel.run("ray.get(speak.remote(7))")
    out = "".join(c["text"] for c in kernel.of(request, "stream") if c["name"] == "stdout")
    err = "".join(c["text"] for c in kernel.of(request, "stream") if c["name"] == "stderr")
    assert out.splitlines() == ["python 7", "shell 7", "C 7", "python again 7", "bytes 7", "thread 7"]
    assert err == "logged 7\n"


def test_what_c_code_writes_goes_to_the_cell_of_its_task_also_where_cells_alternate(kernel: Kernel) -> None:
    kernel.run("@ray.remote\ndef shell(text):\n    os.system(f'echo {text}')")
    requests = [kernel.send(f"r{i} = [shell.remote('cell{i}') for _ in range(3)]") for i in range(4)]
    kernel.run("ray.get([*r0, *r1, *r2, *r3])")
    for i, request in enumerate(requests):
        kernel.wait_until(lambda: f"cell{i}" in kernel.printed(request))  # noqa: B023
        assert {line.split()[0] for line in kernel.printed(request).splitlines()} == {f"cell{i}"}


def test_a_long_task_that_writes_from_c_is_heard_while_it_runs(kernel: Kernel, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    kernel.run(f"@ray.remote\ndef long(path):\n    os.system('echo begun')\n    {GATE}")
    request = kernel.run(f"ref = long.remote({str(gate)!r})")
    kernel.wait_until(lambda: "begun" in kernel.printed(request))
    gate.touch()
    kernel.run("ray.get(ref)")


def test_a_task_displays_into_its_cell_in_order_with_what_it_prints(kernel: Kernel) -> None:
    kernel.run(
        "from IPython.display import display, HTML\n"
        "@ray.remote\ndef show():\n"
        "    print('before')\n    display(HTML('<b>bold</b>'))\n    print('after')\n"
        "    handle = display('first', display_id=True)\n    handle.update('second')"
    )
    request = kernel.run("ray.get(show.remote())")
    kinds = [
        m["msg_type"] for m in kernel.messages[request] if m["msg_type"] in ("stream", "display_data", "execute_result")
    ]
    assert kinds == ["stream", "display_data", "stream", "display_data"]
    html = kernel.of(request, "display_data")[0]["data"]
    assert html["text/html"] == "<b>bold</b>"
    assert kernel.shown(request)[-1] == "'second'"


def test_a_figure_that_a_task_shows_appears_in_its_cell(kernel: Kernel) -> None:
    kernel.run(
        "@ray.remote\ndef plot():\n    import matplotlib.pyplot as plt\n"
        "    plt.plot([1, 2, 3])\n    plt.show()\n    return len(plt.get_fignums())"
    )
    request = kernel.run("print(ray.get(plot.remote()))")
    (figure,) = kernel.of(request, "display_data")
    assert figure["data"]["image/png"].startswith("iVBOR")
    assert kernel.printed(request) == "0\n"


def test_figures_come_in_the_notebooks_formats(kernel: Kernel) -> None:
    kernel.run(
        "@ray.remote\ndef draw():\n    import matplotlib.pyplot as plt\n    plt.plot([1, 2, 3])\n    plt.show()\n"
        "@ray.remote\ndef show():\n    from IPython.display import display\n    display('no figure')"
    )
    kernel.run("%config InlineBackend.figure_formats = ['svg', 'retina']")
    request = kernel.run("ray.get(draw.remote())")
    (figure,) = kernel.of(request, "display_data")
    assert figure["data"]["image/svg+xml"].startswith("<?xml") and figure["data"]["image/png"].startswith("iVBOR")
    assert figure["metadata"]["image/png"]["width"] > 100, "twice the pixels, at the size of one"
    cell = kernel.run("%%remote --block\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
    assert "image/svg+xml" in kernel.of(cell, "display_data", "update_display_data")[-1]["data"]
    kernel.run("%config InlineBackend.figure_formats = ['png']")
    request = kernel.run("ray.get([draw.remote(), show.remote()])")
    figures = [content["data"] for content in kernel.of(request, "display_data")]
    assert sorted(tuple(data) for data in figures) == [("text/plain",), ("text/plain", "image/png")]


def test_whoever_changes_what_came_from_the_store_is_told_to_copy_it(kernel: Kernel) -> None:
    kernel.run("import numpy as np\n@ray.remote\ndef change(given): given += 1")
    request = kernel.run("view = ray.get(ray.put(np.zeros(3)))\nview[0] = 1")
    assert "`view = view.copy()` gives one that can be changed" in kernel.printed(request)
    request = kernel.run("ray.get(change.remote(np.zeros(3)))")
    assert "`given = given.copy()` gives one that can be changed" in kernel.errors(request)
    assert "copy()" not in kernel.printed(kernel.run("raise ValueError('something else')"))


def test_an_error_of_a_reference_shows_the_users_line_alone(kernel: Kernel) -> None:
    for use in ("total * 2", "total[0]", "len(total)", "total.mean()", "for x in total: pass"):
        request = kernel.run(f"total = ray.put(1)\n{use}")
        assert "await total" in kernel.errors(request)
        assert "refs.py" not in kernel.errors(request), use


def test_a_display_that_is_no_json_becomes_text(kernel: Kernel) -> None:
    kernel.run(
        "@ray.remote\ndef odd():\n    from IPython.display import display\n"
        "    display({'application/json': {1: object()}, 'text/plain': 'odd'}, raw=True)"
    )
    request = kernel.run("ray.get(odd.remote())")
    (shown,) = kernel.of(request, "display_data")
    assert shown["data"]["text/plain"].startswith("odd")


def test_a_flood_of_output_does_not_drown_the_notebook(kernel: Kernel) -> None:
    kernel.run("@ray.remote\ndef flood():\n    for number in range(200_000): print('line', number)")
    request = kernel.run("ray.get(flood.remote())")
    assert kernel.printed(request).count("\n") <= 1000
    assert "more lines" in kernel.shown(request)[0]


def test_tqdm_bars_of_tasks_are_one_display(kernel: Kernel) -> None:
    kernel.run(
        "@ray.remote\ndef bar(n):\n"
        "    for i in range(n + 1):\n        sys.stderr.write(f'\\r{i}/{n}'); sys.stderr.flush()\n"
        "    sys.stderr.write('\\n')"
    )
    request = kernel.run("ray.get([bar.remote(5), bar.remote(6)])")
    kernel.wait_until(lambda: any("5/5" in text and "6/6" in text for text in kernel.shown(request)))
    assert kernel.printed(request) == ""


def test_a_reference_that_is_used_as_a_value_is_named_in_the_error(kernel: Kernel) -> None:
    request = kernel.run("total = ray.put(5)\ntotal * 2")
    assert "`await total` or `ray.get(total)`" in kernel.errors(request)


def test_where_a_function_of_a_cell_is_defined_is_told_by_the_cells_number(kernel: Kernel) -> None:
    functions = "@ray.remote\ndef placed():\n    return 1"
    classes = "@ray.remote\nclass Placed:\n    def method(self):\n        return 1"
    kernel.run(f"{functions}\n\n{classes}\nplaced_in = len(In) - 1")
    number = kernel.value("placed_in")
    kernel.run("placed_actor = Placed.remote(); ray.get([placed.remote(), placed_actor.method.remote()])")
    kernel.run("from raynb.util import state")
    sites = "[t.call_site for t in state.list_tasks(detail=True, limit=1000) if t.name == 'placed']"
    assert kernel.value(sites) == [f"In[{number}]:1"]
    assert kernel.value("[a.call_site for a in state.list_actors(detail=True) if a.class_name == 'Placed']") == [
        f"In[{number}]:7"
    ]
