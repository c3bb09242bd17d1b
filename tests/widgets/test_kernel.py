"""In a real kernel, by its messages: what widgets show, in which cell, and what of it stays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.magics.kernel import Kernel

VIEW = "application/vnd.jupyter.widget-view+json"
FUNCTIONS = """
import os, time
@ray.remote
def held(number, gate):
    while not os.path.exists(gate): time.sleep(0.005)
    return number

@ray.remote(max_retries=0)
def broken(number, gate):
    while not os.path.exists(gate): time.sleep(0.005)
    raise ValueError(f"row {number}")
"""


class WidgetKernel(Kernel):
    """Knows the widgets that its cells have made. Somebody sits there, unless ``attended`` is off."""

    attended = True

    def send(self, cell: str, cell_id: str = "", *, stdin: bool | None = None) -> str:
        return super().send(cell, cell_id, stdin=self.attended if stdin is None else stdin)

    @property
    def all(self) -> list[dict[str, Any]]:
        return [message for messages in self.messages.values() for message in messages]

    def states(self, model: str) -> list[dict[str, Any]]:
        """The states of a widget that the front end was told, the first one whole."""
        found = []
        for message in self.all:
            content = message["content"]
            if message["msg_type"] in ("comm_open", "comm_msg") and content["comm_id"] == model:
                found.append(content["data"].get("state", {}))
        return found

    def bundles(self, request: str) -> list[dict[str, Any]]:
        """What a cell displayed, each replacement too."""
        return [content["data"] for content in self.of(request, "display_data", "update_display_data")]

    def tell(self, model: str, **data: Any) -> str:
        """A message from the front end to a widget; its id."""
        message = self.client.session.msg("comm_msg", {"comm_id": model, "data": data})
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])


@pytest.fixture(scope="module")
def kernel() -> Iterator[WidgetKernel]:
    kernel = WidgetKernel(progress=True)
    try:
        kernel.run("%load_ext raynb\nimport raynb as ray")
        kernel.run(f"ray.init(num_cpus=2, name='test');\n{FUNCTIONS}")
        yield kernel
        kernel.run("ray.shutdown()")
    finally:
        kernel.close()


@pytest.fixture
def gate(kernel: WidgetKernel, tmp_path: Path) -> Iterator[Path]:
    """What `held` waits for: open after the test, however it ends."""
    kernel.run(f"gate = {str(tmp_path / 'gate')!r}")
    yield tmp_path / "gate"
    (tmp_path / "gate").touch()


def model_of(bundle: dict[str, Any]) -> str:
    return str(bundle[VIEW]["model_id"])


def test_a_get_that_lasts_shows_how_far_it_is_while_the_kernel_is_busy(kernel: WidgetKernel, gate: Path) -> None:
    last = str(gate.with_name("last"))
    kernel.run(f"refs = [held.remote(n, gate) for n in range(3)] + [broken.remote(1, {last!r})]")
    waits = kernel.send("try: ray.get(refs)\nexcept ValueError: pass")
    kernel.wait_until(lambda: kernel.bundles(waits))
    [shown] = kernel.bundles(waits)
    assert shown["text/plain"].startswith("Running: 0 of 4 in 1.")
    model = model_of(shown)
    kernel.wait_until(
        lambda: len({state["state"]["elapsed_s"] for state in kernel.states(model) if "state" in state}) > 3
    )
    gate.touch()
    kernel.wait_until(lambda: any(state["state"]["total"]["done"] == 3 for state in kernel.states(model)[1:]))
    assert not kernel.is_done(waits)
    Path(last).touch()
    kernel.wait_until(lambda: kernel.is_done(waits))
    # Before the cell was idle: who executes notebooks without a front end reads no further.
    [_, end] = kernel.bundles(waits)
    assert VIEW not in end
    assert end["text/plain"].startswith("Done, with failures: 4 of 4 in ")
    assert "3 of 3" in end["text/html"] and "row 1" in end["text/html"]
    assert re.search(r"Cell In\[\d+\], line \d+, in broken", end["text/html"])


def test_a_quick_get_and_one_with_the_setting_off_show_nothing(kernel: WidgetKernel, gate: Path) -> None:
    gate.touch()
    quick = kernel.run("ray.get([held.remote(n, gate) for n in range(20)])")
    kernel.run("%config RaynbMagics.progress = False")
    off = kernel.run("@ray.remote\ndef nap(): time.sleep(1.6)\nray.get(nap.remote())")
    kernel.run("%config RaynbMagics.progress = True")
    assert not kernel.bundles(quick) and not kernel.bundles(off)
    assert not kernel.errors(quick) and not kernel.errors(off)


def test_gets_of_one_cell_share_one_place(kernel: WidgetKernel) -> None:
    loop = kernel.run(
        "@ray.remote\ndef nap(s): time.sleep(s)\nfor s in (1.6, 0.6, 1.4): ray.get([nap.remote(s) for _ in range(2)])"
    )
    places = {content["transient"]["display_id"] for content in kernel.of(loop, "display_data")}
    assert len(places) == 1
    assert kernel.bundles(loop)[-1]["text/plain"].startswith("Done: 6 of 6 in ")


def test_an_interrupted_get_says_how_far_it_came(kernel: WidgetKernel, gate: Path) -> None:
    waits = kernel.send("ray.get([held.remote(n, gate) for n in range(3)])")
    kernel.wait_until(lambda: kernel.bundles(waits))
    kernel.manager.interrupt_kernel()
    kernel.wait_until(lambda: kernel.is_done(waits))
    assert kernel.bundles(waits)[-1]["text/plain"].startswith("Stopped waiting: 0 of 3 in ")


def test_progress_goes_on_after_its_cell_and_leaves_its_end_there(kernel: WidgetKernel, gate: Path) -> None:
    shows = kernel.run("ray.widgets.progress([held.remote(n, gate) for n in range(3)])")
    [shown] = kernel.bundles(shows)
    busy = kernel.send("while not os.path.exists(gate): pass\ntime.sleep(1.5)")
    gate.touch()
    kernel.wait_until(lambda: len(kernel.bundles(shows)) == 2)
    assert not kernel.is_done(busy)
    end = kernel.bundles(shows)[1]
    assert VIEW not in end and end["text/plain"].startswith("Done: 3 of 3 in ")
    states = [state["state"] for state in kernel.states(model_of(shown)) if "state" in state]
    assert states[-1]["status"] == "done" and states[-1]["total"]["done"] == 3
    kernel.wait_until(lambda: kernel.is_done(busy))


def test_nothing_is_sampled_when_all_is_over_or_closed(kernel: WidgetKernel, gate: Path) -> None:
    threads = "import threading\nprint([t.name for t in threading.enumerate() if t.name.startswith('raynb-widgets')])"
    kernel.run("from raynb.widgets.task_progress import Progress")
    kernel.wait_until(lambda: kernel.printed(kernel.run(threads)).strip() == "[]")
    kernel.run("shown = ray.widgets.progress([held.remote(n, gate) for n in range(3)])\nshown")
    assert kernel.printed(kernel.run(threads)).strip() == "['raynb-widgets']"
    closed = kernel.run("shown.close()\nprint(len(shown._tally._pending), shown.status)")
    assert kernel.printed(closed).split() == ["0", "stopped"]
    kernel.wait_until(lambda: kernel.printed(kernel.run(threads)).strip() == "[]")
    gate.touch()


def test_a_cluster_is_sampled_while_it_is_displayed(kernel: WidgetKernel) -> None:
    shows = kernel.run("card = ray.widgets.Cluster()\ncard")
    [shown] = kernel.bundles(shows)
    assert shown["text/plain"].startswith("Cluster test: up ")
    model = model_of(shown)
    kernel.tell(model, method="update", state={"_view_count": 1}, buffer_paths=[])

    def facts() -> list[dict[str, Any]]:
        return [state["facts"] for state in kernel.states(model) if "facts" in state]

    kernel.wait_until(lambda: len(facts()) > 2)
    assert facts()[-1]["cpus"] == {"used": 0.0, "total": 2.0}
    kernel.tell(model, method="update", state={"_view_count": 0}, buffer_paths=[])
    threads = "import threading\nprint([t.name for t in threading.enumerate() if t.name.startswith('raynb-widgets')])"
    kernel.wait_until(lambda: kernel.printed(kernel.run(threads)).strip() == "[]")
    number = len(facts())
    kernel.tell(model, method="update", state={"_view_count": 1}, buffer_paths=[])
    kernel.wait_until(lambda: len(facts()) > number)
    kernel.run("card.close()")
    assert VIEW not in kernel.bundles(shows)[-1]


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"do": "scale", "num_cpus": "7; import os"}, "must be a whole number from 1 to"),
        ({"do": "scale", "num_cpus": 0}, "must be a whole number from 1 to"),
        ({"do": "attach", "cluster": "none of these"}, "there is no cluster 'none of these'"),
        ({"do": "adapt", "minimum": 3, "maximum": 2}, "1 <= minimum <= maximum"),
    ],
)
def test_a_wish_that_makes_no_sense_is_answered_in_words(kernel: WidgetKernel, wish: dict[str, Any], says: str) -> None:
    connected = wish["do"] != "attach"
    kernel.run("" if connected else "ray.shutdown()")
    shows = kernel.run("card = ray.widgets.Cluster()\ncard")
    model = model_of(kernel.bundles(shows)[0])
    kernel.tell(model, method="custom", content={**wish, "id": "wish-1"})

    def answers() -> list[dict[str, Any]]:
        controls = [state["control"] for state in kernel.states(model) if "control" in state]
        return [control for control in controls if control["answered"] == "wish-1"]

    kernel.wait_until(answers)
    assert says in answers()[-1]["message"] and answers()[-1]["failed"]
    kernel.run("card.close()" if connected else f"card.close()\nray.init(num_cpus=2, name='test');\n{FUNCTIONS}")


def test_wishes_that_are_none_are_ignored(kernel: WidgetKernel) -> None:
    shows = kernel.run("card = ray.widgets.Cluster()\ncard")
    model = model_of(kernel.bundles(shows)[0])
    for content in ({}, {"do": "__init__"}, {"do": ["stop"]}, "stop", 7):
        kernel.tell(model, method="custom", content=content)
    still = kernel.run("print(ray.is_initialized(), card)")
    assert kernel.printed(still).startswith("True Cluster test")
    kernel.run("card.close()")


def test_a_cluster_of_many_tasks_grows_and_shrinks_by_itself(kernel: WidgetKernel, gate: Path) -> None:
    kernel.run("refs = [held.remote(n, gate) for n in range(20)]")
    kernel.run("card = ray.widgets.Cluster()\ncard.adapt(1, 4)\ncard")
    adapted = "print(ray.cluster_resources()['CPU'])"
    kernel.wait_until(lambda: kernel.printed(kernel.run(adapted)).strip() == "4.0")
    gate.touch()
    kernel.run("ray.get(refs)")
    kernel.wait_until(lambda: kernel.printed(kernel.run(adapted)).strip() == "1.0")
    kernel.run("card.close()\nfrom raynb.runtime.api.cluster import scale\nscale(2)")


def test_what_init_gives_is_shown_as_a_card(kernel: WidgetKernel) -> None:
    shows = kernel.run("ray.init(ignore_reinit_error=True)")
    [shown] = kernel.bundles(shows)
    assert VIEW in shown and shown["text/plain"].startswith("Cluster test: up ")
    assert not kernel.of(shows, "execute_result")


def test_loading_the_extension_loads_no_widgets_and_is_quick() -> None:
    kernel = Kernel()
    try:
        kernel.run("%load_ext raynb\nimport raynb")
        loaded = kernel.run("import sys\nprint([name for name in ('anywidget', 'ipywidgets') if name in sys.modules])")
        assert kernel.printed(loaded).strip() == "[]"
    finally:
        kernel.close()


def test_where_nobody_sits_a_picture_is_shown_and_brought_up_to_date_when_the_cell_ends(
    kernel: WidgetKernel, gate: Path
) -> None:
    kernel.attended = False
    try:
        request = kernel.run(
            "refs = [held.remote(n, gate) for n in range(3)]\ndisplay(ray.widgets.progress(refs))\n"
            "open(gate, 'w').close()\nray.wait(refs, num_returns=3)\ndisplay(ray.widgets.Cluster())"
        )
    finally:
        kernel.attended = True
    shown = kernel.of(request, "display_data", "update_display_data")
    assert not any(VIEW in content["data"] for content in shown)
    idle = [m["msg_type"] for m in kernel.messages[request]].index("update_display_data")
    assert idle < len(kernel.messages[request]) - 1, "the last picture comes before the cell's end"
    progress, cluster = kernel.shown(request)
    assert progress.startswith("Done: 3 of 3") and "CPU slots" in cluster
