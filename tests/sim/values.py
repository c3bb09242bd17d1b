"""What stands for a value, an argument list and a reference in the simulation.

A value is a number that says which one it is, and the references inside it. So whoever reads an object can tell
whether it is the right one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from raynb.runtime.messages.values import RefInfo
from tests.sim.show import name_id

if TYPE_CHECKING:
    from tests.sim.client import SimClient


class Handle(Struct, frozen=True, array_like=True):
    """What a pickled actor handle says beside its reference (or instead of one)."""

    actor_id: bytes
    cls: int
    retries: int
    counted: bool
    """Whether a reference goes with it; a handle obtained by name has none."""


class Content(Struct, frozen=True, array_like=True):
    """A value as bytes: its number; for each reference inside, the handle that it belongs to, or None."""

    token: int
    handles: list[Handle | None] = []


class CallContent(Struct, frozen=True, array_like=True):
    """The pickled arguments of a call.

    Attributes
    ----------
    label
        Which call of the workload it is: the same in each attempt.
    function
        Number of the workload's function that has to run.
    handles, refs
        Of the references inside the arguments.
    order
        Counts the calls of this caller to this actor.
    depth
        How many calls stand above it.
    """

    label: int
    function: int
    handles: list[Handle | None] = []
    refs: list[RefInfo] = []
    order: int = 0
    depth: int = 0


_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode
decode_content = msgspec.msgpack.Decoder(Content).decode
decode_call = msgspec.msgpack.Decoder(CallContent).decode


class Ref:
    """A counted reference that a thread holds: an `ObjectRef`. It is let go by `drop`, once.

    ``handle`` is not None where it is an actor's.
    """

    __slots__ = ("client", "handle", "held", "oid", "owner")

    def __init__(self, client: SimClient, oid: bytes, owner: str, handle: Handle | None = None) -> None:
        self.client = client
        self.oid = oid
        self.owner = owner
        self.handle = handle
        self.held = bool(oid)
        if oid:
            client.oracle.held(oid, client.address)

    def __repr__(self) -> str:
        return f"<Ref {name_id(self.oid)} of {self.owner}>"

    def drop(self) -> None:
        """``__del__``: an append to the inbox, nothing else."""
        if self.held:
            self.held = False
            self.client.drop(self.oid)


def rebuild(client: SimClient, info: RefInfo, handle: Handle | None) -> Ref:
    """What unpickling a reference does."""
    from raynb.runtime.core.inbox import Retain

    if handle is not None and not handle.counted:
        return Ref(client, b"", "", handle)
    client.post(Retain(info.oid, info.owner))
    return Ref(client, info.oid, info.owner, handle)


def number(*parts: int) -> int:
    """A number that belongs to these alone (nearly), the same in each run."""
    return hash(parts) & 0x7FFF_FFFF_FFFF_FFFF


def describe(refs: list[Ref]) -> tuple[list[Handle | None], list[RefInfo] | None]:
    """How references go into a value."""
    handles: list[Handle | None] = [ref.handle for ref in refs]
    infos = [RefInfo(ref.oid, ref.owner) for ref in refs if ref.oid]
    return handles, infos or None


def unpack_refs(client: SimClient, handles: list[Handle | None], refs: list[Any] | None) -> list[Ref]:
    """Make the references of a value again, in their order."""
    infos = iter(refs or ())
    made: list[Ref] = []
    for handle in handles:
        bare = handle is not None and not handle.counted
        made.append(Ref(client, b"", "", handle) if bare else rebuild(client, next(infos), handle))
    return made
