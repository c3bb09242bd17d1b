"""Where the logs of a cluster's nodes are: each node of this machine has a folder of its own.

Rows are those of the tables ``nodes`` and ``workers``, with detail.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from raynb.runtime.adapters.log_tasks import written_by
from raynb.runtime.core.node_identity import session_dir_of
from raynb.runtime.messages.ids import worker_log

Row = Mapping[str, Any]


def log_folders(nodes: Iterable[Row]) -> dict[str, Path]:
    """Of the living ones, by their ids: those of a node that has ended are gone with it."""
    living = (row for row in nodes if row["state"] == "ALIVE")
    return {row["node_id"]: Path(session_dir_of(row["address"])) / "logs" for row in living}


def log_of(row: Row, folders: Mapping[str, Path], suffix: str = "") -> Path:
    """The log of the worker that a row is of, or (as a task's row) names.

    Raises
    ------
    FileNotFoundError
        Its node is gone.
    """
    folder = folders.get(row["node_id"])
    if folder is None:
        raise FileNotFoundError(f"its node {row['node_id'][:12]} is gone, and its logs with it")
    return folder / worker_log(row["worker_id"], suffix)


def named_log(name: str, folders: Mapping[str, Path], node: str = "", here: Path | None = None) -> Path:
    """The log of that name.

    Parameters
    ----------
    node
        Only on the node whose id begins so.
    here
        The folder that is looked into first.

    Raises
    ------
    ValueError
        Several nodes have one, and none is said.
    FileNotFoundError
        There is no such log, or no such node.
    """
    folders = at_nodes(folders, node)
    # A name is no path: what it leads to lies right in the folder.
    places = {where: folder / name for where, folder in folders.items() if (folder / name).parent == folder}
    found = {where: path for where, path in places.items() if path.is_file()}
    if not found:
        raise FileNotFoundError(f"there is no log {name!r}")
    chosen = [path for path in found.values() if len(found) == 1 or path.parent == here]
    if not chosen:
        raise ValueError(f"there is a log {name!r} on several nodes: say which one is meant, of {', '.join(found)}")
    return chosen[0]


def at_nodes(folders: Mapping[str, Path], node: str) -> Mapping[str, Path]:
    """The folder of the node whose id begins so; of all, where none is said.

    Raises
    ------
    FileNotFoundError
        There is none.
    """
    fitting = {found: folder for found, folder in folders.items() if found.startswith(node)}
    if not fitting:
        raise FileNotFoundError(f"there is no living node {node!r}; there are: {', '.join(folders) or 'none'}")
    return fitting


def pieces_of(path: Path, task: bytes = b"", begin: int = 0, pause_s: float | None = None) -> Iterator[bytes]:
    """What a log has, or of it what a task has written, from that byte on.

    Parameters
    ----------
    pause_s
        Look for more each so many seconds, without end; None: what there is now.

    Raises
    ------
    OSError
        The log can't be read.
    """
    with open(path, "rb") as file:
        while True:
            file.seek(begin)
            data = written_by(path, task)[begin:] if task else file.read()
            if data:
                begin += len(data)
                yield data
            elif pause_s is not None:
                time.sleep(pause_s)
            if pause_s is None:
                return
