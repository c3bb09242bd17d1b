"""What the processes of a cluster have written: read from their log files, a bounded page at a time.

Rules
-----
* The first page has the newest lines; with its cursor one gets what was written since. A cursor says how far each file
  was read; a file that was cut meanwhile is read from its new beginning.
* Only files of the sessions of the cluster's nodes on this machine are read: none that a link leads to, none by a name
  from outside.
* When a line was written is known as `log_times` says: of what workers write to a tenth of a second, of daemons' lines
  to the second. Where a window of time is asked for, lines of unknown time are left out, and counted.
* Lines are text: what drives a terminal or turns the direction of reading is taken out, long ones are cut.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from raynb.runtime.adapters.log_times import WrittenWhen, stamped_at
from raynb.runtime.adapters.registry import ClusterEntry
from raynb.runtime.adapters.request import Requester
from raynb.runtime.messages.errors import RpcError
from raynb.runtime.messages.ids import worker_log
from raynb.runtime.messages.screen import LogLine, LogPage
from raynb.runtime.messages.text import clean
from raynb.server_extension.guests import at_node

LINES_MAX: Final = 1000
LINE_CHARS_MAX: Final = 2000
FILES_MAX: Final = 64
TAIL_BYTES: Final = 256 * 1024
"""Of each file, where nothing is searched for."""
READ_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of all files together."""
CURSOR_CHARS_MAX: Final = 8192
ANSWER_S_MAX: Final = 2.0
SHORT: Final = 12
"""So many digits of a node's id tell it from others, for people."""
ALWAYS: Final = (0.0, math.inf)

_FILE: Final = re.compile(r"([a-z][a-z0-9_-]{0,63})\.(log|out|err)")
_MARK: Final = re.compile(r"([a-z][a-z0-9_.-]{0,67}):(\d{1,15})")

Row = dict[str, Any]
Stem = tuple[str, str]
"""Whose a file is: of which node, by its id in hex, and its name there."""


@dataclass(frozen=True)
class Log:
    """One file."""

    path: Path
    size: int
    source: str
    node: str
    key: str
    """Its name in a cursor."""

    @property
    def error(self) -> bool:
        return self.path.suffix == ".err"


@dataclass
class Wanted:
    """What is asked for. ``stems``: only these processes' files, by node and name; None: all. ``window``: since and
    until when, in wall-clock seconds."""

    search: str = ""
    after: str = ""
    source: str = ""
    stems: frozenset[Stem] | None = None
    window: tuple[float, float] = ALWAYS

    @property
    def timed(self) -> bool:
        """Whether only a window of time is asked for."""
        return self.window != ALWAYS

    def takes(self, at: float) -> bool:
        """Whether a line of this time is asked for."""
        return at > 0 and self.window[0] <= at < self.window[1]


def log_page(
    entry: ClusterEntry,
    search: str,
    after: str,
    source: str,
    task: str,
    actor: str,
    window: tuple[float, float] = ALWAYS,
) -> LogPage:
    """A page.

    Raises
    ------
    ValueError
        The cursor is none.
    LookupError
        There is no such task or actor, or it had no process so far.
    """
    marks = _marks(after)
    with Requester(entry.session_dir) as asker:
        stems = _stems_of(asker, entry, task, actor) if task or actor else None
        folders, workers = _folders_and_workers(asker, entry)
    logs = _logs(entry, folders, workers)
    wanted = Wanted(search.lower(), after, source, stems, window)
    return _read(logs, wanted, marks)


def _marks(after: str) -> dict[str, int]:
    """How far each file was read."""
    if len(after) > CURSOR_CHARS_MAX:
        raise ValueError("that is no cursor: it is too long")
    marks: dict[str, int] = {}
    for part in filter(None, after.split(",")):
        found = _MARK.fullmatch(part)
        if found is None:
            raise ValueError("that is no cursor: give what a page called `next`")
        marks[found[1]] = int(found[2])
    return marks


# -- whose file is whose


def _folders_and_workers(asker: Requester, entry: ClusterEntry) -> tuple[dict[str, str], dict[Stem, Row]]:
    """The folders of the nodes on this machine, by their ids; and the workers, by whose logs are theirs.

    Without the cluster's control store it is the head's folder, and files keep their own names.
    """
    try:
        nodes, workers = (
            asker.query(entry.gcs_address, table, limit=-1, detail=True, timeout_s=ANSWER_S_MAX)["rows"]
            for table in ("nodes", "workers")
        )
    except RpcError:
        return {"": entry.session_dir}, {}
    there = {row["node_id"]: at_node(entry, row["address"]) for row in nodes if row["state"] == "ALIVE"}
    folders = {node: found.session_dir for node, found in there.items() if found is not None}
    return folders, {_stem(row): row for row in workers if row["worker_type"] == "WORKER"}


def _stem(row: Mapping[str, Any]) -> Stem:
    return row["node_id"], worker_log(row["worker_id"])


def _stems_of(asker: Requester, entry: ClusterEntry, task: str, actor: str) -> frozenset[Stem]:
    """Of the processes that a task, or an actor, had."""
    gcs = entry.gcs_address
    if task:
        rows = asker.query(gcs, "tasks", id=task, limit=100, detail=True, timeout_s=ANSWER_S_MAX)["rows"]
        if not rows:
            raise LookupError(f"there is no task {task}")
        found = [row for row in rows if row["worker_id"]]
        if not found:
            raise LookupError("no worker has run this task (yet), so it has no log")
        return frozenset(map(_stem, found))
    filters = [("actor_id", "=", actor)]
    rows = asker.query(gcs, "workers", filters, limit=100, detail=True, timeout_s=ANSWER_S_MAX)["rows"]
    if not rows:
        raise LookupError("this actor has had no process (yet), so it has no log")
    return frozenset(map(_stem, rows))


