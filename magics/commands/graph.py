"""`%raynb graph`: which tasks' values go into which, drawn in text and collapsed by function or cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from raynb.magics.amounts import count
from raynb.magics.arguments import Options, one_of, option, whole
from raynb.magics.commands.tasks import found_tasks
from raynb.magics.connected import cell_label, need_cluster
from raynb.magics.session import Session
from raynb.magics.table import Text
from raynb.runtime.messages.events import TASK_STATES
from raynb.runtime.messages.ids import PUT_INDEX_BASE, TASK_ID_BYTES, index_of

TASKS_MAX = 10_000
LINES_MAX = 200
PUT = "put"
_WORDS = dict(
    zip(TASK_STATES, ("wait for inputs", "wait for a worker", "sent", "running", "finished", "failed"), strict=True)
)


@dataclass(frozen=True)
class GraphOptions(Options):
    """Draw the dataflow: whose values are whose inputs, with counts by state.

    Tasks of the same function are one line; with --by cell those of the same cell. What has several sources is drawn in
    full below the first of them.
    """

    usage: ClassVar[str] = "%raynb graph [options]"

    by: str = field(
        default="FUNCTION",
        metadata=option(
            "collapse by function or by cell (function)",
            metavar="WHAT",
            read=one_of("FUNCTION", "CELL"),
            complete=("function", "cell"),
        ),
    )
    cell: int | None = field(
        default=None,
        metadata=option("only what cell In[N] has submitted", metavar="N", read=whole, complete="cell"),
    )
    name: str | None = field(
        default=None,
        metadata=option("only tasks of this function", metavar="NAME", complete="function"),
    )
    state: str | None = field(
        default=None,
        metadata=option("only tasks in this state", metavar="STATE", read=one_of(*TASK_STATES), complete=TASK_STATES),
    )


def graph(options: GraphOptions, session: Session) -> Text:
    """The drawing, and what is not on it."""
    client = need_cluster()
    rows, total, dropped = found_tasks(client, options, TASKS_MAX)
    drawing = Dataflow(rows, by_cell=options.by == "CELL")
    lines = list(drawing.lines())
    notes = [
        f"Of {total:,} tasks the newest {len(rows):,} are drawn." if total > len(rows) else "",
        f"{count(dropped, 'task')} that ended long ago are not kept any more." if dropped else "",
        f"{len(lines) - LINES_MAX} more lines are left out." if len(lines) > LINES_MAX else "",
    ]
    text = "\n".join(lines[:LINES_MAX]) or "(no task so far)"
    return Text(f"Dataflow of {count(total, 'task')}", text, notes)


class Dataflow:
    """Groups of tasks, and whose values go where.

    Parameters
    ----------
    rows
        Of the task table, with ``dependencies``.
    by_cell
        Group by cell; else by function.
    """

    def __init__(self, rows: Iterable[dict[str, Any]], *, by_cell: bool) -> None:
        ordered = sorted(rows, key=lambda row: row["creation_time_ms"] or 0)
        of_task = {row["task_id"]: _group(row, by_cell) for row in ordered}
        self.states: dict[str, Counter[str]] = {}
        self.flows: dict[str, Counter[str]] = {}
        """By source: how many values go to each."""
        self._fed: set[str] = set()
        for row in ordered:
            self.states.setdefault(of_task[row["task_id"]], Counter())[row["state"]] += 1
        for row in ordered:
            for oid in row["dependencies"]:
                source = of_task.get(oid[: 2 * TASK_ID_BYTES])
                if source is None and index_of(bytes.fromhex(oid)) >= PUT_INDEX_BASE:
                    source = PUT
                if source is not None:
                    self._flow(source, of_task[row["task_id"]])

    def _flow(self, source: str, to: str) -> None:
        self.flows.setdefault(source, Counter())[to] += 1
        if source != to:
            self._fed.add(to)

    def lines(self) -> Iterator[str]:
        """The drawing: a tree from each source, what was drawn before only named."""
        drawn: set[str] = set()
        sources = [PUT] if PUT in self.flows else []
        sources += [group for group in self.states if group not in self._fed]
        for group in [*sources, *self.states]:  # the rest is in circles
            if group not in drawn:
                yield from self._tree(group, "", "", drawn)

    def _tree(self, group: str, head: str, indent: str, drawn: set[str]) -> Iterator[str]:
        # Not by recursion: a chain of functions may be long.
        stack = [(group, head, indent)]
        while stack:
            name, head, indent = stack.pop()
            again = name in drawn
            yield f"{head}{self._label(name)}{'  (drawn above)' if again else ''}"
            if name in drawn:
                continue
            drawn.add(name)
            targets = self._targets(name)
            for place, target in reversed(list(enumerate(targets))):
                last = place == len(targets) - 1
                stack.append((target, f"{indent}{'└─ ' if last else '├─ '}", f"{indent}{'   ' if last else '│  '}"))

    def _targets(self, name: str) -> list[str]:
        return [target for target in self.flows.get(name, ()) if target != name]

    def _label(self, name: str) -> str:
        if name == PUT:
            return "values that were put"
        states = self.states[name]
        number = sum(states.values())
        counts = ", ".join(f"{states[state]} {_WORDS[state]}" for state in TASK_STATES if states[state])
        own = "  (into itself)" if name in self.flows.get(name, ()) else ""
        return f"{name}  x{number}  {counts}{own}"


def _group(row: dict[str, Any], by_cell: bool) -> str:
    return (cell_label(row["cell"]) or "(no cell)") if by_cell else str(row["name"])
