"""What a person means by a word on a command's line: a variable, an element of one, an actor's name, an id.

`x`, `parts[3]`, `Out[7]`, `results["a"]`, `self.ref`; the name of a living actor; an id as the tables show it
(`1f-3a9c`) or in full. Nothing else is evaluated: no calls, no operators.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from raynb.magics.errors import OptionError
from raynb.magics.holders import users_names, with_items
from raynb.magics.session import Session
from raynb.runtime.api.actors import ActorHandle
from raynb.runtime.api.cluster import query
from raynb.runtime.api.generator import ObjectRefGenerator
from raynb.runtime.api.named_objects import KEEPER
from raynb.runtime.client.refs import ObjectRef, current
from raynb.runtime.messages.ids import (
    ACTOR_ID_BYTES,
    COUNTER_BYTES,
    FIRST_RETURN,
    OBJECT_ID_BYTES,
    TASK_ID_BYTES,
)

SHORT_ID = re.compile(r"([0-9a-f]{1,16})-([0-9a-f]{4,24})")
ROWS_MAX = 10_000
NAMES_S = 2.0
"""Names are for hints and completion: nobody waits for them long."""


@dataclass(frozen=True)
class Target:
    """What is meant.

    Attributes
    ----------
    text
        As it was typed.
    objects
        (id, owner's address): one for a reference, several for a container of them.
    actor_id
        Of an actor; its object is in ``objects`` if there is a reference that keeps it alive.
    """

    text: str
    objects: tuple[tuple[bytes, str], ...] = ()
    actor_id: bytes = b""


def resolve(text: str, session: Session) -> Target:
    """What a word stands for.

    Raises
    ------
    OptionError
        It stands for nothing, or for something that no task makes; names what is similar.
    """
    if not _is_path(text):
        found = _by_id(text)
        if found is not None:
            return found
        raise OptionError(f"`{text}` is neither a variable (x, parts[3], Out[7]) nor the id of a task or an actor")
    name = text.partition("[")[0].partition(".")[0]
    if name in session.namespace:
        try:
            value = session.evaluate(text)
        except Exception as error:
            raise OptionError(f"`{text}`: {type(error).__name__}: {error}") from None
        return of_value(text, value)
    found = _by_id(text) or actor_named(text)
    if found is None:
        known = [name for name, _ in candidates(session.namespace)] + actor_names()
        close = difflib.get_close_matches(text, known, n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise OptionError(f"the notebook has no `{name}`, and no living actor is called so.{hint}")
    return found


def of_value(text: str, value: Any) -> Target:
    """What a value of the notebook stands for."""
    if isinstance(value, ActorHandle):
        ref = value._ref
        return Target(text, () if ref is None else ((ref._id, ref._owner),), value._id)
    refs = [item for _, item in with_items(text, value) if isinstance(item, ObjectRef | ObjectRefGenerator)]
    if not refs:
        raise OptionError(f"`{text}` is no reference, but a {type(value).__name__}: there is nothing to wait for")
    objects = [ref.completed() if isinstance(ref, ObjectRefGenerator) else ref for ref in refs]
    return Target(text, tuple(dict.fromkeys((ref._id, ref._owner) for ref in objects)))


def candidates(namespace: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The notebook's names that stand for references or actors, or for containers of them."""
    for name, value in users_names(namespace):
        items = list(with_items(name, value))
        if any(isinstance(item, ObjectRef | ObjectRefGenerator | ActorHandle) for _, item in items):
            yield name, value


def actor_names() -> list[str]:
    """Of the living actors that a person has named."""
    names = [row["name"] for row in query("named_actors", limit=ROWS_MAX, timeout_s=NAMES_S)["rows"]]
    return [name for name in names if name != KEEPER]


def actor_named(name: str) -> Target | None:
    """A living actor with this name, in whichever namespace."""
    rows = query("named_actors", limit=1, filters=[("name", "=", name)])["rows"]
    return Target(name, (), bytes.fromhex(rows[0]["actor_id"])) if rows else None


def _is_path(text: str) -> bool:
    try:
        tree: Any = ast.parse(text, mode="eval").body
    except SyntaxError:
        return False
    while isinstance(tree, ast.Attribute | ast.Subscript):
        if isinstance(tree, ast.Subscript) and not _is_index(tree.slice):
            return False
        tree = tree.value
    return isinstance(tree, ast.Name)


def _is_index(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    if isinstance(node, ast.Slice):
        return all(part is None or _is_index(part) for part in (node.lower, node.upper, node.step))
    return isinstance(node, ast.Constant | ast.Name)


# -- ids


def _by_id(text: str) -> Target | None:
    word = text.strip().lower()
    short = SHORT_ID.fullmatch(word)
    if short is not None:
        return _by_short_id(text, bytes.fromhex(short[1].rjust(2 * COUNTER_BYTES, "0")), short[2])
    if not re.fullmatch("[0-9a-f]+", word) or len(word) % 2:
        return None
    id = bytes.fromhex(word)
    if len(id) == OBJECT_ID_BYTES:
        return Target(text, ((id, _owner_of(id)),))
    if len(id) == TASK_ID_BYTES:
        return Target(text, ((id + FIRST_RETURN, _owner_of(id + FIRST_RETURN)),))
    return Target(text, (), id) if len(id) == ACTOR_ID_BYTES else None


def _by_short_id(text: str, counter: bytes, origin: str) -> Target | None:
    """The task or object of this number, of the process whose ids go on like this."""
    for oid in list(current().machine.objects.entries):
        if oid.startswith(counter) and oid[COUNTER_BYTES:].hex().startswith(origin):
            return Target(text, ((oid, _owner_of(oid)),))
    for row in query("tasks", limit=ROWS_MAX, detail=True)["rows"]:
        if row["task_id"].startswith(counter.hex() + origin):
            return Target(text, ((bytes.fromhex(row["task_id"]) + FIRST_RETURN, row["submitter"]),))
    for row in query("actors", limit=ROWS_MAX)["rows"]:
        if row["actor_id"].startswith(counter[COUNTER_BYTES // 2 :].hex() + origin):
            return Target(text, (), bytes.fromhex(row["actor_id"]))
    return None


def _owner_of(oid: bytes) -> str:
    """As this process knows it, else the process that has submitted the task."""
    client = current()
    entry = client.machine.objects.entries.get(oid)
    if entry is not None:
        return entry.owner or client.address
    rows = query("tasks", id=oid[:TASK_ID_BYTES].hex(), detail=True)["rows"]
    return str(rows[-1]["submitter"]) if rows else client.address
