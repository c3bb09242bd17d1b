from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest

from raynb.runtime.codec.errors import SerializationError
from raynb.runtime.codec.references import collect_references, note_reference
from raynb.runtime.codec.values import SAFE_TYPES, pack
from raynb.runtime.messages.values import RefInfo

X, Y = b"x" * 28, b"y" * 28


class Ref:
    def __init__(self, oid: bytes) -> None:
        self.oid = oid

    def __reduce__(self) -> Any:
        self.noted = note_reference(self.oid, "ipc://o", self)
        return Ref, (self.oid,)


class PacksItself:
    """Packs a value of its own while it is packed."""

    def __reduce__(self) -> Any:
        inner = pack([Ref(Y)])
        assert inner.refs == [RefInfo(Y, "ipc://o")]
        return bytes, (inner.data,)


def test_references_inside_a_value_are_reported_once_each_in_order() -> None:
    packed = pack({"a": [Ref(X), Ref(Y)], "b": Ref(X)})
    assert packed.refs == [RefInfo(X, "ipc://o"), RefInfo(Y, "ipc://o")]


def test_references_live_as_long_as_what_was_packed() -> None:
    class MakesOne:
        def __reduce__(self) -> Any:
            return list, ([Ref(X)],)

    packed = pack(MakesOne())
    assert packed.holders is not None
    assert [type(holder) for holder in packed.holders] == [Ref]


def test_a_pack_inside_a_pack_has_its_own_references() -> None:
    packed = pack([Ref(X), PacksItself()])
    assert packed.refs == [RefInfo(X, "ipc://o")]


def test_a_pack_that_fails_leaves_nothing_behind() -> None:
    with pytest.raises(SerializationError):
        pack([Ref(X), (i for i in "")])
    assert pack([Ref(Y)]).refs == [RefInfo(Y, "ipc://o")]
    assert not note_reference(X, "ipc://o")


def test_a_reference_that_is_pickled_by_hand_is_told_that_nobody_counts_it() -> None:
    ref = Ref(X)
    pickle.dumps(ref)
    assert ref.noted is False


def test_threads_collect_on_their_own() -> None:
    noted = []
    with collect_references() as found:
        thread = threading.Thread(target=lambda: noted.append(note_reference(X, "ipc://o")))
        thread.start()
        thread.join()
    assert noted == [False] and found.refs == []


def test_types_that_are_said_to_be_safe_are_reported_as_well() -> None:
    SAFE_TYPES.add(Ref)
    try:
        assert pack((1, Ref(X))).refs == [RefInfo(X, "ipc://o")]
        assert pack(Ref(X)).refs == [RefInfo(X, "ipc://o")]
    finally:
        SAFE_TYPES.discard(Ref)
