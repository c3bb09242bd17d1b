"""`progress`: how far tasks are, live."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from raynb.runtime.api import outputs
from raynb.runtime.api.generator import ObjectRefGenerator
from raynb.runtime.client import refs as references
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.core.running import running
from raynb.widgets.output import Output, kernel_here
from raynb.widgets.progress_page import (
    DONE,
    FAILED,
    RUNNING,
    STOPPED,
    as_html,
    as_text,
    failures_of,
    state_of,
)
from raynb.widgets.sampling import sampler
from raynb.widgets.tally import Snapshot, Tally

SAMPLE_S = 0.2
CLOSED_S = 1.0
"""How often a progress that nobody looks at looks whether all is over."""

ANSWER_S = 1.0


def progress(refs: Any) -> Progress:
    """Show how far some tasks are: a bar for each function, the rate, the time that is left, and what failed.

    In a notebook, as the last line of a cell (or with ``display``), it goes on after the cell, and while the kernel is
    busy; when all tasks have ended their picture stays in the notebook. In a terminal bars are drawn on standard error
    until then. It does not wait; `raynb.get` shows the same by itself when it lasts more than a second.

    Parameters
    ----------
    refs : ObjectRef, ObjectRefGenerator, or an iterable of them
        100,000 are fine. Of functions beyond 12 only the sum is shown.

    Raises
    ------
    TypeError
        Something else was given.
    RuntimeError
        There is no cluster.

    Examples
    --------
    >>> raynb.widgets.progress([simulate.remote(seed) for seed in range(1000)])  # doctest: +SKIP
    """
    shown = Progress(_references(refs))
    if kernel_here() is None:
        from raynb.widgets import terminal

        terminal.draw(shown)
    return shown


def _references(given: Any) -> list[ObjectRef[Any]]:
    if isinstance(given, ObjectRef | ObjectRefGenerator):
        given = [given]
    elif isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise TypeError(f"progress() takes references, a list of them, say; not {type(given).__name__}: {given!r:.80}")
    found: list[ObjectRef[Any]] = []
    for each in given:
        ref = each.completed() if isinstance(each, ObjectRefGenerator) else each
        if not isinstance(ref, ObjectRef):
            raise TypeError(f"progress() takes references; one of those given is {type(each).__name__}: {each!r:.80}")
        found.append(ref)
    return found


class Progress:
    """How far some tasks are. Made by `progress`; see there.

    Parameters
    ----------
    refs
        What is counted; `add` takes more.
    lingers
        Stay live when all have ended, as more may come: until `finish`.
    began
        Since when somebody waits for them, in monotonic seconds; None: now.
    """

    def __init__(self, refs: Sequence[ObjectRef[Any]], *, lingers: bool = False, began: float | None = None) -> None:
        self._client = client = references.current()
        objects = client.machine.objects
        self._tally = Tally(objects.entries, time.monotonic() if began is None else began, objects.unhandled.saw)
        self._lock = threading.RLock()  # the cell's thread and the sampler's look
        self._outputs: list[Output] = []
        self._view: Any = None
        self._status = RUNNING
        self._lingers = lingers
        if client.host.alive:
            # So that the client has looked at what was submitted just now, and knows whose calls these are.
            client.host.run(lambda: client.host.read_inbox(time.monotonic()), ANSWER_S)
        self._tally.add(refs, time.monotonic())
        self._last = self._look()

    # -- what there is to see

    def _running(self) -> Any:
        host, machine = self._client.host, self._client.machine
        if not host.alive:
            return []
        return host.run(lambda: running(machine.scheduler, machine.actors), ANSWER_S) or []

    def _look(self) -> Snapshot:
        if self._status == RUNNING:
            self._last = self._tally.look(self._running(), time.monotonic())
            if self._last.settled:
                self._status = FAILED if self._last.total.failed else DONE
            elif not self._client.host.alive:
                self._status = STOPPED
        return self._last

    def look(self) -> tuple[Snapshot, str]:
        """The counts as of now, and the status that goes with them."""
        with self._lock:
            return self._look(), self._status

    @property
    def snapshot(self) -> Snapshot:
        """The counts as of now."""
        return self.look()[0]

    @property
    def status(self) -> str:
        """``running``, ``done``, ``failed`` (all have ended, some by failing), ``stopped`` (nobody counts any more)."""
        return self.look()[1]

    def __repr__(self) -> str:
        return as_text(*self.look())

    # -- showing it

    def _ipython_display_(self) -> None:
        kernel = kernel_here()
        if kernel is None:
            print(repr(self))
        else:
            self.show(Output(kernel))

    def show(self, output: Output) -> None:
        """Show it in an output of a cell, live until all have ended."""
        with self._lock:
            snapshot = self._look()
            self._outputs.append(output)
            if self._status == RUNNING and self._view is None:
                self._view = open_view(snapshot)
            self._write(output)
        if self._status == RUNNING:
            sampler.add(self._sample, SAMPLE_S)
            output.draw_at_the_end(lambda: self._draw_again(output))

    def _draw_again(self, output: Output) -> None:
        with self._lock:
            self._look()
            self._write(output)

    def _write(self, output: Output) -> None:
        said = _with_cells(self._last)
        output.show(widget=self._view, html=as_html(said, self._status), text=as_text(said, self._status))

    def _sample(self) -> float | None:
        """In the sampler's thread."""
        with self._lock:
            if self._status != RUNNING:
                return None
            if self._view is not None and self._view.is_closed and not self._tally.is_over():
                return CLOSED_S
            self._look()
            if self._status == RUNNING:
                tell_view(self._view, self._last, self._status)
                return SAMPLE_S
            if self._lingers:
                tell_view(self._view, self._last, self._status)
            else:
                self._end()
            return None

    def add(self, refs: Iterable[ObjectRef[Any]]) -> None:
        """Count these, too, and go on if all had ended."""
        with self._lock:
            self._tally.add(refs, time.monotonic())
            if self._status == RUNNING:
                return
            self._status = RUNNING
            self._look()
            if self._outputs and self._view is None:
                self._view = open_view(self._last)
                for output in self._outputs:
                    self._write(output)
            if self._outputs:
                sampler.add(self._sample)

    def finish(self) -> None:
        """Look once more, and leave the picture of that; what has not ended is counted no further. Idempotent."""
        with self._lock:
            if self._status == RUNNING:
                self._look()
                if self._status == RUNNING:
                    self._status = STOPPED
            if self._view is not None:
                self._end()

    def close(self) -> None:
        """As `finish`, and hold no references any more."""
        self.finish()
        self._tally.let_go()

    def _end(self) -> None:
        """The end state takes the place of the live view, so that the notebook keeps it."""
        view, self._view = self._view, None
        if view is not None:
            tell_view(view, self._last, self._status)
        for output in self._outputs:
            self._write(output)
        if view is not None:
            view.close()


def _with_cells(snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, failures=[replace(each, text=outputs.with_cells(each.text)) for each in snapshot.failures])


def open_view(snapshot: Snapshot) -> Any:
    """A live view of it, in which nothing is displayed yet."""
    from raynb.widgets.progress_view import ProgressView

    said = _with_cells(snapshot)
    return ProgressView(state=state_of(said, RUNNING), failures=failures_of(said))


def tell_view(view: Any, snapshot: Snapshot, status: str) -> None:
    """Tell the front end what has changed."""
    if view is None:
        return
    said = _with_cells(snapshot)
    view.failures = failures_of(said)
    view.state = state_of(said, status)
