"""From a shipment to tasks, and to the references that a notebook gets for them."""

from __future__ import annotations

import functools
from typing import Any

from raynb.magics.capture import unpicklable
from raynb.magics.running import Submission
from raynb.magics.shipment import Shipment
from raynb.magics.task import NoValue, ShippedCell, run_cell, value_or_error
from raynb.runtime.api import objects
from raynb.runtime.api.remote import make_remote


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
