"""Cards of references, actors and remote functions: a title, a state (a colour, a shape and a word) and a few facts, as
HTML and as plain text that says the same."""

from __future__ import annotations

import html
import inspect
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from raynb.magics import amounts
from raynb.runtime.api.actors import ActorClass, ActorHandle
from raynb.runtime.api.cluster import query_by
from raynb.runtime.api.functions import RemoteFunction
from raynb.runtime.client import refs
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.client.why import Why
from raynb.runtime.codec.kinds import kind_of
from raynb.runtime.core.views import cause_of_death
from raynb.runtime.messages.errors import RayError
from raynb.runtime.messages.ids import PUT_INDEX_BASE, index_of
from raynb.runtime.messages.text import clean
from raynb.runtime.messages.values import Failed, Stored

LOOKED_INTO_BYTES_MAX: Final = 1_000_000
"""Larger values are not unpickled for a look."""
TEXT_MAX: Final = 120

READY, RUNNING, WAITING, FAILED, NEUTRAL = "ready", "running", "waiting", "failed", "neutral"
_COLOURS: Final = {READY: "#009E73", RUNNING: "#0072B2", WAITING: "#E69F00", FAILED: "#D55E00", NEUTRAL: "#888888"}
_MARKS: Final = {READY: "●", RUNNING: "▶", WAITING: "◌", FAILED: "✖", NEUTRAL: "■"}
"""By colour and by shape (Okabe and Ito's palette)."""


@dataclass(frozen=True)
class Card:
    """What is shown of one object.

    Attributes
    ----------
    look
        One of the five above.
    final
        Nothing about it will change.
    """

    title: str
    look: str
    state: str
    facts: list[str] = field(default_factory=list)
    final: bool = True

    def text(self) -> str:
        """In a terminal, and beside the HTML."""
        *most, last = (self.state, *self.facts)
        return f"<{self.title}: {'; '.join([*(fact.rstrip('.') for fact in most), last])}>"

    def html(self) -> str:
        mark = f"<span style='color:{_COLOURS[self.look]}' aria-hidden='true'>{_MARKS[self.look]}</span>"
        facts = "".join(f"<div style='opacity:.75;margin-left:1.4em'>{html.escape(fact)}</div>" for fact in self.facts)
        return (
            f"<div style='line-height:1.5'>{mark} <code style='background:none'>{html.escape(self.title)}</code> "
            f"<strong>{html.escape(self.state)}</strong>{facts}</div>"
        )

    def bundle(self) -> dict[str, str]:
        return {"text/plain": self.text(), "text/html": self.html()}


# -- what there is to say


def card_of(value: Any) -> Card:
    """The card of a reference, a handle, an actor class or a remote function."""
    if isinstance(value, ObjectRef):
        return _of_ref(value)
    if isinstance(value, ActorHandle):
        return _of_actor(value)
    if isinstance(value, ActorClass):
        return Card(value._cls.__name__, NEUTRAL, f"actor class, {_options(value)}", _doc(value._cls))
    assert isinstance(value, RemoteFunction)
    signature = ""
    with suppress(TypeError, ValueError):
        signature = str(inspect.signature(value._function))
    return Card(f"{value._qualified_name()}{signature}", NEUTRAL, f"remote function, {_options(value)}", _doc(value))


def _waiting(title: str, why: Why) -> Card:
    """Of a reference whose value is not there."""
    look = RUNNING if why.kind == "running" else FAILED if why.kind in ("failed", "cancelled", "lost") else WAITING
    final = why.kind in ("failed", "cancelled", "lost", "node", "infeasible")
    return Card(title, look, _short(why.sentence), [why.fix] if why.fix else [], final=final)


def _short_id(oid: bytes) -> str:
    """As the tables of `%raynb` have it, and its commands take it."""
    index = index_of(oid)
    return amounts.short_task(oid.hex()) + (f".{index}" if 1 < index < PUT_INDEX_BASE else "")


def _of_ref(ref: ObjectRef[Any]) -> Card:
    title = f"ObjectRef({_short_id(ref.binary())})"
    if not refs.connected():
        return Card(title, NEUTRAL, "of a cluster that is gone")
    client = refs.current()
    entry = client.machine.objects.entries.get(ref.binary())
    value = entry.value if entry is not None else None
    if value is None:
        why = ref.why()
        # By now the client has looked at what was said just before: a value that was put is there.
        entry = client.machine.objects.entries.get(ref.binary())
        value = entry.value if entry is not None and why.kind == "finished" else None
        if value is None:
            return _waiting(title, why)
    if isinstance(value, Failed):
        client.machine.objects.unhandled.saw(value)  # the person does
        *_, last = value.message.strip().splitlines() or [value.kind]
        return Card(title, FAILED, "failed", [_short(last)])
    place, size = (
        ("in shared memory", value.size) if isinstance(value, Stored) else ("in this process", len(value.data))
    )
    facts = [f"{amounts.size(size)} {place}"]
    if isinstance(value, Stored) and value.kind is not None:
        facts.insert(0, str(value.kind))
    elif size <= LOOKED_INTO_BYTES_MAX:
        with suppress(Exception):  # a value that can't be unpickled here is still there
            facts.insert(0, _shape(client.load(value)))
    return Card(title, READY, "ready", facts)


def _shape(value: Any) -> str:
    if isinstance(value, bool | int | float | complex | str | bytes | type(None)):
        return f"{type(value).__name__}: {_short(repr(value))}"
    return str(kind_of(value))


def _of_actor(handle: ActorHandle) -> Card:
    title = f"{handle._class_name} actor {amounts.short_actor(handle._id.hex())}"
    methods = ", ".join(name for name in dir(handle) if not name.startswith("__"))
    facts = [f"methods: {_short(methods)}"] if methods else []
    try:
        client = refs.current()
    except RuntimeError:
        return Card(title, NEUTRAL, "of a cluster that is gone")
    rows: list[dict[str, Any]] = []
    with suppress(RayError):
        rows = query_by(client, "actors", 2.0, id=handle._id.hex(), detail=True)["rows"]
    if not rows:
        return Card(title, WAITING, "not known yet", facts, final=False)
    row = rows[0]
    if row["name"]:
        facts.insert(0, f"named {row['name']!r} in {row['ray_namespace']!r}")
    if row["num_restarts"]:
        facts.insert(0, f"restarted {row['num_restarts']} times")
    if row["state"] == "ALIVE":
        return Card(title, READY, f"alive (pid {row['pid']})", facts, final=False)
    if row["state"] == "DEAD":
        cause = cause_of_death(row)
        return Card(title, FAILED, "dead", [_short(cause), *facts] if cause else facts)
    return Card(title, WAITING, row["state"].lower().replace("_", " "), facts, final=False)


def _options(value: RemoteFunction | ActorClass) -> str:
    given = {name: option for name, option in value._options.items() if option is not None}
    asked = [f"{name}={given[name]!r}" for name in sorted(given) if name not in ("num_returns",)]
    return ", ".join(asked) if asked else "usual options"


def _doc(value: Any) -> list[str]:
    lines = (getattr(value, "__doc__", None) or "").strip().splitlines()
    return [_short(lines[0])] if lines else []


def _short(text: str) -> str:
    shown = clean(text)
    return shown if len(shown) <= TEXT_MAX else f"{shown[: TEXT_MAX - 1]}…"
