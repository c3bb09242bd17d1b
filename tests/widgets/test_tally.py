"""The counts of a progress are exact, bounded, and hold nothing."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.core.ownership import Entry
from raynb.runtime.core.task import Function, Task
from raynb.runtime.messages.ids import FIRST_RETURN
from raynb.runtime.messages.tasks import ContextDef, FunctionDef
from raynb.runtime.messages.values import Failed, Inline
from raynb.widgets.tally import BARS_MAX, FAILURES_MAX, Snapshot, Tally

VALUE = Inline(b"")


class Table:
    """A client's table of objects, and tasks whose results are in it."""

    def __init__(self) -> None:
        self.entries: dict[bytes, Entry] = {}
        self.functions: dict[str, Function] = {}
        self.dropped: list[bytes] = []

    def submit(self, name: str, number: int = 1) -> list[ObjectRef[Any]]:
        function = self.functions.setdefault(name, Function(FunctionDef(1, b"", name, b""), name, {}))
        refs = []
        for _ in range(number):
            oid = len(self.entries).to_bytes(24, "little") + FIRST_RETURN
            task = Task(oid[:24], function, b"", ContextDef(1, b"", "", ""))
            self.entries[oid] = Entry(local=1, task=task, function=function)
            refs.append(ObjectRef(oid, "here", self.dropped.append))
        return refs

    def settle(self, refs: list[ObjectRef[Any]], value: Any = VALUE) -> None:
        for ref in refs:
            entry = self.entries[ref._id]
            entry.value, entry.task = value, None

    def task(self, ref: ObjectRef[Any]) -> Task:
        task = self.entries[ref._id].task
        assert task is not None
        return task


def bars(snapshot: Snapshot) -> dict[str, tuple[int, int, int, int]]:
    return {bar.name: (bar.done, bar.failed, bar.running, bar.waiting) for bar in snapshot.bars}


def test_each_reference_is_in_one_state() -> None:
    table = Table()
    f, g = table.submit("f", 10), table.submit("g", 3)
    tally = Tally(table.entries, 0.0)
    tally.add(f + g, 0.0)
    running = [table.task(f[3]), table.task(g[0])]
    assert bars(tally.look(running, 1.0)) == {"f": (0, 0, 1, 9), "g": (0, 0, 1, 2)}
    table.settle(f[:4])
    table.settle(g[:1], Failed("RayTaskError", "Traceback\nValueError: no"))
    snapshot = tally.look([table.task(f[4])], 2.0)
    assert bars(snapshot) == {"f": (4, 0, 1, 5), "g": (0, 1, 0, 2)}
    assert snapshot.total.total == 13 and not snapshot.settled
    table.settle(f[4:] + g[1:])
    assert bars(tally.look([], 3.0)) == {"f": (10, 0, 0, 0), "g": (2, 1, 0, 0)}


def test_a_task_of_others_that_runs_is_not_counted() -> None:
    table = Table()
    mine, other = table.submit("f", 2), table.submit("f")
    tally = Tally(table.entries, 0.0)
    tally.add(mine, 0.0)
    assert bars(tally.look([table.task(other[0])], 1.0)) == {"f": (0, 0, 0, 2)}


def test_a_reference_given_twice_counts_once() -> None:
    table = Table()
    refs = table.submit("f", 2)
    tally = Tally(table.entries, 0.0)
    tally.add(refs + refs, 0.0)
    table.settle(refs)
    tally.look([], 1.0)
    tally.add(refs, 1.0)
    assert tally.look([], 2.0).total.total == 2


def test_what_the_client_has_not_looked_at_waits() -> None:
    table = Table()
    refs = table.submit("f", 2)
    late = table.entries.pop(refs[1]._id)
    tally = Tally(table.entries, 0.0)
    tally.add(refs, 0.0)
    snapshot = tally.look([], 0.0)
    assert (snapshot.total.waiting, bars(snapshot)) == (2, {"f": (0, 0, 0, 1)})
    assert not tally.is_over()
    table.entries[refs[1]._id] = late
    assert bars(tally.look([], 0.0)) == {"f": (0, 0, 0, 2)}


