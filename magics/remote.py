"""`%%remote` and `%remote`: from the text of a cell to tasks and references.

Everything that can be refused is refused before a name is bound or an older task cancelled.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

from raynb.magics import arguments
from raynb.magics.analysis import analyze, check
from raynb.magics.arguments import ExpressionOptions, HelpRequested, Parsed, RemoteOptions, ResourceOptions
from raynb.magics.declare import declare
from raynb.magics.errors import OptionError
from raynb.magics.facts import CellFacts, Kind
from raynb.magics.local import run_here
from raynb.magics.panel import Panel
from raynb.magics.references import RefList
from raynb.magics.resources import check_feasible
from raynb.magics.running import Running, Submission, cancel
from raynb.magics.session import Session
from raynb.magics.shipment import Shipment, prepare
from raynb.magics.source import CellSource
from raynb.magics.submission import send
from raynb.magics.words import split

_VALUE = "value"
"""What the value of a `%remote` expression is called on its way; it is bound to no name."""


class LostChangeWarning(UserWarning):
    """A cell changes an input, and the notebook won't see the change."""


class RemoteCells:
    """The magics of one notebook; remembers which of its cells still run."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._running = Running()

    def run_cell(self, line: str, body: str) -> None:
        """`%%remote`: declare what the cell defines, or submit the cell.

        Raises
        ------
        CellError
            What is wrong with the options or the cell.
        SyntaxError
            With the cell's own line.
        """
        __tracebackhide__ = True
        options = self._options(RemoteOptions, split(line))
        if options is None:
            return
        cell = self._session.cell(line, body)
        facts = self._facts(cell)
        if facts.kind is Kind.TASK:
            self._run_task(cell, facts, options)
            return
        _refuse_task_options(options)
        declare(cell, facts, options, self._session.namespace)

    def run_expression(self, line: str) -> Any:
        """`%remote EXPRESSION`: submit it and return the reference to its value."""
        __tracebackhide__ = True
        words, text = arguments.split_expression(line)
        options = self._options(ExpressionOptions, words)
        if options is None:
            return None
        cell = self._session.expression(text)
        facts = self._facts(cell)
        if len(facts.expressions) != 1 or facts.assigned:
            raise OptionError(f"%remote takes one expression, not {text!r}; a statement goes under %%remote")
        facts = dataclasses.replace(facts, shows_last=False)
        common = {f.name: getattr(options, f.name) for f in dataclasses.fields(ResourceOptions)}
        shipment = prepare(cell, facts, RemoteOptions(**common, out=_VALUE), self._session)
        self._warn(shipment)
        if options.local:
            return run_here(shipment)[0][0]
        check_feasible(options)
        return send(shipment, options.remote_options())[0].outputs[0]

    def _options(self, kind: type[Parsed], words: list[str]) -> Parsed | None:
        """The options, or None where help was asked for, and printed."""
        try:
            return arguments.parse(kind, arguments.expanded(words, self._session.namespace))
        except HelpRequested as help:
            print(help)
            return None

    def _facts(self, cell: CellSource) -> CellFacts:
        facts = analyze(cell, future_annotations=self._session.future_annotations)
        check(facts, cell)
        return facts

    def _run_task(self, cell: CellSource, facts: CellFacts, options: RemoteOptions) -> None:
        __tracebackhide__ = True
        key = self._session.key
        shipment = self._prepare(cell, facts, options)
        if options.local:
            cancel(shipment.superseded)
            self._bind(shipment, run_here(shipment))
            return
        check_feasible(options)
        submissions = send(shipment, options.remote_options())
        cancel(shipment.superseded)
        self._bind(shipment, [submission.outputs for submission in submissions])
        self._running.add(key, submissions)
        panel = Panel(
            self._session.screen(),
            cell,
            options.name or cell.label,
            len(submissions),
            awaits_value=facts.shows_last and not options.block,
        )
        if options.block:
            self._running.wait(key, submissions, panel)
        else:
            self._running.watch(key, submissions, panel)

    def _superseded_by(self, needed: set[Any]) -> list[Submission]:
        return self._running.superseded(self._session.key, needed) if self._session.cancels_on_rerun else []

    def _prepare(self, cell: CellSource, facts: CellFacts, options: RemoteOptions) -> Shipment:
        shipment = prepare(cell, facts, options, self._session, self._superseded_by)
        self._warn(shipment)
        return shipment

    def _warn(self, shipment: Shipment) -> None:
        for notice in shipment.notices:
            warnings.warn_explicit(notice.message, LostChangeWarning, shipment.cell.source.filename, notice.line)

    def _bind(self, shipment: Shipment, runs: list[tuple[Any, ...]]) -> None:
        if shipment.items is None:
            values: list[Any] = list(runs[0])
        else:
            values = [RefList(run[position] for run in runs) for position in range(len(shipment.names))]
        self._session.bind(dict(zip(shipment.names, values, strict=True)))


def _refuse_task_options(options: RemoteOptions) -> None:
    for f in dataclasses.fields(RemoteOptions):
        if f.metadata.get("of") == "task" and getattr(options, f.name) != f.default:
            raise OptionError(f"{arguments.typed(f)} is for a cell that runs as a task, and this one only declares")
