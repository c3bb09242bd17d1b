"""Objects at a moment, or made in a window: from what nodes have told of their stores, and notebooks of their names.

What is known of the past is less than of now: what lay in the stores, what the writer said of it, and which names of
notebooks held what. Of small values, which live with their owners, those are known that a name held; their sizes as far
as a task's row tells.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Protocol

from raynb.runtime.core.event_table import EventTable
from raynb.runtime.core.gcs_jobs import JobTable
from raynb.runtime.core.membership import Membership
from raynb.runtime.core.notebook_names import NotebookNames
from raynb.runtime.core.store_history import Stay, StoreHistory
from raynb.runtime.core.task_moment import NOT_YET, state_at
from raynb.runtime.core.task_views import ACTOR_HANDLE, is_put, makes_actor
from raynb.runtime.core.views import Row, ms
from raynb.runtime.messages.events import FAILED, FINISHED, TASK_STATES
from raynb.runtime.messages.ids import task_of

NOW: Final = float("inf")


class Tables(Protocol):
    """What is looked at."""

    members: Membership
    jobs: JobTable
    events: EventTable
    names: NotebookNames
    stores: StoreHistory


class PastObjects:
    """Makes rows with the fields of the table of objects."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def at(self, wall: float) -> list[Row]:
        """What there was at a moment."""
        names = self._tables.names.at(wall)
        rows: dict[bytes, Row] = {}
        for stay in self._tables.stores.objects_at(wall):
            if stay.oid not in rows:  # of several copies the first one
                rows[stay.oid] = self._stored(stay, wall, names.get(stay.oid, []))
        for oid, held_by in names.items():
            if oid not in rows:
                row = self._small(oid, wall, held_by)
                if row is not None:
                    rows[oid] = row
        return list(rows.values())

    def made(self, start: float, end: float) -> list[Row]:
        """What was made in a window, whether it is there still or not."""
        rows: dict[bytes, Row] = {}
        for stay in self._tables.stores.stays():
            if start <= stay.made < end and stay.oid not in rows:
                rows[stay.oid] = self._stored(stay, NOW, self._tables.names.of(stay.oid))
        return list(rows.values())

    def _stored(self, stay: Stay, wall: float, held_by: list[str]) -> Row:
        gone = stay.freed and stay.freed <= wall
        return self._row(
            stay.oid,
            held_by,
            object_size=stay.size,
            state="FREED" if gone else "STORED",
            task_status="FINISHED",
            value_type=stay.kind.type if stay.kind is not None else stay.note if is_put(stay.oid) else "",
            value_shape=stay.kind.shape if stay.kind is not None else None,
            value_dtype=stay.kind.dtype if stay.kind is not None else "",
            owner=stay.owner,
            node_id=stay.node.hex(),
            created_ms=ms(stay.made),
            **self._process(stay.owner),
        )

    def _small(self, oid: bytes, wall: float, held_by: list[str]) -> Row | None:
        """A value that lived with its owner, or that had not been made yet."""
        table = self._tables.events
        if is_put(oid):
            return self._row(oid, held_by, state="READY", task_status="FINISHED")
        slot = table.index.get(task_of(oid))
        if slot is None:
            return self._row(oid, held_by, state="READY", task_status="FINISHED")
        state = state_at(table, slot, wall)
        if state == NOT_YET:
            return None
        if makes_actor(table, slot):
            return self._row(oid, held_by, task_status=TASK_STATES[state], reference_type=ACTOR_HANDLE)
        words = "FAILED" if state == FAILED else "READY" if state == FINISHED else "PENDING"
        made = state == FINISHED
        return self._row(
            oid,
            held_by,
            state=words,
            task_status=TASK_STATES[state],
            object_size=table.size[slot] if made else None,
            created_ms=ms(table.ended[slot]) if made else None,
        )

    def _process(self, address: str) -> Row:
        """Whose it was."""
        tables = self._tables
        for job in tables.jobs.jobs.values():
            if job.driver == address:
                return {"type": "DRIVER", "pid": job.pid, "ip": tables.members.ip_of(address)}
        for node in tables.members.nodes.values():
            listing = node.workers.get(address) or node.dead_workers.get(address)
            if listing is not None:
                return {"type": "WORKER", "pid": listing.pid, "ip": node.registration.ip}
        return {"type": "WORKER", "pid": None, "ip": ""}

    def _row(self, oid: bytes, held_by: list[str], **known: Any) -> Row:
        table = self._tables.events
        slot = None if is_put(oid) else table.index.get(task_of(oid))
        name = table.names.name(table.name[slot]) if slot is not None else None
        row: Row = {
            "object_id": oid.hex(),
            "object_size": None,
            "task_status": "",
            "attempt_number": table.attempt[slot] if slot is not None else 0,
            "reference_type": "LOCAL_REFERENCE" if held_by else "",
            "call_site": name.call_site if name is not None else "",
            "type": "",
            "pid": None,
            "ip": "",
            "state": "",
            "value_type": "",
            "value_shape": None,
            "value_dtype": "",
            "held_by": held_by,
            "used_by": [],
            "local_references": None,
            "pending_tasks": None,
            "borrowers": None,
            "failed_tasks": None,
            "owner": "",
            "on_disk": None,
            "node_id": None,
            "created_ms": None,
        }
        return row | known


def with_places(rows: Iterable[Row], tables: Tables) -> None:
    """Of objects as their owners know them: where they are, and when they were made."""
    for row in rows:
        oid = bytes.fromhex(row["object_id"])
        stays = tables.stores.places(oid)
        row["node_id"] = stays[0].node.hex() if stays else None
        if stays:
            row["created_ms"] = ms(min(stay.made for stay in stays))
        else:
            slot = None if is_put(oid) else tables.events.index.get(task_of(oid))
            made = slot is not None and tables.events.state[slot] == FINISHED
            row["created_ms"] = ms(tables.events.ended[slot]) if slot is not None and made else None
