"""How far the cells of a notebook are, as its badges show it."""

from __future__ import annotations

import msgspec
import pytest

from raynb.runtime.messages import gcs, screen
from raynb.runtime.messages.acts import ActRequest, CancelTasks
from raynb.runtime.messages.events import FAILED, FINISHED, PENDING_NODE_ASSIGNMENT, RUNNING
from tests.runtime.core.screen_client import DRIVER, Hub, Window
from tests.runtime.core.task_rows import JOB, Row, name_def, rows, task_id, wall, worker_def

KERNEL = "0b1e2c3d"


@pytest.fixture
def hub() -> Hub:
    hub = Hub()
    hub.receive(DRIVER, gcs.RegisterJob(0, JOB, DRIVER, 1, "", "", 1.0, KERNEL))
    return hub


def submit(hub: Hub, name: int, token: str, *tasks: Row, finished: int = 0, submitted: int = 0) -> None:
    names = [name_def(name, cell=token)]
    for task in tasks:
        task.name = name
    totals = [(name, submitted or len(tasks), finished, 0, 0)]
    hub.receive(DRIVER, rows(*tasks, new_names=names, new_workers=[worker_def(0)], totals=totals))


def test_a_cell_has_the_counts_of_its_tasks_and_ends_with_the_last(hub: Hub, window: Window) -> None:
    submit(hub, 1, "5:3:abc", Row(1), Row(2, RUNNING, submitted=1.5, ended=0), finished=1)
    (cell,) = window.subscribe(screen.CellsView(KERNEL)).cells
    assert (cell.cell, cell.notebook, cell.execution_count) == ("abc", KERNEL, 3)
    assert cell.counts == [0, 0, 0, 1, 1, 0]
    assert (cell.began, cell.ended) == (wall(1) * 1000, 0)
    submit(hub, 1, "5:3:abc", Row(2, submitted=1.5, ended=8), submitted=2, finished=2)
    window.tick()
    (cell,) = window.states[1].cells
    assert (cell.counts, cell.ended) == ([0, 0, 0, 0, 2, 0], wall(8) * 1000)


def test_only_the_newest_run_of_a_cell_counts(hub: Hub, window: Window) -> None:
    submit(hub, 1, "5:3:abc", Row(1), Row(2), finished=2)
    submit(hub, 2, "6:4:abc", Row(3), finished=1)
    submit(hub, 3, "4:2:other", Row(4), finished=1)
    cells = {cell.cell: cell for cell in window.subscribe(screen.CellsView()).cells}
    assert (cells["abc"].execution_count, cells["abc"].counts[FINISHED]) == (4, 1)
    assert cells["other"].execution_count == 2


def test_functions_of_one_run_are_added_up_and_a_delta_has_what_changed(hub: Hub, window: Window) -> None:
    submit(hub, 1, "5:3:abc", Row(1), finished=1)
    submit(hub, 2, "5:3:abc", Row(2), finished=1)
    submit(hub, 3, "6:4:other", Row(3), finished=1)
    state = window.subscribe(screen.CellsView(KERNEL))
    assert {cell.cell: cell.counts[FINISHED] for cell in state.cells} == {"abc": 2, "other": 1}
    submit(hub, 3, "6:4:other", Row(4), submitted=2, finished=2)
    (delta,) = window.tick()
    assert [cell.cell for cell in delta.state.cells] == ["other"]


def test_tasks_of_other_notebooks_and_of_no_cell_are_left_out(hub: Hub, window: Window) -> None:
    submit(hub, 1, "", Row(1), finished=1)
    submit(hub, 2, "5:3:abc", Row(2), finished=1)
    assert window.subscribe(screen.CellsView("another")).cells == []
    assert [cell.cell for cell in window.subscribe(screen.CellsView(), 2).cells] == ["abc"]


# -- copies of a notebook have the same cells


OTHER_DRIVER, OTHER_JOB, OTHER_KERNEL = "ipc:///s/p/other", b"job2", "ffffffff"


@pytest.fixture
def copied(hub: Hub) -> Hub:
    """The same cell in two notebooks, each with a task that failed and one that waits."""
    hub.receive(OTHER_DRIVER, gcs.RegisterJob(0, OTHER_JOB, OTHER_DRIVER, 2, "", "", 1.0, OTHER_KERNEL))
    node = gcs.RegisterNode(b"n" * 28, "ipc:///s/p/m", 1, "here", "127.0.0.1", True, {}, {}, 1.0, [], [])
    hub.receive(node.address, node)
    for driver, job, first in ((DRIVER, JOB, 1), (OTHER_DRIVER, OTHER_JOB, 11)):
        name = msgspec.structs.replace(name_def(0, cell="5:3:abc"), job=job)
        tasks = [Row(first, FAILED, error=("RayTaskError", f"of {first}")), Row(first + 1, PENDING_NODE_ASSIGNMENT)]
        hub.receive(driver, rows(*tasks, new_names=[name], totals=[(0, 2, 0, 1, 0)]))
    return hub


def test_a_cell_in_the_graph_says_whose_notebook_it_is_in(copied: Hub, window: Window) -> None:
    nodes = window.subscribe(screen.GraphView(by="cell")).nodes
    assert {(node.cell, node.notebook) for node in nodes} == {("abc", KERNEL), ("abc", OTHER_KERNEL)}
    single = window.subscribe(screen.GraphView(by="task"), 2).nodes
    assert {node.notebook for node in single} == {KERNEL, OTHER_KERNEL}


def test_the_failures_of_one_notebooks_cell_are_found(copied: Hub, window: Window) -> None:
    node = next(n for n in window.subscribe(screen.GraphView(by="cell")).nodes if n.notebook == OTHER_KERNEL)
    _, job, cell = node.id.split(":")
    filters = (("job_id", "=", job), ("cell_id", "=", cell), ("state", "=", "FAILED"))
    page = window.subscribe(screen.TableView("tasks", filters=filters), 2)
    assert [row["error_message"] for row in page.rows] == ["of 11"]


@pytest.mark.parametrize(
    ("target", "cancelled"), [(f"cell:{KERNEL}:abc", [2]), (f"cell:{OTHER_KERNEL}:abc", [12]), ("cell:abc", [2, 12])]
)
def test_a_cancel_of_a_cell_is_of_one_kernel_where_it_names_it(copied: Hub, target: str, cancelled: list[int]) -> None:
    effects = copied.receive("ipc:///s/p/jupyter", ActRequest(1, "cancel", target))
    (message,) = [effect.message for effect in effects if isinstance(effect.message, CancelTasks)]
    assert sorted(message.task_ids) == [task_id(n) for n in cancelled]


def test_a_graph_begins_with_several_tasks(copied: Hub, window: Window) -> None:
    focus = ",".join(task_id(n).hex() for n in (1, 12))
    nodes = window.subscribe(screen.GraphView(by="task", focus=focus, depth=0)).nodes
    assert {node.id for node in nodes} == {task_id(1).hex(), task_id(12).hex()}
