"""What a cluster's card shows: asked of the cluster as a guest, which works whatever the kernel is busy with."""

from __future__ import annotations

import time
from typing import Any

from raynb.runtime.adapters.launch import ClusterInfo
from raynb.runtime.adapters.registry import clusters
from raynb.runtime.adapters.request import Requester
from raynb.runtime.api import session
from raynb.runtime.client.cluster_status import sums_of
from raynb.runtime.messages.errors import RpcError

NONE, OWN, ATTACHED = "none", "own", "attached"

LISTED_MAX = 20


class Facts:
    """Asks about the cluster that this process is connected to. For one thread at a time."""

    def __init__(self) -> None:
        self._guest: Requester | None = None
        self._of: session.Session | None = None

    def facts_of(self, connection: session.Session | None) -> dict[str, Any]:
        """All that the card shows.

        Returns
        -------
        dict
            ``kind``: ``none``, ``own`` (it ends with this process) or ``attached``; ``ended``; ``name``, ``id``,
            ``place``, ``up_s``, ``error``; and what `sums_of` gives, without ``cpus`` where it does not answer.
        """
        if connection is not self._of:
            self.close()
            self._of = connection
        if connection is None:
            return {"kind": NONE, "ended": False, "name": "", "id": "", "place": "", "up_s": 0.0, "error": ""}
        facts = known(connection)
        try:
            if self._guest is None:
                self._guest = Requester(connection.info.session_dir)
            sums = sums_of(self._guest, connection.info.gcs)
        except (RpcError, OSError, ValueError) as error:
            self.close()
            return facts | {"error": f"It does not answer: {error}"}
        del sums["resources"]  # by name, of any number
        return facts | sums

    def close(self) -> None:
        """Say goodbye."""
        guest, self._guest, self._of = self._guest, None, None
        if guest is not None:
            guest.close()


def known(connection: session.Session) -> dict[str, Any]:
    """What is known without asking."""
    info = connection.info
    return {
        "kind": OWN if connection.owns_cluster else ATTACHED,
        "ended": False,
        "name": info.name,
        "id": info.session,
        "place": _place(info, connection.owns_cluster),
        "up_s": max(0.0, time.time() - info.started),
        "error": "",
    }


def _place(info: ClusterInfo, own: bool) -> str:
    who = "started by this notebook" if own else f"started {_by(info)}"
    return f"{who} on {info.hostname or 'this machine'}, Python {info.python_version}"


def _by(info: ClusterInfo) -> str:
    return "with raynb start" if info.lifetime == "daemon" else f"by process {info.driver_pid}"


def attachable() -> list[dict[str, Any]]:
    """The user's clusters that this process may attach to, oldest first."""
    now = time.time()
    return [
        {
            "id": entry.cluster_id,
            "name": entry.name or entry.cluster_id,
            "pid": entry.pid,
            "up_s": max(0.0, now - entry.started_at),
        }
        for entry in clusters()[:LISTED_MAX]
    ]
