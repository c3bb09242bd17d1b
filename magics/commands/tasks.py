"""`%raynb tasks`: what was submitted, the newest first, and how many of each function are in which state."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Any, ClassVar

from raynb.magics.amounts import ago, count, lasted, short_task, size
from raynb.magics.arguments import Options, one_of, option, whole
from raynb.magics.connected import cell_label, need_cluster, tokens_of
from raynb.magics.errors import OptionError
from raynb.magics.session import Session
from raynb.magics.table import Table, Tables
from raynb.magics.targets import NAMES_S
from raynb.runtime.api.cluster import query
from raynb.runtime.client.client import Client
from raynb.runtime.messages.events import TASK_STATES

LIMIT_MAX = 10_000
FUNCTIONS_MAX = 50

Filters = list[tuple[str, str, str]]


@dataclass(frozen=True)
class TasksOptions(Options):
    """List tasks, the newest first; by function where there are many.

    The totals are exact, whatever is left out of the list.
    """

    usage: ClassVar[str] = "%raynb tasks [options]"

    state: str | None = field(
        default=None,
        metadata=option(
            f"only those in this state: {', '.join(TASK_STATES)}",
            metavar="STATE",
            read=one_of(*TASK_STATES),
            complete=TASK_STATES,
        ),
    )
    name: str | None = field(
        default=None,
        metadata=option("only those of this function, or Class.method", metavar="NAME", complete="function"),
    )
    cell: int | None = field(
        default=None,
        metadata=option("only those that cell In[N] has submitted", metavar="N", read=whole, complete="cell"),
    )
    limit: int = field(
        default=20,
        metadata=option("list so many at most (20)", metavar="N", read=whole),
    )


def tasks(options: TasksOptions, session: Session) -> Tables:
    """The list, and below it the counts by function where the list doesn't have them all."""
    if options.limit > LIMIT_MAX:
        raise OptionError(f"--limit is at most {LIMIT_MAX}: narrow the list with --state, --name or --cell")
    client = need_cluster()
    rows, total, dropped = found_tasks(client, options, options.limit)
    if not total and options.name is not None:
        _refuse_unknown(options.name)
    shown = f"the newest {len(rows):,} of " if total > len(rows) else ""
    notes = []
    if total > len(rows) > 0:
        notes.append("More with --limit; fewer with --state, --name or --cell.")
    if dropped:
        notes.append(f"{count(dropped, 'task')} that ended long ago are not kept any more; the counts have them.")
    columns = ("task", "name", "state", "cell", "submitted", "waited", "ran", "pid", "result", "attempt", "error")
    numbers = ("pid", "result", "attempt", "ran", "waited")
    title = f"{shown}{count(total, 'task')}{_filtered(options)}"
    table = Table(f"{title[:1].upper()}{title[1:]}", columns, map(_row, rows), numbers=numbers, notes=notes)
    many = total > len(rows) or dropped
    return Tables(table, *([by_function()] if many and not options.name else []))


def found_tasks(client: Client, options: Any, limit: int) -> tuple[list[dict[str, Any]], int, int]:
    """Rows, the newest first, how many match in all, and how many the table has dropped.

    Parameters
    ----------
    options
        With ``state``, ``name`` and ``cell``, each None or what is wanted.
    """
    filters: Filters = []
    if options.state:
        filters.append(("state", "=", options.state))
    if options.name:
        filters.append(("name", "=", options.name))
    if options.cell is None:
        page = query("tasks", limit=limit, detail=True, filters=filters)
        return page["rows"][::-1], page["total"], page["dropped"]
    pages = [
        query("tasks", limit=limit, detail=True, filters=[*filters, ("cell", "=", token)])
        for token in tokens_of(client, options.cell)
    ]
    rows = sorted((row for page in pages for row in page["rows"]), key=lambda row: row["creation_time_ms"] or 0)[::-1]
    return rows[:limit], sum(page["total"] for page in pages), pages[0]["dropped"]


def _filtered(options: TasksOptions) -> str:
    words = [
        f"of {options.name}" if options.name else "",
        f"of In[{options.cell}]" if options.cell is not None else "",
        f"in state {options.state}" if options.state else "",
    ]
    return "".join(f" {word}" for word in words if word)


def _refuse_unknown(name: str) -> None:
    """Say which names there are, where nothing was ever called so."""
    names = function_names()
    if name in names:
        return
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {close[0]}?" if close else f" There are: {', '.join(names[:10])}." if names else ""
    raise OptionError(f"no task is called {name!r}.{hint}")


def function_names() -> list[str]:
    """What was called so far."""
    return [row["func_or_class_name"] for row in query("task_summary", limit=LIMIT_MAX, timeout_s=NAMES_S)["rows"]]


def _row(row: dict[str, Any]) -> list[Any]:
    begun = row["start_time_ms"]
    return [
        short_task(row["task_id"]),
        row["name"],
        row["state"],
        cell_label(row["cell"]),
        ago(row["creation_time_ms"]),
        lasted(row["creation_time_ms"], begun or row["end_time_ms"]),
        lasted(begun, row["end_time_ms"]),
        row["worker_pid"],
        size(row["result_size"]),
        row["attempt_number"] + 1 if row["attempt_number"] else "",
        last_line(row["error_message"], row["error_type"]),
    ]


def last_line(message: str | None, kind: str | None) -> str:
    """Of an error, what says most in a line."""
    if not kind:
        return ""
    lines = (message or "").strip().splitlines()
    if not lines:
        return kind
    return lines[-1] if kind == "TASK_EXECUTION_EXCEPTION" else lines[0]


def by_function() -> Table:
    """Exact counts of each function's tasks by state."""
    page = query("task_summary", limit=LIMIT_MAX)
    rows = page["rows"]
    states = [state for state in TASK_STATES if any(row["state_counts"].get(state) for row in rows)]
    lines = [
        [row["func_or_class_name"], sum(row["state_counts"].values())]
        + [row["state_counts"].get(state, "") for state in states]
        for row in rows[:FUNCTIONS_MAX]
    ]
    left = page["total"] - len(lines)
    notes = [f"{count(left, 'more function')} with fewer tasks."] if left > 0 else []
    return Table(
        "All tasks, by function", ["function", "tasks", *states], lines, numbers=["tasks", *states], notes=notes
    )
