"""How far the tasks of a notebook's cells are: of each cell its newest run.

Rules
-----
* Counts are those of the state API. A run is newer if its kernel was started later, or else if its number is higher.
* Of more than `CELLS_MAX` cells the ones that began last are told.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import nlargest
from typing import Final

from raynb.runtime.core.event_flows import cell_key, cell_parts
from raynb.runtime.core.event_names import Totals
from raynb.runtime.core.live_view import Tables, ms
from raynb.runtime.core.task_views import state_counts
from raynb.runtime.messages.screen import CellCounts, CellsState, CellsView

CELLS_MAX: Final = 1000

Key = tuple[str, str]
"""Notebook and cell."""


@dataclass(slots=True)
class _Run:
    order: tuple[float, int]
    count: int
    totals: Totals


class Cells:
    """A `CellsView`."""

    def __init__(self, tables: Tables, view: CellsView) -> None:
        self._tables = tables
        self._notebook = view.notebook
        self._cells: dict[Key, CellCounts] = {}
        self.cost = 0

    def stamp(self) -> object:
        return self._tables.events.changes

    def whole(self) -> CellsState:
        return CellsState(list(self._cells.values()))

    def refresh(self, wall: float) -> CellsState | None:
        runs = self._newest()
        shown = nlargest(CELLS_MAX, runs, key=lambda key: runs[key].totals.began) if len(runs) > CELLS_MAX else runs
        before, self._cells = self._cells, {key: _cell(key, runs[key]) for key in shown}
        changed = [cell for key, cell in self._cells.items() if before.get(key) != cell]
        return CellsState(changed) if changed else None

    def _newest(self) -> dict[Key, _Run]:
        runs: dict[Key, _Run] = {}
        jobs, self.cost = self._tables.jobs.jobs, 0
        for part in self._tables.events.names.parts():
            self.cost += 1
            if not part.cell:
                continue
            job = jobs.get(part.job)
            notebook = job.notebook if job is not None else ""
            if self._notebook and notebook != self._notebook:
                continue
            number, count, _ = cell_parts(part.cell)
            key, order = (notebook, cell_key(part.cell)), (job.started if job is not None else 0.0, number)
            run = runs.get(key)
            if run is None or order > run.order:
                run = runs[key] = _Run(order, count, Totals("", 0))
            if order == run.order:
                run.totals.add(part)
        return runs


def _cell(key: Key, run: _Run) -> CellCounts:
    notebook, cell = key
    totals = run.totals
    over = totals.submitted <= totals.finished + totals.failed
    return CellCounts(
        cell=cell,
        notebook=notebook,
        execution_count=run.count,
        counts=state_counts(totals),
        began=ms(totals.began),
        ended=ms(totals.ended) if over else 0.0,
    )
