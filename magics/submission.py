"""Tasks of cells: sent, watched, shown when they are done, cancelled when their cell runs again."""

from __future__ import annotations

import functools
import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from raynb.magics.capture import unpicklable
from raynb.magics.panel import Panel
from raynb.magics.shipment import Shipment
from raynb.magics.show import Bundle
from raynb.magics.task import NoValue, ShippedCell, run_cell, value_or_error
from raynb.runtime.api import objects
from raynb.runtime.api.remote import make_remote


@dataclass(eq=False)
class Submission:
    """One task of a cell.

    Attributes
    ----------
    outputs
        References to what the cell's names stand for.
    report
        Reference to the list of what the cell showed; it is there when the task is done.
    needs
        References that it depends on.
    superseded
        The cell has run again: nobody wants to hear what became of this one.
    """

    outputs: tuple[Any, ...]
    report: Any
    needs: tuple[Any, ...] = ()
    superseded: bool = False


@functools.cache
def _remote_run_cell() -> Any:
    return make_remote(run_cell, {})


@functools.cache
def _value_or_error() -> Any:
    return make_remote(value_or_error, {"num_cpus": 0, "max_retries": 0})


def send(shipment: Shipment, options: dict[str, Any]) -> list[Submission]:
    """Submit the cell, once or once for each item.

    Raises
    ------
    CaptureError
        An input can't be pickled; its name and the way to the culprit are in the message.
    """
    cell = shipment.cell
    options = {"name": cell.source.label, **options, "num_returns": cell.num_returns}
    function = _remote_run_cell().options(**options)
    try:
        luggage = shipment.luggage if shipment.items is None else objects.put(shipment.luggage)
        sent = [function.remote(*call) for call in shipment.calls(luggage)]
    except Exception as error:
        explained = unpicklable(shipment.luggage.values, shipment.items or ())
        if explained is None:
            raise
        raise explained from error
    returned = [refs if isinstance(refs, list) else [refs] for refs in sent]
    return [Submission(_outputs(cell, refs[:-1]), refs[-1], shipment.refs) for refs in returned]


def _outputs(cell: ShippedCell, refs: list[Any]) -> tuple[Any, ...]:
    """The references for the notebook: of an output that may be missing, one that then fails."""
    names = [*cell.outputs, *([None] if cell.takes_last else [])]
    return tuple(
        _value_or_error().options(name=f"{cell.source.label} {name}").remote(ref) if name in cell.doubtful else ref
        for name, ref in zip(names, refs, strict=True)
    )


def fail_with(error: Exception) -> Any:
    """A reference to nothing but an error."""
    return _value_or_error().remote(NoValue(error))


def cancel(submissions: Iterable[Submission], *, superseded: bool = False) -> None:
    """Cancel these tasks, queued or running, and what they have submitted."""
    for submission in submissions:
        submission.superseded |= superseded
        objects.cancel(submission.report)


class Running:
    """The tasks that run, by the cell that submitted them. Callbacks come from other threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_cell: dict[str, list[Submission]] = {}

    def superseded(self, key: str, needed: Collection[Any]) -> list[Submission]:
        """Tasks of earlier runs of the cell, but for those that the new run builds on."""
        found: list[Submission] = []
        needed = set(needed)
        with self._lock:
            for earlier in reversed(self._by_cell.get(key, [])):
                if needed & set(earlier.outputs):
                    needed |= set(earlier.needs)
                elif not earlier.superseded:
                    found.append(earlier)
        return found

    def add(self, key: str, submissions: Iterable[Submission]) -> None:
        """These run now."""
        with self._lock:
            self._by_cell.setdefault(key, []).extend(submissions)

    def forget(self, key: str, submission: Submission) -> None:
        """This one is over."""
        with self._lock:
            left = [other for other in self._by_cell.get(key, []) if other is not submission]
            if left:
                self._by_cell[key] = left
            else:
                self._by_cell.pop(key, None)

    def watch(self, key: str, submissions: Iterable[Submission], panel: Panel) -> None:
        """Show each task's outcome when it is there."""
        for submission in submissions:
            future = submission.report.future()
            future.add_done_callback(functools.partial(self._done, key, submission, panel))

    def _done(self, key: str, submission: Submission, panel: Panel, future: Any) -> None:
        self.forget(key, submission)
        if submission.superseded:
            panel.superseded()
            return
        try:
            shown: list[Bundle] = future.result()
        except BaseException as error:
            panel.failed(error)
        else:
            panel.done(shown)

    def wait(self, key: str, submissions: Iterable[Submission], panel: Panel) -> None:
        """Wait for these here, and show each one's outcome. An interrupt cancels what is left.

        Raises
        ------
        Exception
            Of the first that failed.
        """
        __tracebackhide__ = True
        waiting = list(submissions)
        try:
            for submission in list(waiting):
                panel.done(objects.get(submission.report))
                waiting.remove(submission)
                self.forget(key, submission)
        except KeyboardInterrupt:
            cancel(waiting)
            raise
        finally:
            for submission in waiting:
                self.forget(key, submission)
