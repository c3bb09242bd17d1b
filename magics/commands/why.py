"""`%raynb why REF`: why a value is not there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from raynb.magics.arguments import Options, option
from raynb.magics.connected import has_value, need_cluster
from raynb.magics.session import Session
from raynb.magics.table import Table
from raynb.magics.targets import resolve
from raynb.runtime.client.inquiry import Inquiry
from raynb.runtime.client.why import Why

EACH_MAX = 20


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


def why(options: WhyOptions, session: Session) -> Why | Table:
    """One sentence; of several references a row for each reason."""
    client = need_cluster()
    target = resolve(options.ref, session)
    inquiry = Inquiry(client)
    if target.actor_id:
        oid, owner = target.objects[0] if target.objects else (b"", "")
        return inquiry.actor(target.actor_id, oid, owner)
    if len(target.objects) == 1:
        return inquiry.object(*target.objects[0])
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
