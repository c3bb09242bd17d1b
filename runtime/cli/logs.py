"""``raynb logs``: which logs a cluster has, and what they say."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import typer

from raynb.runtime.adapters.registry import ClusterEntry, find
from raynb.runtime.adapters.request import Requester
from raynb.runtime.cli.show import print_table
from raynb.runtime.messages.ids import worker_log

FOLLOW_PAUSE_S: Final = 0.2


def show(address: str, name: str, whose: Mapping[str, str], suffix: str, tail: int, follow: bool) -> None:
    """Print a log; without any named, list those that there are.

    Parameters
    ----------
    whose
        By what the log is named instead of by its file: ``actor``, ``task``, ``pid``.

    Raises
    ------
    ValueError
        There is no such log, or it is named in several ways.
    """
    entry = find(address or "auto")
    folder = Path(entry.session_dir) / "logs"
    given = {kind: value for kind, value in whose.items() if value}
    if len(given) + bool(name) > 1:
        raise ValueError("name one log: by its file, or by --actor, --task or --pid")
    if given:
        name = _of_process(entry, *next(iter(given.items())), suffix)
    if not name:
        rows = [(path.name, f"{path.stat().st_size:,}") for path in sorted(folder.iterdir()) if path.is_file()]
        print_table(["LOG", "BYTES"], rows)
        return
    path = folder / name
    if path.parent != folder or not path.is_file():
        raise ValueError(f"there is no log {name!r}: `raynb logs` lists those that there are")
    _print(path, tail, follow)


def _of_process(entry: ClusterEntry, kind: str, value: str, suffix: str) -> str:
    with Requester(entry.session_dir) as guest:

        def rows(table: str, **how: Any) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = guest.query(entry.gcs_address, table, detail=True, **how)["rows"]
            return found

        if kind == "task":
            found = [row["worker_id"] for row in rows("tasks", id=value) if row["worker_id"]]
        else:
            pids = [row["pid"] for row in rows("actors", id=value)] if kind == "actor" else [value]
            workers = rows("workers", filters=[("pid", "=", str(pids[-1]))]) if pids else []
            found = [row["worker_id"] for row in workers if row["worker_type"] == "WORKER"]
    if not found:
        raise ValueError(f"no process is known of {kind} {value} (yet): it has no log")
    return worker_log(found[-1], suffix)


def _print(path: Path, tail: int, follow: bool) -> None:
    """As the processes wrote it, but without what could drive the terminal."""
    with open(path, errors="replace") as file:
        lines = file.readlines()
        for line in lines[-tail:] if tail > 0 else lines:
            _echo(line)
        while follow:
            text = file.readline()
            if text:
                _echo(text)
                sys.stdout.flush()
            else:
                time.sleep(FOLLOW_PAUSE_S)


def _echo(line: str) -> None:
    typer.echo("".join(char if char.isprintable() or char in "\t\n" else " " for char in line), nl=False)
