"""`%raynb why REF`: why a value is not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from raynb.magics.amounts import size
from raynb.magics.arguments import Options, option
from raynb.magics.connected import has_value, need_cluster
from raynb.magics.history import History
from raynb.magics.holders import held_by, stored_sizes
from raynb.magics.session import Session
from raynb.magics.table import Table
from raynb.magics.targets import resolve
from raynb.runtime.client.client import Client
from raynb.runtime.client.inquiry import Inquiry
from raynb.runtime.client.why import Why

EACH_MAX = 20
NAMES_SHOWN = 3


@dataclass(frozen=True)
class WhyOptions(Options):
    """Say why a value is not there yet, and what to do about it.

    REF is a variable, an element of one (parts[3], Out[7]), an actor or its name, or an id from a table. Of a list of
    references, the reasons of its elements are counted.
    """

    usage: ClassVar[str] = "%raynb why REF"

    ref: str = field(
        metadata=option("a reference, an actor, or an id", metavar="REF", of="argument", complete="ref"),
    )


def with_names(found: Why, client: Client, namespace: Mapping[str, Any], history: History | None = None) -> Why:
    """Where the store is full: which names of the notebook hold most of it."""
    if found.kind != "store":
        return found
    sizes = stored_sizes(client)
    names = held_by(namespace, client, history)
    held = sorted(((sizes[oid], holders) for oid, holders in names.items() if oid in sizes), reverse=True)
    shown = [f"{', '.join(holders[:NAMES_SHOWN])} ({size(bytes)})" for bytes, holders in held[:NAMES_SHOWN]]
    return replace(found, fix=f"Here {'; '.join(shown)} hold most. {found.fix}") if shown else found


def why(options: WhyOptions, session: Session) -> Why | Table:
    """One sentence; of several references a row for each reason."""
    client = need_cluster()
    target = resolve(options.ref, session)
    inquiry = Inquiry(client)
    if target.actor_id:
        oid, owner = target.objects[0] if target.objects else (b"", "")
        return inquiry.actor(target.actor_id, oid, owner)
    if len(target.objects) == 1:
        return with_names(inquiry.object(*target.objects[0]), client, session.namespace, session.history)
    settled = {oid for oid, _ in target.objects if has_value(client, oid)}
    asked = [place for place in target.objects if place[0] not in settled][:EACH_MAX]
    reasons: dict[str, list[Why]] = {}
    for place in asked:
        found = inquiry.object(*place)
        reasons.setdefault(found.sentence, []).append(found)
    rows = [[len(each), each[0].sentence, each[0].fix] for each in reasons.values()]
    waiting = len(target.objects) - len(settled)
    notes = [f"Of {waiting:,} that have no value the first {EACH_MAX} were asked." if waiting > EACH_MAX else ""]
    title = f"{options.ref}: {waiting:,} of {len(target.objects):,} have no value yet"
    return Table(title, ("how many", "why", "what to do"), rows, numbers=("how many",), notes=notes)
