"""A Chrome trace as viewers want it: no two slices of a thread overlap, and everything is in the order of time.

An actor that answers several calls at once is one process, and its calls overlap. Viewers draw what overlaps on one
thread as nested or drop it, so such calls go to further threads, which are named after the first.
"""

from __future__ import annotations

from typing import Any, Final

TraceEvent = dict[str, Any]

ROWS_APART: Final = 1_000_000
"""Between the numbers of the threads that stand for one."""
SLACK_US: Final = 2.0
"""By so little what follows one another may overlap: microseconds since 1970 are no more exact than that."""
Lane = tuple[int, int]
"""Process and thread."""


def arranged(events: list[TraceEvent]) -> list[TraceEvent]:
    """The events of all pages (see `timeline_page`), which are changed."""
    slices: dict[Lane, list[TraceEvent]] = {}
    for event in events:
        if event["ph"] == "X" and not _is_part(event):
            slices.setdefault((event["pid"], event["tid"]), []).append(event)
    moved: dict[tuple[Lane, str], int] = {}
    rows: dict[Lane, int] = {}
    for lane, mine in slices.items():
        rows[lane] = _spread(lane, mine, moved)
    _mend_parts(events, moved)
    _mend_arrows(events, moved)
    heads = [event for event in events if event["ph"] == "M"]
    rest = [event for event in events if event["ph"] != "M"]
    rest.sort(key=lambda event: event["ts"])
    return [*heads, *_names(heads, rows), *rest]


def _spread(lane: Lane, slices: list[TraceEvent], moved: dict[tuple[Lane, str], int]) -> int:
    """Put what overlaps on further threads; how many there are then."""
    last: list[TraceEvent] = []
    slices.sort(key=lambda event: event["ts"])
    for event in slices:
        start = event["ts"]
        row = next((row for row, each in enumerate(last) if each["ts"] + each["dur"] <= start + SLACK_US), len(last))
        if row == len(last):
            last.append(event)
        else:
            last[row]["dur"] = min(last[row]["dur"], max(0.0, start - last[row]["ts"]))
            last[row] = event
        if row:
            event["tid"] = lane[1] + row * ROWS_APART
            moved[lane, event["args"]["task_id"]] = event["tid"]
    return len(last)


def _is_part(event: TraceEvent) -> bool:
    """Whether it lies within a task's slice, and so on top of it."""
    return "part" in event


def _mend_parts(events: list[TraceEvent], moved: dict[tuple[Lane, str], int]) -> None:
    """A part of a task goes where that has gone."""
    for event in events:
        if event["ph"] == "X" and _is_part(event):
            del event["part"]
            lane = event["pid"], event["tid"]
            event["tid"] = moved.get((lane, event["args"]["task_id"]), event["tid"])


def _mend_arrows(events: list[TraceEvent], moved: dict[tuple[Lane, str], int]) -> None:
    """An arrow belongs to the slice around it, and goes where that has gone; its id has to be a number."""
    numbers: dict[str, int] = {}
    for event in events:
        if event["ph"] in ("s", "f"):
            event["id"] = numbers.setdefault(event["id"], len(numbers) + 1)
            lane = event["pid"], event["tid"]
            event["tid"] = moved.get((lane, event["args"]["task_id"]), event["tid"])


def _names(heads: list[TraceEvent], rows: dict[Lane, int]) -> list[TraceEvent]:
    named: list[TraceEvent] = []
    for head in heads:
        if head["name"] == "thread_name":
            for row in range(1, rows.get((head["pid"], head["tid"]), 1)):
                label = f"{head['args']['name']}, at once {row + 1}"
                named.append({**head, "tid": head["tid"] + row * ROWS_APART, "args": {"name": label}})
    return named
