"""A task cell that is ready to go: all that could be refused has been looked at, and nothing has happened yet."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from raynb.magics.arguments import Mapped, RemoteOptions
from raynb.magics.capture import anchor, capture
from raynb.magics.errors import OptionError
from raynb.magics.facts import CellFacts
from raynb.magics.plan import Notice, plan
from raynb.magics.references import RefList, is_ref, kind_of
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
    """

    cell: ShippedCell
    names: tuple[str, ...]
    luggage: Luggage
    refs: tuple[Any, ...]
    items: tuple[Any, ...] | None
    notices: tuple[Notice, ...]

    def calls(self, luggage: Any) -> Iterator[tuple[Any, ...]]:
        """The arguments of each call; ``luggage`` is this shipment's or a reference to it."""
        arguments = (self.cell, luggage, *self.refs)
        if self.items is None:
            yield arguments
        else:
            yield from ((*arguments, item) for item in self.items)


def prepare(
    cell: CellSource, facts: CellFacts, options: RemoteOptions, session: Session, never: Collection[Any] = ()
) -> Shipment:
    """Find out what the cell takes and gives, and gather it.

    Parameters
    ----------
    never
        References that are about to be cancelled: an output isn't kept at the value of one.

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
    kept = [name for name in planned.kept if not set(refs_of(namespace[name])) & set(never)]
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
    )


def needed_refs(facts: CellFacts, namespace: dict[str, Any]) -> set[Any]:
    """The references that the cell reads, and not only keeps."""
    values = [namespace[read.name] for read in facts.reads if read.name in namespace]
    return {ref for value in values for ref in refs_of(value)}


def refs_of(value: Any) -> list[Any]:
    """A reference, or those of a mapped cell's output; else none."""
    if is_ref(value):
        return [value]
    return list(value) if isinstance(value, RefList) else []


def _items(mapped: Mapped, session: Session) -> tuple[Any, ...]:
    items = session.evaluate(mapped.items)
    if is_ref(items):
        raise OptionError(
            f"--map has to know its items now, and `{mapped.items}` is a reference to what may not exist yet."
            f" `{mapped.name}=ray.get({mapped.items})` waits for it."
        )
    try:
        return tuple(items)
    except TypeError:
        raise OptionError(f"--map {mapped.name}={mapped.items}: a {type(items).__name__} has no items") from None
