"""From a shipment to tasks, and to the references that a notebook gets for them."""

from __future__ import annotations

import functools
import warnings
from typing import Any

from raynb.magics.capture import unpicklable
from raynb.magics.plan import ValueKind
from raynb.magics.references import kind_of
from raynb.magics.running import Submission
from raynb.magics.shipment import Shipment
from raynb.magics.task import NoValue, ShippedCell, run_cell, value_or_error
from raynb.runtime.api.remote import make_remote
from raynb.runtime.api.session import connect
from raynb.runtime.codec.captures import LARGE_BYTES, LargeCaptureWarning, large_variables, pickled_size
from raynb.runtime.codec.values import pack
from raynb.runtime.messages.sizes import size_text


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
        luggage = _stored(shipment)
        sent = [function.remote(*call) for call in shipment.calls(luggage)]
    except Exception as error:
        explained = unpicklable(shipment.luggage.values, shipment.items or ())
        if explained is None:
            raise
        raise explained from error
    returned = [refs if isinstance(refs, list) else [refs] for refs in sent]
    return [Submission(_outputs(cell, refs[:-1]), refs[-1], shipment.refs) for refs in returned]


def _stored(shipment: Shipment) -> Any:
    """What goes along by value, or a reference to it where it is large or used by several tasks."""
    client = connect()
    packed = pack(shipment.luggage)
    if packed.nbytes >= LARGE_BYTES:
        _warn_of_large(shipment)
    if shipment.items is None and packed.nbytes <= client.config.inline_limit_bytes:
        return shipment.luggage
    return client.put_packed(packed, f"inputs of {shipment.cell.source.label}")


_told: set[str] = set()
"""Names of large inputs that were warned of."""


def _warn_of_large(shipment: Shipment) -> None:
    """Name the inputs that are large, each once in a notebook."""
    source = shipment.cell.source
    for name, value in shipment.luggage.values.items():
        if name in _told or (size := pickled_size(value)) < LARGE_BYTES:
            continue
        _told.add(name)
        within = large_variables(value) if kind_of(value) is ValueKind.DEFINITION else []
        what = f"`{name}` ({size_text(size)}{', most of it ' + within[0][0] if within else ''})"
        message = (
            f"{what} is an input of {source.label} that goes along by value: it is copied for this cell, and again for "
            f"each other that reads it. `{name} = raynb.put({name})` copies it once, and cells read it as before."
        )
        if within:
            message = f"{what} goes along by value with {source.label} and each other cell that uses it."
        warnings.warn_explicit(message, LargeCaptureWarning, source.filename, 1)


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
