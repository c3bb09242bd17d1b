"""A task cell that is ready to go: all that could be refused has been looked at, and nothing has happened yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from raynb.magics.arguments import Mapped, RemoteOptions
from raynb.magics.capture import anchor, capture
from raynb.magics.errors import OptionError
from raynb.magics.facts import CellFacts
from raynb.magics.plan import Notice, plan
from raynb.magics.references import RefList, is_ref, kind_of
from raynb.magics.running import Submission
from raynb.magics.session import Session
from raynb.magics.source import CellSource
from raynb.magics.task import Luggage, ShippedCell


@dataclass(frozen=True)
class Shipment:
    """What `run_cell` is called with, once or once for each item.

    Attributes
    ----------
    names
        What the returned values are bound to, in the notebook, in this order.
    refs
        Dependencies.
    items
        With ``--map``, the last argument of each call; else None.
    superseded
        Earlier runs of the cell, to be cancelled now.
    """

    cell: ShippedCell
    names: tuple[str, ...]
    luggage: Luggage
    refs: tuple[Any, ...]
    items: tuple[Any, ...] | None
    notices: tuple[Notice, ...]
    superseded: tuple[Submission, ...]

    def calls(self, luggage: Any) -> Iterator[tuple[Any, ...]]:
        """The arguments of each call; ``luggage`` is this shipment's or a reference to it."""
        arguments = (self.cell, luggage, *self.refs)
        if self.items is None:
            yield arguments
        else:
            yield from ((*arguments, item) for item in self.items)


def prepare(
    cell: CellSource,
    facts: CellFacts,
    options: RemoteOptions,
    session: Session,
    superseded_by: Callable[[set[Any]], list[Submission]] = lambda needed: [],
) -> Shipment:
    """Find out what the cell takes and gives, and gather it.

    Parameters
    ----------
    superseded_by
        The earlier runs that end with a new one which needs these references. An output isn't kept at a value
        that they won't make any more.

    Raises
    ------
    UndefinedNameError, OptionError
        Before anything has changed.
    """
    if options.out is not None and not facts.has_last:
        raise OptionError("--out names the value of a last expression, and the cell doesn't end in one")
    namespace = session.visible()
    mapped = options.map.name if options.map else None
    planned = plan(
        facts, cell, namespace, kind_of, inputs=options.inputs, outputs=options.outputs, mapped=mapped
    )  # fmt: skip
    if options.out in planned.outputs:
        raise OptionError(f"--out {options.out}: the cell assigns that name itself")
    items = _items(options.map, session) if options.map else None
    needed = {*capture(planned.inputs, namespace, {}).refs, *filter(is_ref, items or ())}
    superseded = superseded_by(needed)
    never = {ref for submission in superseded for ref in submission.outputs}
    kept = [name for name in planned.kept if never.isdisjoint(refs_of(namespace[name]))]
    captured = capture([*planned.inputs, *kept], namespace, facts.modules)
    shipped = ShippedCell(
        source=cell,
        modules=captured.modules,
        lengths=captured.lengths | ({mapped: None} if mapped else {}),
        copied=planned.copied,
        outputs=planned.outputs,
        doubtful=planned.doubtful | (set(planned.kept) - set(kept)),
        takes_last=options.out is not None,
        shows_last=facts.shows_last,
        silent=not options.stream,
    )
    return Shipment(
        cell=shipped,
        names=(*planned.outputs, *((options.out,) if options.out else ())),
        luggage=Luggage(anchor(session.namespace), captured.values),
        refs=tuple(captured.refs),
        items=items,
        notices=planned.notices,
        superseded=tuple(superseded),
    )


def refs_of(value: Any) -> list[Any]:
    """A reference, or those of a mapped cell's output; else none."""
    if is_ref(value):
        return [value]
    return list(value) if isinstance(value, RefList) else []


def _items(mapped: Mapped, session: Session) -> tuple[Any, ...]:
    try:
        items = session.evaluate(mapped.items)
    except Exception as error:
        message = f"--map {mapped.name}={mapped.items} can't be evaluated: {type(error).__name__}: {error}"
        raise OptionError(message) from None
    if is_ref(items):
        raise OptionError(
            f"--map has to know its items now, and `{mapped.items}` is a reference to what may not exist yet."
            f" `{mapped.name}=ray.get({mapped.items})` waits for it."
        )
    try:
        return tuple(items)
    except TypeError:
        raise OptionError(f"--map {mapped.name}={mapped.items}: a {type(items).__name__} has no items") from None
