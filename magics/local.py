"""`--local`: the cell runs in this process, with the copies that a worker would get.

Inputs go through the same pickle as to a worker and arrive as read-only as there; outputs are stored. What the cell
raises is raised here, with the cell's own frames, so that `%debug` works.
"""

from __future__ import annotations

from typing import Any

from raynb.magics.capture import unpicklable
from raynb.magics.shipment import Shipment
from raynb.magics.submission import fail_with
from raynb.magics.task import NoValue, build_namespace, execute, from_the_cell_on, outputs
from raynb.runtime.api import objects
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.codec.calls import pack_call, unpack_call
from raynb.runtime.codec.errors import SerializationError
from raynb.runtime.worker.displays import display


def run_here(shipment: Shipment) -> list[tuple[Any, ...]]:
    """Run the cell, once or once for each item, and return the references to each run's values.

    Raises
    ------
    CaptureError
        An input can't be pickled.
    Exception
        Whatever the cell raises.
    """
    __tracebackhide__ = True
    runs = []  # no comprehension: on Python 3.11 it is a frame, which a traceback would show
    for call in shipment.calls(shipment.luggage):
        runs.append(_run_once(shipment, call))
    return runs


def _run_once(shipment: Shipment, call: tuple[Any, ...]) -> tuple[Any, ...]:
    __tracebackhide__ = True
    cell = shipment.cell
    luggage, *dependencies = _sent(shipment, call[1:])
    namespace = build_namespace(cell, luggage, tuple(dependencies))
    try:
        last = execute(cell, namespace)
    except BaseException as error:
        error.__traceback__ = from_the_cell_on(error.__traceback__, cell)
        raise
    if cell.shows_last and last is not None:
        display(last)
    return tuple(_stored(value) for value in outputs(cell, namespace, last))


def _sent(shipment: Shipment, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments as they would arrive."""
    try:
        packed, refs = pack_call(arguments, None, ObjectRef)
    except SerializationError as error:
        raise unpicklable(shipment.luggage.values, shipment.items or ()) or error from None
    buffers = None if packed.buffers is None else [bytes(buffer) for buffer in packed.buffers]
    arrived, _ = unpack_call(packed.data, buffers, objects.get(refs))
    return arrived


def _stored(value: Any) -> Any:
    """A reference to the value, or to the reason why there is none."""
    if isinstance(value, NoValue):
        return fail_with(value.error)
    try:
        return objects.put(value)
    except SerializationError as error:
        return fail_with(error)
