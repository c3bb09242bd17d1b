"""Where the functions of ``raynb.util.state`` ask: the cluster of this program, or another one by its address."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from raynb.runtime.adapters.registry import ClusterEntry, find
from raynb.runtime.adapters.request import Requester
from raynb.runtime.api import session
from raynb.runtime.api.cluster import query_by
from raynb.runtime.api.cluster_metrics import HUB_NAME
from raynb.runtime.client.refs import current
from raynb.util.state_errors import BadQueryError, RayStateApiException

NOT_OUR_OWN: Final = ("name", "!=", HUB_NAME)
"""A filter of actors: without the one that raynb itself has started, if metrics are used."""
PATIENCE: Final = 0.8
"""The part of a question's time that the cluster's processes have, where all have to answer."""


def ask(address: str | None, table: str, timeout_s: float, *, whole: bool = False, **how: Any) -> dict[str, Any]:
    """A page of one of a cluster's tables.

    Parameters
    ----------
    address
        None: the cluster of this program, else the only one that runs. Otherwise what `init` takes; to ask another
        cluster than one's own needs no connection to it.
    whole
        Whether it is an error that processes do not answer. They may take most of the timeout then.

    Raises
    ------
    ConnectionError
        There is no such cluster.
    BadQueryError
        The table has no such field, or the filter makes no sense.
    RayStateApiException
        Rows are missing.
    """
    other = _another(address)
    how["patience_s"] = PATIENCE * timeout_s if whole else 0.0
    try:
        if other is None:
            client = session.connect()
            client.flush_events()
            page = query_by(client, table, timeout_s, **how)
        else:
            with Requester(other.session_dir) as asker:
                page = asker.query(other.gcs_address, table, timeout_s=timeout_s, **how)
    except ValueError as error:
        raise BadQueryError(str(error)) from error
    silent = page.get("unanswered", 0)
    if whole and silent:
        raise RayStateApiException(
            f"{silent} process(es) of the cluster did not answer in time (they compute, or stand still), and their "
            f"{table} are missing: ask again, or take what there is with raise_on_missing_output=False"
        )
    return page


def _another(address: str | None) -> ClusterEntry | None:
    """The cluster of an address; None: it is the one that this program is connected to."""
    if address is None and session.is_initialized():
        return None
    entry = find(address or "auto", notebook=session.notebook)
    return None if session.is_initialized() and entry.gcs_address == current().gcs else entry


def here_of(address: str | None) -> Path:
    """The folder of logs of the node that is asked first: this program's, or the other cluster's head."""
    other = _another(address)
    return Path(session.connect().session_dir if other is None else other.session_dir) / "logs"
