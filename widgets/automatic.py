"""A `get` that lasts shows by itself how far its tasks are, in the cell that waits.

Nothing is added to the path of a `get`: a client notes what a thread waits for (`Client.waits`), and a thread of this
module looks there a few times a second, as long as a cell runs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from raynb.runtime.client import refs as references

if TYPE_CHECKING:
    from raynb.runtime.client.client import Client
    from raynb.widgets.task_progress import Progress

log = logging.getLogger("raynb")

LOOK_S = 0.25
PATIENCE_S = 1.0
"""A `get` that is quicker shows nothing; what is shown goes back to rest when none has waited for so long."""


class GetWatch:
    """Watches the main thread while cells run.

    Parameters
    ----------
    enabled
        Asked before something is shown.
    on_full_store
        Called once when the main thread has waited `PATIENCE_S` for room in the object store, if it goes on to wait for
        as long at least: else an error is about to say the same.
    """

    def __init__(self, kernel: Any, enabled: Callable[[], bool], on_full_store: Callable[[Client], None]) -> None:
        self._kernel = kernel
        self._enabled = enabled
        self._on_full_store = on_full_store
        self._main = threading.main_thread().ident
        self._lock = threading.Lock()
        self._cell: _Cell | None = None

    def cell_begins(self, parent: Any) -> None:
        """A cell begins to run, asked for by this message."""
        self.cell_ends()
        self._cell = cell = _Cell(self._kernel, parent)
        threading.Thread(target=self._run, args=(cell,), name="raynb-get-watch", daemon=True).start()

    def cell_ends(self) -> None:
        """The cell has ended: what is shown is brought to its end before the front end hears of it."""
        cell, self._cell = self._cell, None
        if cell is not None:
            cell.ended.set()
            with self._lock:
                cell.rest()

    def _run(self, cell: _Cell) -> None:
        told = 0.0
        try:
            while not cell.ended.wait(LOOK_S):
                client = references._current
                since = None if client is None or self._main is None else client.plane.waiting.get(self._main)
                if client is not None and since is not None and since != told:
                    goes_on = client.machine.config.store_full_timeout_s >= 2 * PATIENCE_S
                    if goes_on and time.monotonic() - since >= PATIENCE_S:
                        told = since
                        self._on_full_store(client)
                    continue
                wait = None if client is None or self._main is None else client.waits.by_thread.get(self._main)
                with self._lock:
                    if not cell.ended.is_set():
                        cell.look(wait.refs if wait is not None and self._enabled() else None, time.monotonic())
        except Exception:
            log.exception("raynb: the progress of a get can't be shown")


class _Cell:
    """One run of a cell, and its progress, if it has one."""

    def __init__(self, kernel: Any, parent: Any) -> None:
        self.ended = threading.Event()
        self._kernel = kernel
        self._parent = parent
        self._refs: Any = None
        self._since = 0.0
        self._shown: Progress | None = None

    def look(self, refs: Any, now: float) -> None:
        """The main thread waits for these now (None: it does not wait)."""
        if refs is not self._refs:
            self._refs, self._since = refs, now
            if refs is not None and self._shown is not None:
                self._shown.add(refs)
        elif now - self._since < PATIENCE_S:
            pass
        elif refs is None:
            self.rest()
        elif self._shown is None:
            self._show(refs)

    def _show(self, refs: Any) -> None:
        # Here, as it loads what most cells have no use for.
        from raynb.widgets.output import Output
        from raynb.widgets.task_progress import Progress

        self._shown = Progress(refs, lingers=True, began=self._since)
        self._shown.show(Output(self._kernel, self._parent))

    def rest(self) -> None:
        """Nothing waits (any more): leave the picture of how it ended."""
        if self._shown is not None:
            self._shown.finish()
