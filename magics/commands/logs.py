"""`%raynb logs`: what processes of the cluster have written."""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from raynb.magics.amounts import ago, count, size
from raynb.magics.arguments import Options, option, whole
from raynb.magics.connected import need_cluster
from raynb.magics.errors import OptionError
from raynb.magics.session import Session
from raynb.magics.table import Table, Tables, Text
from raynb.magics.targets import resolve
from raynb.runtime.api.cluster import query
from raynb.runtime.client.client import Client
from raynb.runtime.client.node_logs import at_nodes, log_folders, log_of
from raynb.runtime.messages.ids import task_of

TAIL_BYTES_MAX = 256 * 1024
LISTED_WITHIN_S = 1.0
"""A node manager lists a new process that soon."""

_ENDINGS = (".log", ".out", ".err")
FILES_MAX = 100
ID_CHARS = 12


@dataclass(frozen=True)
class LogsOptions(Options):
    """Show the end of a log: of a task, an actor, a process; without WHAT the list of logs.

    WHAT is a reference or a task's id (the log of the worker that ran it), an actor or its name, a process's pid, or
    the name of a log from the list.
    """

    usage: ClassVar[str] = "%raynb logs [options] [WHAT]"

    what: str | None = field(
        default=None,
        metadata=option("a reference, an actor, a pid, or a log's name", metavar="WHAT", of="argument", complete="log"),
    )
    node: str = field(default="", metadata=option("only of the node whose id begins so", metavar="ID"))
    tail: int = field(
        default=40,
        metadata=option("so many lines of its end (40)", metavar="N", read=whole),
    )


def logs(options: LogsOptions, session: Session) -> Table | Tables:
    """The list, or the ends of those that are meant."""
    client = need_cluster()
    folders = _folders(options.node)
    if options.what is None:
        return _listing(folders)
    log, whose = _find(options.what, client, session, folders)
    texts = [_text(path, whose, options.tail) for path in _files(log)]
    written = [text for text in texts if text.lines]
    if not written:
        return Tables(Text(f"{log.name}{whose and f', {whose}'}: nothing was written so far", "", [str(log.parent)]))
    return Tables(*written)


def _text(path: Path, whose: str, lines: int) -> Text:
    text, whole_file = tail(path, lines)
    much = "" if whole_file else f": its last {len(text.splitlines())} lines"
    return Text(f"{path.name}{whose and f', {whose}'}{much}", text, [str(path)])


def _files(log: Path) -> list[Path]:
    """The logs of one process: its output and its errors, or all in one."""
    return [path for ending in _ENDINGS if (path := log.with_name(f"{log.name}{ending}")).is_file()]


def _folders(node: str = "") -> Mapping[str, Path]:
    try:
        return at_nodes(log_folders(query("nodes", limit=-1, detail=True)["rows"]), node)
    except FileNotFoundError as error:
        raise OptionError(str(error)) from None


def tail(path: Path, lines: int) -> tuple[str, bool]:
    """The last lines of a file, and whether that is all of it."""
    try:
        with open(path, "rb") as file:
            end = file.seek(0, os.SEEK_END)
            begin = max(0, end - TAIL_BYTES_MAX)
            file.seek(begin)
            found = file.read().decode(errors="replace").splitlines()
    except OSError as error:
        raise OptionError(f"{path} can't be read: {error.strerror or error}") from None
    if begin:
        found = found[1:]  # it begins in the middle of a line
    return "\n".join(found[-lines:] if lines else []), not begin and len(found) <= lines


def log_names(client: Client) -> list[str]:
    """Of all logs, without their endings."""
    return sorted({path.stem for path in _all(Path(client.session_dir) / "logs")})


def _all(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix in _ENDINGS]


