"""``raynb.util.state``'s part about logs: which there are, and what is in them."""

from __future__ import annotations

import fnmatch
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from raynb.runtime.api.cluster import query
from raynb.runtime.api.session import connect
from raynb.runtime.messages.ids import worker_log

FOLLOW_PAUSE_S: Final = 0.2
_CATEGORIES: Final = {
    "worker_out": "worker-*.out",
    "worker_err": "worker-*.err",
    "gcs_server": "gcs*",
    "raylet": "node*",
    "redis": "redis*",
}
_ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def _folder() -> Path:
    return Path(connect().session_dir) / "logs"


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
    glob_filter
        Only names that match, as ``worker-*``.
    """
    names = sorted(entry.name for entry in os.scandir(_folder()) if entry.is_file(follow_symlinks=False))
    found: dict[str, list[str]] = {}
    for name in names:
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
    filename, actor_id, task_id, pid
        Whose log; one of them. Of a task it is that of the process which ran it.
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
    ValueError
        No log is named, or several ways are.
    FileNotFoundError
        There is no such log.
    """
    named = {"filename": filename, "actor_id": actor_id, "task_id": task_id, "pid": pid}
    given = [name for name, value in named.items() if value is not None]
    if len(given) != 1:
        raise ValueError(f"get_log() needs one of {', '.join(named)}, not {given or 'none'}")
    if suffix not in ("out", "err"):
        raise ValueError(f"suffix must be 'out' or 'err', not {suffix!r}")
    path = _named(filename) if filename is not None else _of_process(actor_id, task_id, pid, attempt_number, suffix)
    # Where to begin is looked for now, not when the first piece is asked for: what is written in between belongs to it.
    begin = 0 if tail < 0 else _begin_of_tail(path.read_bytes(), tail)
    return _pieces(path, follow, begin, encoding, errors or "strict", _interval or FOLLOW_PAUSE_S, filter_ansi_code)


def _begin_of_tail(data: bytes, lines: int) -> int:
    return len(data) - sum(map(len, data.splitlines(keepends=True)[-lines:])) if lines else len(data)


def _named(filename: str) -> Path:
    folder = _folder()
    path = folder / filename
    if path.parent != folder or not path.is_file():
        raise FileNotFoundError(f"there is no log {filename!r}: list_logs() has those that there are")
    return path


def _of_process(actor_id: str | None, task_id: str | None, pid: int | None, attempt: int, suffix: str) -> Path:
    connect().flush_events()
    if actor_id is not None:
        rows = query("actors", id=actor_id, detail=True, limit=1)["rows"]
        worker = _worker_with_pid(rows[0]["pid"]) if rows else ""
    elif task_id is not None:
        rows = query("tasks", id=task_id, detail=True, limit=1000)["rows"]
        worker = next((row["worker_id"] for row in rows if row["attempt_number"] == attempt), "")
    else:
        worker = _worker_with_pid(pid)
    if not worker:
        what = f"actor {actor_id}" if actor_id else f"task {task_id}" if task_id else f"worker with pid {pid}"
        raise FileNotFoundError(f"no process is known of {what} (yet): it has no log")
    path = _folder() / worker_log(worker, suffix)
    if not path.is_file():
        raise FileNotFoundError(f"the log {path.name} is not there (any more)")
    return path


def _worker_with_pid(pid: int | None) -> str:
    rows = query("workers", filters=[("pid", "=", str(pid))], detail=True, limit=100)["rows"]
    return next((row["worker_id"] for row in reversed(rows) if row["worker_type"] == "WORKER"), "")


def _pieces(
    path: Path, follow: bool, begin: int, encoding: str | None, errors: str, pause_s: float, plain: bool
) -> Iterator[Any]:
    with open(path, "rb") as file:
        file.seek(begin)
        while (data := file.read()) or follow:
            if not data:
                time.sleep(pause_s)
                continue
            text: Any = data if encoding is None else data.decode(encoding, errors)
            yield _ANSI.sub("", text) if plain and encoding is not None else text
