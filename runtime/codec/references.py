"""Which references to objects lie inside the value that is being packed right now.

A reference reports itself from its ``__reduce__``; whoever packs collects. Each thread collects on its own, and a pack
inside a pack (a ``__reduce__`` of the user's that packs something itself) collects on its own, too.
"""

from __future__ import annotations

import threading

from raynb.runtime.messages.values import RefInfo


class Found:
    """The references inside one value.

    Attributes
    ----------
    refs
        In the order in which they were met, each object once.
    holders
        What keeps those references counted until the packer has counted them itself.
    """

    __slots__ = ("_outer", "_seen", "holders", "refs")

    def __init__(self) -> None:
        self.refs: list[RefInfo] = []
        self.holders: list[object] = []
        self._seen: set[bytes] = set()
        self._outer: Found | None = None

    def __enter__(self) -> Found:
        self._outer = _collector.found
        _collector.found = self
        return self

    def __exit__(self, *exception: object) -> None:
        _collector.found = self._outer

    def add(self, oid: bytes, owner: str, holder: object) -> None:
        if holder is not None:
            self.holders.append(holder)
        if oid not in self._seen:
            self._seen.add(oid)
            self.refs.append(RefInfo(oid, owner))


class _Collector(threading.local):
    found: Found | None = None


_collector = _Collector()


def note_reference(oid: bytes, owner: str, holder: object = None) -> bool:
    """Report a reference that is being pickled.

    Parameters
    ----------
    oid, owner
        The object, and the address of the process that owns it.
    holder
        Anything that must stay alive until the packer has taken the references over: the reference object itself,
        say, which may exist only while it is pickled.

    Returns
    -------
    bool
        False if nobody packs here: somebody calls ``pickle`` by hand, and nobody will count this reference.
    """
    found = _collector.found
    if found is None:
        return False
    found.add(oid, owner, holder)
    return True


def collect_references() -> Found:
    """Use as ``with collect_references() as found``: collects what this thread notes within, and nothing else."""
    return Found()
