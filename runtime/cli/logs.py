"""``raynb logs``: which logs a cluster has, and what they say."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import typer

from raynb.runtime.adapters.registry import ClusterEntry, find
from raynb.runtime.adapters.request import Requester
from raynb.runtime.cli.show import print_table
from raynb.runtime.client.node_logs import at_nodes, log_folders, log_of, named_log, pieces_of

FOLLOW_PAUSE_S: Final = 0.2
ID_CHARS: Final = 12


def show(address: str, name: str, whose: Mapping[str, str], node: str, suffix: str, tail: int, follow: bool) -> None:
    """Print a log; without any named, list those that there are.

    Parameters
    ----------
    whose
        By what the log is named instead of by its file: ``actor``, ``task``, ``pid``.
    node
        With what the node's id begins; empty: all nodes.

    Raises
    ------
    ValueError
        There is no such log, it is named in several ways, or several nodes have it.
    FileNotFoundError
        There is no such node.
    """
    entry = find(address or "auto")
    given = {kind: value for kind, value in whose.items() if value}
    if len(given) + bool(name) > 1:
        raise ValueError("name one log: by its file, or by --actor, --task or --pid")
    with Requester(entry.session_dir) as guest:
        folders = at_nodes(log_folders(_rows(guest, entry, "nodes", limit=-1)), node)
        worker = _of_process(guest, entry, *next(iter(given.items()))) if given else {}
    if worker:
        _print(log_of(worker, folders, suffix), tail, follow, bytes.fromhex(given.get("task", "")))
    elif name:
        try:
            log = named_log(name, folders, here=Path(entry.session_dir) / "logs")
        except FileNotFoundError as error:
            raise ValueError(f"{error}: `raynb logs` lists those that there are") from None
        _print(log, tail, follow)
    else:
        _list(folders)


def _list(folders: Mapping[str, Path]) -> None:
    rows = [
        (path.name, node[:ID_CHARS], f"{path.stat().st_size:,}")
        for node, folder in folders.items()
        for path in sorted(folder.iterdir())
        if path.is_file()
    ]
    if len(folders) > 1:
        print_table(["LOG", "NODE", "BYTES"], rows)
    else:
        print_table(["LOG", "BYTES"], [(name, size) for name, _, size in rows])


def _rows(guest: Requester, entry: ClusterEntry, table: str, **how: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = guest.query(entry.gcs_address, table, detail=True, **how)["rows"]
    return found


def _of_process(guest: Requester, entry: ClusterEntry, kind: str, value: str) -> dict[str, Any]:
    """The row of the worker, or of the task that says where it ran."""
    if kind == "task":
        found = [row for row in _rows(guest, entry, "tasks", id=value) if row["worker_id"]]
    else:
        pids = [row["pid"] for row in _rows(guest, entry, "actors", id=value)] if kind == "actor" else [value]
        workers = _rows(guest, entry, "workers", filters=[("pid", "=", str(pids[-1]))]) if pids else []
        found = [row for row in workers if row["worker_type"] == "WORKER"]
    if not found:
        raise ValueError(f"no process is known of {kind} {value} (yet): it has no log")
    return found[-1]


def _print(path: Path, tail: int, follow: bool, task: bytes = b"") -> None:
    """As the processes wrote it, or one task, but without what could drive the terminal."""
    data = b"".join(pieces_of(path, task))
    lines = data.decode(errors="replace").splitlines(keepends=True)
    for line in lines[-tail:] if tail > 0 else lines:
        _echo(line)
    if follow:
        sys.stdout.flush()
        for more in pieces_of(path, task, len(data), FOLLOW_PAUSE_S):
            _echo(more.decode(errors="replace"))
            sys.stdout.flush()


def _echo(line: str) -> None:
    typer.echo("".join(char if char.isprintable() or char in "\t\n" else " " for char in line), nl=False)
