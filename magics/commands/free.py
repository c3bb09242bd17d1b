"""`%raynb free`: let go of what the notebook holds, so that its memory comes back."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from raynb.magics.amounts import count, short_task
from raynb.magics.arguments import Options, option
from raynb.magics.connected import need_cluster
from raynb.magics.errors import OptionError
from raynb.magics.holders import Holdings, held_by, users_names
from raynb.magics.session import Session
from raynb.magics.targets import resolve
from raynb.runtime.client.client import Client
from raynb.runtime.messages.sizes import size_text
from raynb.runtime.messages.values import size_of

NAMES_SHOWN = 4
_OUTPUT = re.compile(r"Out\[(\d+)\]|_(\d+)")


@dataclass(frozen=True)
class FreeOptions(Options):
    """Let go of a variable, an output or an object, so that its memory comes back.

    WHAT is a variable, which is deleted; an output (Out[7]); `out` for all of them; or an object's id from a table:
    then all variables and outputs that are this object are let go of. Outputs and last results (_) of the same
    objects go along, as do the frames of the last error if they hold one. What holds an object still is said.
    """

    usage: ClassVar[str] = "%raynb free WHAT"

    what: str = field(
        metadata=option("a variable, Out[7], out, or an object's id", metavar="WHAT", of="argument", complete="ref"),
    )


@dataclass(frozen=True)
class Freed:
    """What was let go of, and what came of it."""

    names: list[str]
    objects: int
    nbytes: int
    still: list[str]

    def __repr__(self) -> str:
        subject = f"Let go of {_listed(self.names)}" if self.names else "There was no name to let go of"
        done = f"{count(self.objects, 'object')}, {size_text(self.nbytes)}," if self.objects else "no object"
        verb = "are" if self.objects > 1 else "is"
        return "\n".join([f"{subject}: {done} {verb} freed.", *self.still])


def free(options: FreeOptions, session: Session) -> Freed:
    """Forget names, wait until their objects are gone, and tell."""
    client = need_cluster()
    holdings = Holdings(client)
    names, wanted = _meant(options.what, session, holdings)
    sizes = {oid: size_of(entry.value) for oid in wanted if (entry := client.machine.objects.entries.get(oid))}
    gone = [name for name in names if session.namespace.pop(name, session) is not session]

    def unwanted(value: Any) -> bool:
        return any(oid in wanted for oid in holdings.of(value))

    output = _OUTPUT.fullmatch(options.what)
    gone += session.history.forget(unwanted)
    if options.what == "out":
        gone += session.history.forget(lambda value: True)
    elif output and not wanted:
        raise OptionError(f"`{options.what}` holds nothing of the cluster's")
    left = _left(client, wanted)
    if left:
        session.history.forget_errors()
        gc.collect()
        left = _left(client, wanted)
    holders = held_by(session.namespace, client, session.history)
    still = [_still(oid, holders.get(oid, []), client) for oid in left]
    freed = [oid for oid in sizes if oid not in left]
    return Freed(list(dict.fromkeys(gone)), len(freed), sum(sizes[oid] for oid in freed), still[:NAMES_SHOWN])


def _meant(what: str, session: Session, holdings: Holdings) -> tuple[list[str], set[bytes]]:
    """Variables to be deleted, and the objects to be let go of."""
    namespace = session.namespace
    if what == "out":
        kept = [*namespace.get("Out", {}).values(), *(value for _, value in session.history.held())]
        return [], {oid for value in kept for oid in holdings.of(value)}
    if what.isidentifier() and what in namespace and not _OUTPUT.fullmatch(what):
        return [what], set(holdings.of(namespace[what]))
    if _OUTPUT.fullmatch(what):
        try:
            return [], set(holdings.of(session.evaluate(what)))
        except Exception:
            raise OptionError(f"there is no `{what}`") from None
    wanted = {oid for oid, _ in resolve(what, session).objects}
    return [name for name, value in _variables(session) if wanted.issuperset(holdings.itself(value) or {b""})], wanted


def _variables(session: Session) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in users_names(session.namespace) if name.isidentifier())


def _left(client: Client, wanted: set[bytes]) -> list[bytes]:
    """Those that are still there once the client has handled what was said so far."""
    client.flush_events()
    entries = client.machine.objects.entries
    return [oid for oid in wanted if oid in entries]


def _still(oid: bytes, names: list[str], client: Client) -> str:
    """Who holds an object that is not gone."""
    entry = client.machine.objects.entries.get(oid)
    holders = names[:NAMES_SHOWN]
    if entry is not None:
        if entry.local and not names:
            holders.append("a reference inside something that was not looked into (an object, a nested container)")
        if entry.pins:
            holders.append(f"{count(entry.pins, 'task')} that use{'s' * (entry.pins == 1)} it")
        if entry.borrowers:
            others = len(entry.borrowers)
            holders.append(f"{others} other process{'es' * (others > 1)} (an actor, a task's worker)")
    return f"{short_task(oid.hex())} is still held by {_listed(holders) or 'a task that has just ended'}."


def _listed(names: list[str]) -> str:
    if len(names) <= NAMES_SHOWN:
        return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
    return f"{', '.join(names[:NAMES_SHOWN])} and {len(names) - NAMES_SHOWN} more"
