"""The table that raynb is held to: a row's name, its unit, its floor, and what Ray reached.

`ray` is the figure of Ray 2.60 on the two-core machine on which the floors were set. It stands in
for a measurement only until one is made here (`--vs-ray`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One row; `key` is the function in `cases` that measures it.

    `at_least` is the floor, or the ceiling where `lower_is_better`; a row without one is reported,
    beside what the machine itself can do. A `fresh` row starts its own cluster, in a process of its
    own. A `long` row runs only when it is asked for.
    """

    key: str
    title: str
    unit: str
    ray: float | None
    at_least: float | None
    lower_is_better: bool = False
    fresh: bool = False
    long: bool = False

    def times_better(self, value: float, other: float) -> float:
        """How many times better `value` is than `other`; below 1 it is worse."""
        return other / value if self.lower_is_better else value / other


# fmt: off
ROWS = (
    Row("import_time", "`import`", "s", 0.37, 0.1, lower_is_better=True, fresh=True),
    Row("init_time", "`init()` to first result (a second time on this machine)", "s", 2.9, 0.6,
        lower_is_better=True, fresh=True),
    Row("task_in_turn", "one task, submit + get, in turn", "/s", 800, 4_500),
    Row("tasks", "5,000 small tasks, then get all", "/s", 2_160, 60_000),
    Row("tasks_busy_driver", "the same while the driver computes in Python", "/s", 2_040, 20_000),
    Row("actor_in_turn", "actor call, in turn", "/s", 1_750, 5_000),
    Row("actor_p99_under_load", "p99 of an actor call in turn under 2,000 queued 1 ms tasks", "ms",
        4.4, 1.5, lower_is_better=True),
    Row("actor_calls", "2,000 actor calls, then get all", "/s", 9_450, 60_000),
    Row("actors_from_tasks", "actors called from tasks with a stored array", "/s", 2_090, 10_000),
    Row("actors_created", "actors created and answering (20 at once)", "/s", 2.6, 40),
    Row("nested_tasks", "tasks that start tasks (4 x 250)", "/s", 1_980, 20_000),
    Row("chain", "a chain of 500 dependent tasks", "/s", 900, 20_000),
    Row("tree", "a reduction tree of 2,047 tasks", "/s", 2_280, 40_000),
    Row("streaming_items", "items of a streaming generator", "/s", 20_600, 40_000),
    Row("put_small", "`put` of a small value", "/s", 2_700, 60_000),
    Row("put_large_warm", "`put` of 100 MB arrays, warm", "GB/s", 3, 13),
    Row("put_large_fresh", "`put` of 2 GB kept, no page used twice", "GB/s", 0.62, 2, fresh=True),
    Row("get_large", "`get` of a stored 100 MB array", "us", 72, 30, lower_is_better=True),
    Row("read_stored", "task reading a stored 10 MB array", "/s", 1_960, 10_000),
    Row("argument_and_result", "task with a 100 KB argument and result", "/s", 1_570, 8_000),
    Row("return_large", "task returning a 10 MB array it makes", "GB/s", 5.0, 5.0),
    Row("many_arguments", "one task with 10,000 stored arguments", "s", 0.69, 0.1,
        lower_is_better=True),
    Row("share_even", "400 tasks of 5 ms: share of the ideal", "%", 84, 95),
    Row("share_uneven", "one task of 400 ms among 400 of 2 ms: share of the ideal", "%", 79, 92),
    Row("wait_one_by_one", "`wait` popping 1,000 refs one by one", "rounds/s", 2.4, 20),
    Row("get_many", "`get` of 10,000 refs (done)", "/s", 20, 150),
    Row("store_to_store", "from one node's store to another's", "GB/s", None, None, fresh=True),
    Row("spill_and_restore", "1 GB put into a store of 200 MB, and read", "GB/s", None, None, fresh=True),
    Row("idle_memory", "fresh idle cluster, PSS of all its processes", "MB", 524, 150,
        lower_is_better=True, fresh=True),
    Row("queued_task_memory", "driver memory for one queued task", "bytes", 3_030, 800,
        lower_is_better=True, fresh=True),
    Row("million_tasks", "1,000,000 tasks queued, then run", "s", 149, 60, lower_is_better=True,
        fresh=True, long=True),
)
# fmt: on

BY_KEY = {row.key: row for row in ROWS}

#: The rows whose growth is looked at, under names without a number of tasks.
GROWING = {
    "tasks": "small tasks, then get all",
    "actor_calls": "actor calls, then get all",
    "chain": "a chain of dependent tasks",
    "tree": "a reduction tree",
}


def matching(pattern: str | None, *, long: bool = False) -> list[Row]:
    """Rows whose key or title has `pattern` in it; without one, all of them but the long ones."""
    if pattern is None:
        return [row for row in ROWS if long or not row.long]
    wanted = pattern.lower()
    return [row for row in ROWS if wanted in row.key or wanted in row.title.lower()]
