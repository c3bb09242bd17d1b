"""`%raynb timeline`: the tasks as a trace that a browser shows."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from raynb.magics.amounts import count
from raynb.magics.arguments import Options, option
from raynb.magics.connected import need_cluster
from raynb.magics.errors import OptionError
from raynb.magics.session import Session
from raynb.runtime.api import cluster


@dataclass(frozen=True)
class TimelineOptions(Options):
    """Write the tasks that ran as a Chrome trace, which Perfetto shows.

    FILE is by default raynb-timeline-<time>.json in the working directory.
    """

    usage: ClassVar[str] = "%raynb timeline [FILE]"

    file: str | None = field(
        default=None,
        metadata=option("where to write it", metavar="FILE", of="argument", complete="file"),
    )


def timeline(options: TimelineOptions, session: Session) -> None:
    """Write it, and say how to look at it."""
    need_cluster()
    path = Path(options.file or time.strftime("raynb-timeline-%Y%m%d-%H%M%S.json")).expanduser()
    events = cluster.timeline() or []
    tasks = sum(event["ph"] == "X" for event in events)
    try:
        path.write_text(json.dumps(events))
    except OSError as error:
        raise OptionError(f"{path} can't be written: {error.strerror or error}") from None
    print(
        f"Wrote {count(tasks, 'task')} to {path.resolve()}. To look at it: open https://ui.perfetto.dev and choose "
        "'Open trace file' (it stays in your browser), or load it in chrome://tracing."
    )