def _listing(folders: Mapping[str, Path]) -> Table:
    found = query("workers", limit=-1, detail=True)["rows"]
    here = [row for row in found if _is_worker(row) and row["node_id"] in folders]
    nodes = {folder: node[:ID_CHARS] for node, folder in folders.items()}
    workers = {log_of(row, folders): row for row in here}
    everything = [path for folder in folders.values() if folder.is_dir() for path in _all(folder)]
    files = sorted(((path, path.stat()) for path in everything), key=lambda file: -file[1].st_mtime)
    rows = []
    for path, status in files[:FILES_MAX]:
        worker = workers.get(path.with_suffix(""))
        last = tail(path, 1)[0] if status.st_size else ""
        written = ago(round(status.st_mtime * 1000)) if status.st_size else ""
        whose = _whose(worker) if worker else ""
        rows.append([path.name, nodes[path.parent], whose, size(status.st_size), written, last])
    notes = [
        *map(str, folders.values()),
        f"{len(files) - FILES_MAX} older ones are left out." if len(files) > FILES_MAX else "",
    ]
    columns = ["log", "node", "of", "size", "written", "last line"]
    if len(nodes) < 2:
        for row in (columns, *rows):
            del row[1]
    return Table(count(len(files), "log"), columns, rows, numbers=["size"], notes=notes)


def _find(what: str, client: Client, session: Session, folders: Mapping[str, Path]) -> tuple[Path, str]:
    """The log without its ending, and whose it is."""
    here = Path(client.session_dir) / "logs"
    named = Path(what).stem if Path(what).suffix in _ENDINGS else what
    for stem in (named, f"worker-{named}"):
        found = [folder / stem for folder in folders.values() if "/" not in stem and _files(folder / stem)]
        if found:
            return next((path for path in found if path.parent == here), found[0]), ""
    if what.isdecimal():
        return _of_worker([("pid", "=", what)], f"no worker of this cluster has the pid {what}")
    try:
        target = resolve(what, session)
    except OptionError as error:
        close = difflib.get_close_matches(named, log_names(client), n=1, cutoff=0.6)
        if not close:
            raise
        raise OptionError(f"{error} Did you mean the log {close[0]}?") from None
    if target.actor_id:
        return _of_actor(target.actor_id.hex(), what)
    if len(target.objects) > 1:
        raise OptionError(f"`{what}` has {len(target.objects)} references: name one, such as {what}[0]")
    rows = [row for oid, _ in target.objects for row in query("tasks", id=task_of(oid).hex(), detail=True)["rows"]]
    if rows and rows[-1]["actor_id"]:
        return _of_actor(rows[-1]["actor_id"], what)
    if not rows or not rows[-1]["worker_id"]:
        raise OptionError(f"`{what}` has no log: no worker has run it (yet). %raynb why {what} says more")
    row = rows[-1]
    return _log_of(row), f"the worker (pid {row['worker_pid']}) that ran {row['name']}, and other tasks"


def _of_actor(actor_id: str, what: str) -> tuple[Path, str]:
    return _of_worker([("actor_id", "=", actor_id)], f"the actor `{what}` has had no process (yet)")


def _of_worker(filters: list[tuple[str, str, str]], none: str) -> tuple[Path, str]:
    deadline = time.monotonic() + LISTED_WITHIN_S
    rows: list[dict[str, Any]] = []
    while not rows:
        rows = [row for row in query("workers", limit=-1, detail=True, filters=filters)["rows"] if _is_worker(row)]
        if not rows and time.monotonic() > deadline:
            raise OptionError(none)
        if not rows:
            time.sleep(0.05)
    newest = max(rows, key=lambda row: row["start_time_ms"] or 0)
    return _log_of(newest), _whose(newest)


def _is_worker(row: dict[str, Any]) -> bool:
    return bool(row["worker_type"] == "WORKER")


def _log_of(row: dict[str, Any]) -> Path:
    """Of the worker that a row is of, or that it names: on which node it is, there its log is."""
    try:
        return log_of(row, _folders())
    except FileNotFoundError as error:
        raise OptionError(str(error)) from None


def _whose(row: dict[str, Any]) -> str:
    """Whose log it is, in words."""
    what = "an actor" if row["actor_id"] else "a worker"
    ended = "" if row["is_alive"] else f", ended: {str(row['exit_detail'] or '').strip().partition(chr(10))[0]}"
    return f"{what} (pid {row['pid']}){ended}"