def test_functions_beyond_the_limit_are_one_sum_and_every_count_is_exact() -> None:
    table = Table()
    refs = [ref for number in range(40) for ref in table.submit(f"f{number}", number + 1)]
    tally = Tally(table.entries, 0.0)
    tally.add(refs, 0.0)
    snapshot = tally.look([], 1.0)
    assert len(snapshot.bars) == BARS_MAX
    assert [bar.name for bar in snapshot.bars] == [f"f{number}" for number in range(40 - BARS_MAX, 40)]
    assert snapshot.others_count == 40 - BARS_MAX
    assert snapshot.others.total + sum(bar.total for bar in snapshot.bars) == snapshot.total.total == len(refs)


def test_a_failure_that_is_shown_has_been_looked_at() -> None:
    table = Table()
    failed, done = refs = table.submit("f", 2)
    saw: list[Failed] = []
    tally = Tally(table.entries, 0.0, saw.append)
    tally.add(refs, 0.0)
    tally.look([], 0.0)
    assert saw == []
    failure = Failed("RayTaskError", "ValueError: no")
    table.settle([failed], failure)
    table.settle([done])
    tally.look([], 1.0)
    assert saw == [failure]


def test_failures_are_grouped_by_their_words_and_bounded() -> None:
    table = Table()
    refs = table.submit("f", 100)
    for number, ref in enumerate(refs):
        words = f"row {number}" if number < 50 else "".join(chr(97 + int(digit)) for digit in str(number))
        table.settle([ref], Failed("RayTaskError", f"Traceback {number}\nValueError: {words}"))
    tally = Tally(table.entries, 0.0)
    tally.add(refs, 0.0)
    snapshot = tally.look([], 1.0)
    assert len(snapshot.failures) == FAILURES_MAX
    first = snapshot.failures[0]
    assert (first.name, first.error, first.count) == ("f", "ValueError: row 0", 50)
    assert first.text.startswith("Traceback 0\n")
    assert sum(failure.count for failure in snapshot.failures) + snapshot.failures_more == 100


def test_the_rate_counts_what_settles_from_now_on() -> None:
    table = Table()
    refs = table.submit("f", 100)
    table.settle(refs[:40])
    tally = Tally(table.entries, 0.0)
    tally.add(refs, 0.0)
    snapshot = tally.look([], 0.0)
    assert (snapshot.rate, snapshot.eta_s) == (None, None)
    table.settle(refs[:60])
    snapshot = tally.look([], 2.0)
    assert (snapshot.rate, snapshot.eta_s) == (10.0, 4.0)
    table.settle(refs)
    assert tally.look([], 3.0).eta_s is None


def test_the_rate_is_that_of_the_last_seconds() -> None:
    table = Table()
    refs = table.submit("f", 1000)
    tally = Tally(table.entries, 0.0)
    tally.add(refs, 0.0)
    for second in range(60):
        table.settle(refs[: second if second < 30 else 30 + 10 * (second - 30)])
        tally.look([], float(second))
    assert tally.look([], 59.0).rate == 10.0


def test_settled_references_are_let_go() -> None:
    table = Table()
    refs = table.submit("f", 2)
    table.settle(refs[:1])
    tally = Tally(table.entries, 0.0)
    tally.add(refs, 0.0)
    watched = [weakref.ref(ref) for ref in refs]
    del refs
    tally.look([], 1.0)
    gc.collect()
    assert [ref() is None for ref in watched] == [True, False]


def test_puts_and_borrowed_objects_are_named_as_such() -> None:
    table = Table()
    refs = table.submit("f", 2)
    table.entries[refs[0]._id] = Entry(value=VALUE, local=1)
    table.entries[refs[1]._id] = Entry(local=1, owner="elsewhere")
    tally = Tally(table.entries, 0.0)
    tally.add(refs, 0.0)
    assert bars(tally.look([], 1.0)) == {"(put)": (1, 0, 0, 0), "(made by other processes)": (0, 0, 0, 1)}
