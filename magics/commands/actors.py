"""`%raynb actors`: each actor, what it does, and how many calls wait for it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Any, ClassVar

from raynb.magics.amounts import amounts, count, short_actor
from raynb.magics.arguments import Options, one_of, option, whole
from raynb.magics.connected import cell_label, need_cluster
from raynb.magics.errors import OptionError
from raynb.magics.holders import users_names, with_items
from raynb.magics.session import Session
from raynb.magics.table import Table
from raynb.magics.targets import actor_names
from raynb.runtime.api.actors import ActorHandle
from raynb.runtime.api.cluster import query
from raynb.runtime.client.client import Client
from raynb.runtime.client.inquiry import Inquiry
from raynb.runtime.core.views import cause_of_death
from raynb.runtime.messages.why import WorkerRuns

STATES = ("DEPENDENCIES_UNREADY", "PENDING_CREATION", "ALIVE", "RESTARTING", "DEAD")
ROWS_MAX = 10_000


@dataclass(frozen=True)
class ActorsOptions(Options):
    """List actors: state, what runs, calls that wait, restarts."""

    usage: ClassVar[str] = "%raynb actors [options]"

    state: str | None = field(
        default=None,
        metadata=option(
            f"only those in this state: {', '.join(STATES)}", metavar="STATE", read=one_of(*STATES), complete=STATES
        ),
    )
    name: str | None = field(
        default=None,
        metadata=option("only those with this name, or of this class", metavar="NAME", complete="actor"),
    )
    limit: int = field(
        default=20,
        metadata=option("list so many at most (20)", metavar="N", read=whole),
    )


def actors(options: ActorsOptions, session: Session) -> Table:
    """A row for each, the living first, the newest first."""
    client = need_cluster()
    filters = [("state", "=", options.state)] if options.state else []
    page = query("actors", limit=ROWS_MAX, detail=True, filters=filters)
    found: list[dict[str, Any]] = page["rows"]
    if options.name is not None:
        found = [row for row in found if options.name in {row["name"], row["class_name"]}]
        if not found:
            _refuse_unknown(options.name)
    found = sorted(reversed(found), key=lambda row: row["state"] == "DEAD")
    rows = found[: options.limit]
    alive = sum(row["state"] == "ALIVE" for row in found)
    runs = Inquiry(client).what_run(row["worker_address"] for row in rows if row["state"] == "ALIVE")
    holders = _handles(session, client)
    columns = (
        "actor",
        "class",
        "name",
        "state",
        "held by",
        "pid",
        "runs",
        "waiting",
        "restarts",
        "holds",
        "cell",
        "why",
    )
    title = f"{count(len(found), 'actor')}, {alive} alive"
    return Table(
        title,
        columns,
        (_row(row, runs.get(row["worker_address"]), holders, client) for row in rows),
        numbers=("pid", "waiting", "restarts"),
        notes=[f"{len(found) - len(rows):,} more: --limit, --state, --name." if len(found) > len(rows) else ""],
    )


def _row(row: dict[str, Any], runs: WorkerRuns | None, holders: dict[bytes, list[str]], client: Client) -> list[Any]:
    actor_id = bytes.fromhex(row["actor_id"])
    alive = row["state"] == "ALIVE"
    most = f" of {row['max_restarts']}" if row["max_restarts"] > 0 else ""
    return [
        short_actor(row["actor_id"]),
        row["class_name"],
        row["name"],
        row["state"],
        ", ".join(holders.get(actor_id, [])),
        row["pid"] or "",
        (_running(runs) if runs is not None else "(too busy to say)") if alive else "",
        _waiting(actor_id, runs, client) if row["state"] != "DEAD" else "",
        f"{row['num_restarts']}{most}" if row["num_restarts"] or most else "",
        amounts(row["required_resources"]),
        cell_label(row["cell"]),
        _cause(row),
    ]


def _running(runs: WorkerRuns) -> str:
    names = [run.name.rsplit(".", 1)[-1] for run in runs.running]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _waiting(actor_id: bytes, runs: WorkerRuns | None, client: Client) -> int:
    """Calls that it was sent and has not begun, and those that this process has not sent yet."""
    known = client.machine.actors.actors.get(actor_id)
    return (runs.queued if runs is not None else 0) + (len(known.queue) if known is not None else 0)


def _cause(row: dict[str, Any]) -> str:
    message = cause_of_death(row)
    return (message.partition(" is dead because ")[2] or message).strip().partition("\n")[0]


def _handles(session: Session, client: Client) -> dict[bytes, list[str]]:
    """By actor: the notebook's names for it."""
    found: dict[bytes, list[str]] = {}
    for name, value in users_names(session.namespace):
        for full, item in with_items(name, value):
            if isinstance(item, ActorHandle):
                found.setdefault(item._id, []).append(full)
    return found


def _refuse_unknown(name: str) -> None:
    close = difflib.get_close_matches(name, actor_names(), n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise OptionError(f"no actor has the name {name!r}, or is of such a class.{hint}")
