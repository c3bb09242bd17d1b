"""``raynb.util.state``'s part about logs: which there are, and what is in them."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from raynb.runtime.client.node_logs import at_nodes, log_folders, log_of, named_log, pieces_of
from raynb.util.state_errors import BadQueryError, NoLogError
from raynb.util.state_source import ask, here_of

ROWS_MAX: Final = 10_000
FOLLOW_PAUSE_S: Final = 0.2
_CATEGORIES: Final = {
    "worker_out": "worker-*.out",
    "worker_err": "worker-*.err",
    "gcs_server": "gcs*",
    "raylet": "node*",
    "redis": "redis*",
}
_ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def _folders(address: str | None, node_ip: str | None, timeout: float) -> dict[str, Path]:
    """Where the nodes (with that address) have their logs."""
    rows = ask(address, "nodes", timeout, limit=ROWS_MAX, detail=True)["rows"]
    return log_folders(row for row in rows if node_ip in (None, row["node_ip"]))


def list_logs(
    address: str | None = None,
    node_id: str | None = None,
    node_ip: str | None = None,
    glob_filter: str | None = None,
    timeout: float = 30,
) -> dict[str, list[str]]:
    """Names of the log files, by what wrote them.

    Parameters
    ----------
    address
        Of another cluster than this program's.
    node_id, node_ip
        Only those of that node; of all, if none is said.
    glob_filter
        Only names that match, as ``worker-*``.
    """
    folders = at_nodes(_folders(address, node_ip, timeout), node_id or "").values()
    names = {entry.name for folder in folders for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)}
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        if fnmatch.fnmatch(name, glob_filter or "*"):
            kind = next((kind for kind, pattern in _CATEGORIES.items() if fnmatch.fnmatch(name, pattern)), "internal")
            found.setdefault(kind, []).append(name)
    return found


def get_log(
    address: str | None = None,
    node_id: str | None = None,
    node_ip: str | None = None,
    filename: str | None = None,
    actor_id: str | None = None,
    task_id: str | None = None,
    pid: int | None = None,
    follow: bool = False,
    tail: int = -1,
    timeout: float = 30,
    suffix: str = "out",
    encoding: str | None = "utf-8",
    errors: str | None = "strict",
    submission_id: str | None = None,
    attempt_number: int = 0,
    _interval: float | None = None,
    filter_ansi_code: bool = False,
) -> Iterator[Any]:
    """What a log says, piece by piece.

    Parameters
    ----------
    address
        Of another cluster than this program's.
    node_id, node_ip
        On which node; needed only for a ``filename`` that several nodes have and this program's does not.
    filename, actor_id, task_id, pid
        Whose log; one of them. Of a task it is what that task has written into its process's log.
    follow
        Go on with what is written from now on.
    tail
        Begin with so many last lines; -1: with the first.
    suffix
        ``out`` or ``err``.
    encoding
        None: give bytes.
    filter_ansi_code
        Leave out colours.

    Raises
    ------
    BadQueryError
        No log is named, or several ways are.
    NoLogError
        There is no such log, or no such node (any more).
    """
    named = {"filename": filename, "actor_id": actor_id, "task_id": task_id, "pid": pid}
    given = [name for name, value in named.items() if value is not None]
    if len(given) != 1:
        raise BadQueryError(f"get_log() needs one of {', '.join(named)}, not {given or 'none'}")
    if suffix not in ("out", "err"):
        raise BadQueryError(f"suffix must be 'out' or 'err', not {suffix!r}")
    folders = _folders(address, node_ip, timeout)
    if filename is not None:
        try:
            path = named_log(filename, folders, node_id or "", here_of(address))
        except FileNotFoundError as error:
            raise NoLogError(str(error)) from None
    else:
        row = _of_process(address, actor_id, task_id, pid, attempt_number, timeout)
        path = log_of(row, at_nodes(folders, node_id or ""), suffix)
        if not path.is_file():
            raise NoLogError(f"the log {path.name} is not there (any more)")
    # Where to begin is looked for now, not when the first piece is asked for: what is written in between belongs to it.
    task = bytes.fromhex(task_id) if task_id is not None else b""
    begin = 0 if tail < 0 else _begin_of_tail(b"".join(pieces_of(path, task)), tail)
    pieces = pieces_of(path, task, begin, (_interval or FOLLOW_PAUSE_S) if follow else None)
    return _read(pieces, encoding, errors or "strict", filter_ansi_code)


def _begin_of_tail(data: bytes, lines: int) -> int:
    return len(data) - sum(map(len, data.splitlines(keepends=True)[-lines:])) if lines else len(data)


def _of_process(
    address: str | None, actor_id: str | None, task_id: str | None, pid: int | None, attempt: int, timeout: float
) -> dict[str, Any]:
    """The row of the worker, or of the task that says where it ran.

    Raises
    ------
    NoLogError
        No process is known.
    """
    found: list[dict[str, Any]] = []
    if task_id is not None:
        rows = ask(address, "tasks", timeout, id=task_id, detail=True, limit=1000)["rows"]
        found = [row for row in rows if row["attempt_number"] == attempt and row["worker_id"]]
    else:
        if actor_id is not None:
            actors = ask(address, "actors", timeout, id=actor_id, detail=True, limit=1)["rows"]
            pid = actors[0]["pid"] if actors else None
        if pid is not None:
            rows = ask(address, "workers", timeout, filters=[("pid", "=", str(pid))], detail=True, limit=100)["rows"]
            found = [row for row in reversed(rows) if row["worker_type"] == "WORKER"]
    if not found:
        what = f"actor {actor_id}" if actor_id else f"task {task_id}" if task_id else f"worker with pid {pid}"
        raise NoLogError(f"no process is known of {what} (yet): it has no log")
    return found[0]


def _read(pieces: Iterator[bytes], encoding: str | None, errors: str, plain: bool) -> Iterator[Any]:
    for data in pieces:
        text: Any = data if encoding is None else data.decode(encoding, errors)
        yield _ANSI.sub("", text) if plain and encoding is not None else text