def _logs(entry: ClusterEntry, folders: Mapping[str, str], workers: Mapping[Stem, Row]) -> list[Log]:
    """All there are, the last written first."""
    found: list[tuple[float, Log]] = []
    for node, folder in folders.items():
        is_head = folder == entry.session_dir
        with suppress(FileNotFoundError):  # the node has just ended
            found += _logs_of(Path(folder), node, workers, is_head=is_head)
    found.sort(key=lambda log: -log[0])
    return [log for _, log in found]


def _logs_of(folder: Path, node: str, workers: Mapping[Stem, Row], *, is_head: bool) -> Iterator[tuple[float, Log]]:
    with os.scandir(folder / "logs") as files:
        for file in files:
            name = _FILE.fullmatch(file.name)
            if name is None or not file.is_file(follow_symlinks=False):
                continue
            status = file.stat(follow_symlinks=False)
            worker = workers.get((node, name[1]))
            source = f"worker {worker['pid']}" if worker is not None else name[1].replace("_", " ").replace("-", " ")
            if worker is None and not is_head:
                source = f"{source} of node {node[:SHORT]}"
            key = file.name if is_head else f"n{folder.name}.{file.name}"
            yield status.st_mtime, Log(Path(file.path), status.st_size, source, node, key)


# -- reading


def _read(logs: list[Log], wanted: Wanted, marks: Mapping[str, int]) -> LogPage:
    sources = sorted({log.source for log in logs if log.size})
    asked = [log for log in logs if log.size and _is_wanted(log, wanted)]
    shown = sorted(asked[:FILES_MAX], key=lambda log: (log.source, log.error))
    budget, left_out, untimed = READ_BYTES_MAX, 0, 0
    pages: list[list[LogLine]] = []
    reached: dict[str, int] = {}
    for log in shown:
        when = WrittenWhen(log.path)
        begin, end = _part(log, wanted, marks.get(log.key, 0), when)
        begin = max(begin, end - budget)
        lines, end = _lines(log, begin, end, when)
        budget = max(0, budget - (end - begin))
        if wanted.timed:
            untimed += sum(1 for line in lines if not line.at)
            lines = [line for line in lines if wanted.takes(line.at / 1000)]
        found = [line for line in lines if wanted.search in line.text.lower()]
        if len(found) > LINES_MAX:
            left_out += len(found) - LINES_MAX
            found = found[-LINES_MAX:]
        pages.append(found)
        reached[log.key] = end
    lines_shown, dropped = _share(pages)
    cursor = ",".join(f"{name}:{end}" for name, end in reached.items())
    return LogPage(lines_shown, cursor, sources, left_out + dropped, untimed)


def _part(log: Log, wanted: Wanted, mark: int, when: WrittenWhen) -> tuple[int, int]:
    """Which bytes of a file to look at."""
    mark = mark if mark <= log.size else 0
    if wanted.timed and when:
        since, until = wanted.window
        end = min(log.size, when.size_by(until)) if until < math.inf else log.size
        return min(max(mark, when.size_at(since)), end), end
    everything = wanted.after or wanted.search or wanted.timed
    return (mark if everything else max(0, log.size - TAIL_BYTES)), log.size


def _is_wanted(log: Log, wanted: Wanted) -> bool:
    if wanted.stems is not None and (log.node, log.path.stem) not in wanted.stems:
        return False
    return not wanted.source or log.source == wanted.source


def _lines(log: Log, begin: int, until: int, when: WrittenWhen) -> tuple[list[LogLine], int]:
    """Whole lines from there on, and where they end."""
    try:
        fd = os.open(log.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # removed meanwhile
        return [], begin
    with open(fd, "rb") as file:
        file.seek(max(0, begin - 1))
        data = file.read(until - begin + (begin > 0))
    if begin and not data.startswith(b"\n"):  # in the middle of a line
        cut = data.find(b"\n")
        begin, data = (begin + cut, data[cut + 1 :]) if cut >= 0 else (begin, b"")
    elif begin:
        data = data[1:]
    end = data.rfind(b"\n") + 1
    return [*_parsed(log, data[:end], begin, when)], begin + end


def _parsed(log: Log, data: bytes, begin: int, when: WrittenWhen) -> Iterator[LogLine]:
    reached, stamp = begin, 0.0
    for raw in data.split(b"\n")[:-1]:
        reached += len(raw) + 1
        if when:
            at = when.of(reached)
        else:  # what follows a daemon's line belongs to it
            at = stamp = stamped_at(raw) or stamp
        text = clean(raw.decode(errors="replace")[:LINE_CHARS_MAX].expandtabs(4))
        yield LogLine(log.source, text, log.node, log.error, round(1000 * at))


def _share(pages: Iterable[list[LogLine]]) -> tuple[list[LogLine], int]:
    """The newest of each file, as many as there is room for; and how many there is none for."""
    pages = list(pages)
    total = sum(map(len, pages))
    if total <= LINES_MAX:
        return [line for page in pages for line in page], 0
    room, rest = LINES_MAX, sorted(pages, key=len)
    share: dict[int, int] = {}
    for number, page in enumerate(rest):
        share[id(page)] = min(len(page), room // (len(rest) - number))
        room -= share[id(page)]
    shown = [line for page in pages for line in page[len(page) - share[id(page)] :]]
    return shown, total - len(shown)
