"""How records of Python's logging are written.

``LoggingConfig`` is for all loggers, in a driver and in all processes that work for it. The driver's goes to workers
with its context, as JSON. Each process then has one handler of ours at the root logger, which writes to standard error:
a worker's is shown in the driver. Handlers of the user's own stay where they are.

``show_own`` is for the library's own loggers, in this process only.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, TextIO

from raynb.runtime.client import refs

ENCODINGS: Final = ("TEXT", "JSON")
ATTRIBUTES: Final = frozenset(vars(logging.makeLogRecord({})).keys() | {"message", "asctime"})
"""What every record has."""
TIMESTAMP: Final = "_ray_timestamp_ns"
"""Ray's name for when a record was made, where that was noted."""
SHOWN: Final = ("asctime", "levelname", "message", "filename", "lineno", "process")
"""What of that is always written as JSON."""
OWN: Final = ("raynb", "ray")
"""The library's own loggers: libraries that were written for Ray use that one's."""
OWN_FORMAT: Final = "%(asctime)s\t%(levelname)s %(filename)s:%(lineno)s -- %(message)s"
"""As Ray has it."""


@dataclass
class LoggingConfig:
    """How records are written.

    Parameters
    ----------
    encoding
        TEXT: a line for people, which ends with ``name=value`` of what follows; JSON: an object a line. Both have the
        ids of the job, the worker, the node, and of what runs, ``timestamp_ns``, and what is given as ``extra=``.
    log_level
        Of the root logger.
    additional_log_standard_attrs
        Names of attributes of Python's `logging.LogRecord` to write, too.

    Raises
    ------
    ValueError
        Such an encoding, level or attribute there isn't.
    """

    encoding: str = "TEXT"
    log_level: str | int = "INFO"
    additional_log_standard_attrs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise ValueError(f"Invalid encoding type: {self.encoding}. Valid are {', '.join(ENCODINGS)}.")
        logging.Handler(self.log_level)  # knows the levels
        for name in self.additional_log_standard_attrs:
            if name not in ATTRIBUTES:
                raise ValueError(f"Unknown python logging standard attribute: {name}. There are {sorted(ATTRIBUTES)}.")

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` takes."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LoggingConfig:
        """One with these arguments."""
        return cls(**data)

    def encoded(self) -> str:
        """For other processes."""
        return json.dumps(self.to_dict())


def follow(text: str) -> None:
    """Write records as this says from now on; empty: as before there was any."""
    global _handler, _level_before
    root = logging.getLogger()
    if _handler is not None:
        if _handler.text == text:
            return
        root.removeHandler(_handler)
        root.setLevel(_level_before)
        _handler = None
    if text:
        config = LoggingConfig.from_dict(json.loads(text))
        _level_before, _handler = root.level, _Handler(text, config)
        root.addHandler(_handler)
        root.setLevel(config.log_level)


def current() -> str:
    """What is followed."""
    return _handler.text if _handler is not None else ""


def show_own(level: str | int | None, layout: str | None) -> None:
    """Write records of the library's own loggers to standard error from now on; both None: as before there was any.

    They do not go to handlers of the root logger then, lest they be there twice.

    Parameters
    ----------
    level
        From which on; None: INFO.
    layout
        As for `logging.Formatter`; None: `OWN_FORMAT`.
    """
    global _own
    for logger, (before, propagated) in _own_before.items():
        assert _own is not None
        logger.removeHandler(_own)
        logger.setLevel(before)
        logger.propagate = propagated
    _own_before.clear()
    _own = None
    if level is None and layout is None:
        return
    level = logging.INFO if level is None else level
    _own = _ToStderr()
    _own.setFormatter(logging.Formatter(layout or OWN_FORMAT))
    for logger in map(logging.getLogger, OWN):
        _own_before[logger] = (logger.level, logger.propagate)
        logger.addHandler(_own)
        logger.setLevel(level.upper() if isinstance(level, str) else level)
        logger.propagate = False


class _ToStderr(logging.StreamHandler[TextIO]):
    """Writes to what standard error is when it writes."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


class _Handler(_ToStderr):
    """Writes as a `LoggingConfig` says."""

    def __init__(self, text: str, config: LoggingConfig) -> None:
        super().__init__()
        self.text = text
        self.formatter = JSONFormatter() if config.encoding == "JSON" else TextFormatter()
        self.formatter.set_additional_log_standard_attrs(config.additional_log_standard_attrs)


_handler: _Handler | None = None
_level_before: int = logging.WARNING
_own: _ToStderr | None = None
_own_before: dict[logging.Logger, tuple[int, bool]] = {}
"""What they had: a level, and whether they hand on what is written."""


def ids_of_caller() -> dict[str, str]:
    """Who writes: ids in hex, and names."""
    client = refs._current
    if client is None:
        return {}
    execution = client.execution()
    found = {
        "job_id": execution.context.job.hex(),
        "worker_id": client.worker_id.hex(),
        "node_id": client.joined.node_id.hex(),
    }
    if any(execution.task_id):
        found |= {
            "task_id": execution.task_id.hex(),
            "task_name": execution.name,
            "task_func_name": f"{execution.module}.{execution.function}",
        }
    if execution.actor_id:
        found |= {"actor_id": execution.actor_id.hex(), "actor_name": client.actor_name}
    return found


class _Formatter(logging.Formatter):
    additional_log_standard_attrs: Sequence[str] = ()

    def set_additional_log_standard_attrs(self, names: Sequence[str]) -> None:
        """Write these of a record's attributes, too."""
        self.additional_log_standard_attrs = [name for name in names if name not in SHOWN]

    def _rest(self, record: logging.LogRecord) -> dict[str, Any]:
        """What is written behind the usual."""
        own = {name: value for name, value in vars(record).items() if name not in ATTRIBUTES}
        asked = {name: getattr(record, name, None) for name in self.additional_log_standard_attrs}
        noted = own.pop(TIMESTAMP, None)
        return {**asked, **own, **ids_of_caller(), "timestamp_ns": noted or time.time_ns()}


class JSONFormatter(_Formatter):
    """Makes a record an object of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """A record as JSON."""
        record.message, record.asctime = record.getMessage(), self.formatTime(record)
        found = {name: getattr(record, name) for name in SHOWN}
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            found["exc_text"] = record.exc_text
        return json.dumps({**found, **self._rest(record)}, default=str)


class TextFormatter(_Formatter):
    """Makes a record a line for people."""

    def format(self, record: logging.LogRecord) -> str:
        """A record as a line, with its traceback below."""
        whole, *below = super().format(record).split("\n")
        head = f"{self.formatTime(record)}\t{record.levelname} {record.filename}:{record.lineno} -- {whole}"
        rest = " ".join(f"{name}={value}" for name, value in self._rest(record).items())
        return "\n".join([f"{head} {rest}", *below])
