"""How the output of many tasks becomes a cell's: in order, bounded, folded."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from raynb.output import BARS_MAX, DISPLAYS_MAX, LINES_MAX, TAIL_LINES, CellOutputs
from raynb.runtime.messages.tasks import DISPLAY, OutputLine


class Front:
    """Shows messages as a front end does: by cell, updates in place."""

    def __init__(self, *, folds: bool = True) -> None:
        self.outputs = CellOutputs(self._send, lambda: folds)
        self.texts: dict[str, list[tuple[str, str]]] = {}
        self.places: dict[str, dict[str, Any]] = {}

    def _send(self, token: str, kind: str, content: dict[str, Any]) -> None:
        if kind == "stream":
            self.texts.setdefault(token, []).append((content["name"], content["text"]))
            return
        place = content["transient"].get("display_id") or f"#{len(self.places)}"
        assert (place in self.places) == (kind == "update_display_data")
        self.places[place] = content["data"]

    def write(self, text: str, *, cell: str = "a", task: bytes = b"t", pid: int = 1, stream: str = "stdout") -> None:
        self.outputs.take([OutputLine(cell, task, "f", pid, stream, text)], 0)

    def shown(self, cell: str = "a") -> str:
        self.outputs.settle()
        return "".join(text for _, text in self.texts.get(cell, []))

    def displayed(self) -> list[str]:
        self.outputs.settle()
        return [data["text/plain"] for data in self.places.values()]


@pytest.fixture
def front() -> Front:
    return Front()


def test_text_goes_to_its_cell_and_stream_in_order(front: Front) -> None:
    front.write("one\n")
    front.write("two\n", stream="stderr")
    front.write("three\n", cell="b")
    assert front.texts == {"a": [("stdout", "one\n"), ("stderr", "two\n")], "b": [("stdout", "three\n")]}


def test_two_tasks_never_share_a_line(front: Front) -> None:
    front.write("half", task=b"t", pid=1)
    front.write("whole\n", task=b"u", pid=2)
    assert front.shown() == "half\nwhole\n"


def test_a_task_goes_on_with_its_own_line(front: Front) -> None:
    front.write("one ")
    front.write("two\n")
    assert front.shown() == "one two\n"


def test_a_line_of_many_workers_is_shown_once_and_counted(front: Front) -> None:
    for pid in range(8):
        front.write("loading the model\n", task=bytes([pid]), pid=pid)
    front.write("my own\n", pid=3)
    shown = front.shown()
    assert shown.splitlines() == ["loading the model", "my own", "loading the model  [repeated 7 times, by 8 workers]"]


def test_one_worker_may_repeat_itself(front: Front) -> None:
    for _ in range(5):
        front.write("tick\n")
    assert front.shown() == "tick\n" * 5


def test_two_of_a_kind_are_shown_as_they_are(front: Front) -> None:
    front.write("done\n", pid=1)
    front.write("done\n", pid=2)
    assert front.shown() == "done\ndone\n"


def test_folding_can_be_switched_off() -> None:
    front = Front(folds=False)
    for pid in range(8):
        front.write("same\n", pid=pid)
    assert front.shown() == "same\n" * 8


def test_lines_of_different_cells_are_not_folded_together(front: Front) -> None:
    for pid, cell in enumerate("abcd"):
        front.write("same\n", cell=cell, pid=pid)
    assert [front.shown(cell) for cell in "abcd"] == ["same\n"] * 4


def test_a_flood_is_counted_and_its_end_kept_to_look_at(front: Front) -> None:
    total = LINES_MAX + 12_345
    front.write("".join(f"line {number}\n" for number in range(total)))
    assert front.shown().splitlines() == [f"line {number}" for number in range(LINES_MAX)]
    (hidden,) = front.places.values()
    assert "12,345 more lines" in hidden["text/plain"]
    assert hidden["text/html"].count("line ") == TAIL_LINES
    assert f"line {total - 1}\n" not in hidden["text/html"].split("<pre>")[0]


def test_what_a_worker_kept_in_its_log_is_counted(front: Front) -> None:
    front.outputs.take([OutputLine("a", b"t", "f", 1, "stdout", "x\n")], 500)
    assert "500 more lines" in front.displayed()[0]


def test_hidden_lines_are_text_and_never_html(front: Front) -> None:
    front.write("\n" * LINES_MAX + "<script>alert(1)</script>\n")
    front.outputs.settle()
    (hidden,) = front.places.values()
    assert "<script>" not in hidden["text/html"]
    assert "&lt;script&gt;" in hidden["text/html"]


def test_a_progress_bar_is_one_line_that_changes(front: Front) -> None:
    for percent in range(0, 101, 10):
        front.write(f"\r{percent}%|###", stream="stderr")
    assert front.displayed() == ["100%|###"]
    front.write("\r100%|### done\n", stream="stderr")
    front.write("after\n", stream="stderr")
    assert front.displayed() == ["100%|### done"]
    assert front.shown() == "after\n"


def test_bars_of_many_tasks_stand_below_each_other(front: Front) -> None:
    for pid in range(3):
        front.write(f"\r{pid}0%", task=bytes([pid]), pid=pid, stream="stderr")
    front.write("\r99%", task=bytes([1]), pid=1, stream="stderr")
    assert front.displayed() == ["pid 0  00%\npid 1  99%\npid 2  20%"]


def test_more_bars_than_one_can_look_at_are_counted(front: Front) -> None:
    for pid in range(BARS_MAX + 30):
        front.write(f"\r{pid}%", task=pid.to_bytes(2, "big"), pid=pid, stream="stderr")
    (text,) = front.displayed()
    assert text.splitlines()[0] == "(and 30 more)"
    assert len(text.splitlines()) == BARS_MAX + 1


def test_windows_line_ends_are_no_bars(front: Front) -> None:
    front.write("one\r\ntwo\r\n")
    assert front.shown() == "one\ntwo\n"
    assert front.places == {}


def display(text: str, *, display_id: str = "", update: bool = False) -> str:
    transient = {"display_id": display_id} if display_id else {}
    content = {"data": {"text/plain": text}, "metadata": {}, "transient": transient, "update": update}
    return msgspec.json.encode(content).decode()


def test_a_display_can_be_updated_by_its_id(front: Front) -> None:
    front.write(display("first", display_id="d"), stream=DISPLAY)
    front.write(display("second", display_id="d", update=True), stream=DISPLAY)
    assert front.displayed() == ["second"]


def test_too_many_displays_are_counted(front: Front) -> None:
    for number in range(DISPLAYS_MAX + 5):
        front.write(display(f"figure {number}"), stream=DISPLAY)
    *shown, hidden = front.displayed()
    assert len(shown) == DISPLAYS_MAX
    assert "5 more lines" in hidden


def test_what_is_held_back_is_told_without_being_asked_for(front: Front) -> None:
    from tests.support.waiting import wait_until

    for pid in range(8):
        front.write("same\n", pid=pid)
    wait_until(lambda: any("repeated 7 times" in text for _, text in front.texts["a"]), 5)
