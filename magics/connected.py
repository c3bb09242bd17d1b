"""What commands have in common: a cluster to ask, and the cells that have used it."""

from __future__ import annotations

from raynb.magics.errors import OptionError
from raynb.runtime.api import session
from raynb.runtime.client.client import Client
from raynb.runtime.client.refs import current


def need_cluster() -> Client:
    """The connection to the cluster, with all that has happened told to it.

    Raises
    ------
    OptionError
        There is none: looking must not start one.
    """
    if not session.is_initialized():
        raise OptionError("there is no cluster to look at: %raynb init starts one, and so does the first remote call")
    client = current()
    client.flush_events()
    return client


def has_value(client: Client, oid: bytes) -> bool:
    """Whether this process knows the outcome of an object."""
    entry = client.machine.objects.entries.get(oid)
    return entry is not None and entry.value is not None


def cell_number(token: str) -> int | None:
    """The execution count of the cell that a task's token stands for; None for what was not submitted from a cell."""
    parts = token.split(":")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else None


def cell_label(token: str) -> str:
    """``In[5]``, or nothing."""
    number = cell_number(token)
    return "" if number is None else f"In[{number}]"


def tokens_of(client: Client, number: int) -> list[str]:
    """The tokens of the runs of a cell.

    Raises
    ------
    OptionError
        No cell of that number has run since the notebook is connected.
    """
    tokens = [token for token in client.cells() if cell_number(token) == number]
    if not tokens:
        known = sorted({found for token in client.cells() if (found := cell_number(token)) is not None})
        there = f"those that did are {_ranges(known)}" if known else "no cell did"
        raise OptionError(f"no cell In[{number}] has run since this notebook is connected: {there}")
    return tokens


def _ranges(numbers: list[int]) -> str:
    """``2-5, 9``."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in found)
