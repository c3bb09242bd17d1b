from __future__ import annotations

import ctypes
import random
import threading
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from raynb.runtime.codec import layout
from raynb.runtime.codec.copying import RELEASE_BYTES_MIN, TWO_THREADS_BYTES_MIN, copy_bytes
from raynb.runtime.codec.errors import CorruptObjectError
from raynb.runtime.codec.layout import (
    HEADER_BYTES,
    NO_CHECKSUM,
    adopt_object,
    aligned,
    content_checksum,
    object_size,
    read_object,
    stored_checksum,
    walk_extent,
    write_object,
)
from raynb.runtime.codec.pinned import address_of
from raynb.runtime.codec.values import pack
from raynb.runtime.messages.objects import SealedObject

OID = b"o" * 28
OTHER = b"p" * 28
OWNER = "ipc:///tmp/raynb-1000/session/p/0123456789abcdef"


def memory(size: int) -> memoryview:
    """Dirty, and aligned as shared memory is."""
    array = np.random.default_rng(1).integers(0, 256, size + 64, dtype=np.uint8)
    start = -array.__array_interface__["data"][0] % 64
    return array.data[start : start + size]


def written(value: object, oid: bytes = OID, grant: int = 7) -> memoryview:
    packed = pack(value)
    view = memory(object_size(packed))
    write_object(view, oid, grant, packed, OWNER)
    return view.toreadonly()


@pytest.mark.parametrize(
    "value",
    [1, "x", b"y" * 200_000, None, [1, "a"], {"k": np.arange(3)}, np.array(1.5), np.zeros((0, 4)), np.zeros(70_000)],
    ids=repr,
)
def test_what_is_written_can_be_read(value: object) -> None:
    np.testing.assert_equal(read_object(written(value), OID), value)


def lies_in(address: int, view: memoryview) -> bool:
    start = address_of(view)
    return start <= address < start + view.nbytes


def test_arrays_are_views_of_the_memory_aligned_and_read_only() -> None:
    value = {"a": np.arange(999, dtype=np.uint8).repeat(3), "b": [np.arange(5000.0), np.arange(6000)[::2]]}
    view = written(value)
    result = read_object(view, OID)
    for array in (result["a"], *result["b"]):
        address = array.__array_interface__["data"][0]
        assert lies_in(address, view) and address % 64 == 0 and not array.flags.writeable


def test_tables_and_frames_are_views_of_the_memory() -> None:
    n = 50_000
    view = written(pa.table({"n": np.arange(n), "s": ["ab", "c"] * (n // 2), "d": pa.array(["x", "y"] * (n // 2))}))
    table = read_object(view, OID)
    buffers = [buffer for column in table.columns for chunk in column.chunks for buffer in chunk.buffers() if buffer]
    assert len(buffers) >= 5
    assert all(lies_in(buffer.address, view) for buffer in buffers)
    frame = pd.DataFrame({"n": np.arange(n), "f": np.linspace(0, 1, n), "s": ["ab", "c"] * (n // 2)})
    view = written(frame)
    result = read_object(view, OID)
    assert result.equals(frame)
    for name in ("n", "f"):
        assert lies_in(result[name].to_numpy().__array_interface__["data"][0], view)


def test_another_object_than_the_expected_one_is_not_read() -> None:
    with pytest.raises(CorruptObjectError, match="not where it was said to be"):
        read_object(written(1), OTHER)


def test_a_view_that_ends_too_early_is_not_read() -> None:
    view = written(np.arange(1000))
    for size in (0, 8, 191, 192, 200, view.nbytes - 64):
        with pytest.raises(CorruptObjectError):
            read_object(view[:size], OID)


def test_an_object_that_was_not_finished_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = pack(np.arange(100_000))
    view = memory(object_size(packed))

    def dies(to: memoryview, source: memoryview) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(layout, "copy_bytes", dies)
    with pytest.raises(KeyboardInterrupt):
        write_object(view, OID, 7, packed)
    with pytest.raises(CorruptObjectError, match="unfinished"):
        read_object(view, OID)
    assert list(walk_extent(view, 7)) == []


def test_a_header_with_any_bit_wrong_is_not_believed() -> None:
    view = memoryview(bytearray(written([np.arange(300), np.arange(400)])))
    table_end = layout.HEADER_BYTES + 2 * 16
    checked = [*range(188), *range(layout.HEADER_BYTES, table_end)]
    for at in checked:
        view[at] ^= 4
        with pytest.raises(CorruptObjectError):
            read_object(view, OID)
        view[at] ^= 4
    read_object(view, OID)


def test_the_size_must_be_exact_and_the_owner_short() -> None:
    packed = pack(1)
    with pytest.raises(ValueError, match="does not go into"):
        write_object(memory(64), OID, 1, packed)
    with pytest.raises(ValueError, match="owner's address"):
        write_object(memory(object_size(packed)), OID, 1, packed, "x" * 117)


def test_sizes_are_multiples_of_64() -> None:
    for value in (1, "abc", np.arange(100), [np.arange(1000, dtype=np.uint8)] * 3):
        size = object_size(pack(value))
        assert size % 64 == 0 and size == aligned(size)


# -- objects from elsewhere


def test_what_was_copied_from_elsewhere_bears_the_grant_that_it_lies_in_here() -> None:
    original = written([np.arange(10_000), "text"], grant=7)
    copy = memory(original.nbytes)
    copy[:] = original
    adopt_object(copy, OID, 99)
    assert [found.grant for found in walk_extent(copy, 99)] == [99]
    assert list(walk_extent(copy, 7)) == []
    assert read_object(copy.toreadonly(), OID)[1] == "text"


def test_what_is_not_the_object_or_not_all_of_it_is_not_adopted() -> None:
    original = written(np.arange(10_000))
    copy = memory(original.nbytes)
    copy[:] = original
    with pytest.raises(CorruptObjectError, match="not object"):
        adopt_object(copy, OTHER, 99)
    with pytest.raises(CorruptObjectError, match="not all of it"):
        adopt_object(copy[:-64], OID, 99)
    copy[:8] = b"raynbobj"
    with pytest.raises(CorruptObjectError, match="not all of it"):
        adopt_object(copy, OID, 99)


# -- walking what a dead client left


def extent(*values: Any, grant: int = 7) -> tuple[memoryview, list[SealedObject]]:
    view = memory(1 << 20)
    found = []
    at = 0
    for i, value in enumerate(values):
        packed = pack(value)
        size = object_size(packed)
        oid = bytes([i]) * 28
        write_object(view[at : at + size], oid, grant, packed, OWNER)
        found.append(SealedObject(oid, OWNER, grant, 4096 + at, size))
        at += size
    return view, found


def test_all_objects_of_a_grant_are_found() -> None:
    view, made = extent(1, np.arange(10_000), "text", [np.arange(500)] * 3)
    assert list(walk_extent(view, 7, 4096)) == made
    for found in made:
        read_object(view[found.offset - 4096 :][: found.size], found.oid)


def test_objects_of_an_earlier_grant_are_passed_over() -> None:
    view, _ = extent(1, np.arange(10_000), "text", 2, 3, 4)
    packed = pack("new")
    write_object(view[: object_size(packed)], OID, 8, packed, OWNER)
    assert [found.oid for found in walk_extent(view, 8)] == [OID]
    assert list(walk_extent(view, 9)) == []


def test_objects_behind_a_place_that_was_never_written_are_found() -> None:
    view, made = extent(1, np.arange(10_000), "text")
    size = made[0].size
    view[:size] = random.Random(1).randbytes(size)
    assert list(walk_extent(view, 7, 4096)) == made[1:]


def test_objects_inside_the_data_of_an_object_are_not_taken_for_objects() -> None:
    inner, _ = extent("inner", grant=7)
    view, made = extent(bytes(inner[:65536]), "next", grant=7)
    assert list(walk_extent(view, 7, 4096)) == made


def test_no_memory_whatever_breaks_the_walk() -> None:
    draw = random.Random(5)
    for _ in range(50):
        view, _made = extent(1, np.arange(2000), "text")
        for _ in range(40):
            view[draw.randrange(20_000)] = draw.randrange(256)
        for found in walk_extent(view, 7):
            assert found.offset % 64 == 0 and found.offset + found.size <= view.nbytes


# -- copying


@pytest.mark.parametrize("size", [0, 1, RELEASE_BYTES_MIN - 1, RELEASE_BYTES_MIN, TWO_THREADS_BYTES_MIN + 12_345])
def test_bytes_are_copied_and_not_one_more(size: int) -> None:
    source = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    target = np.zeros(size + 2, dtype=np.uint8)
    copy_bytes(target.data[1:-1], source.data.toreadonly())
    assert (target[1:-1] == source).all()
    assert target[0] == target[-1] == 0


def test_a_copy_works_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    source = bytes(range(256)) * (TWO_THREADS_BYTES_MIN // 256)
    target = bytearray(TWO_THREADS_BYTES_MIN)
    copy_bytes(memoryview(target), memoryview(source))
    assert target == source


def test_a_copy_that_is_interrupted_writes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, here = threading.Event(), threading.Event()
    main = threading.current_thread()
    real = ctypes.memmove

    def memmove(*where: int) -> None:
        if threading.current_thread() is main:
            here.set()
            assert begun.wait(10)
            raise KeyboardInterrupt
        begun.set()
        assert here.wait(10)  # else it might copy all pieces before the main thread takes one
        real(*where)

    monkeypatch.setattr(ctypes, "memmove", memmove)
    source = bytes(2 * TWO_THREADS_BYTES_MIN)
    with pytest.raises(KeyboardInterrupt):
        copy_bytes(memoryview(bytearray(len(source))), memoryview(source))
    assert not [thread for thread in threading.enumerate() if thread.name == "raynb-copy"]


def test_a_copy_that_does_not_fit_or_may_not_be_is_refused() -> None:
    source = memoryview(bytes(RELEASE_BYTES_MIN))
    with pytest.raises(ValueError, match="do not go into"):
        copy_bytes(memoryview(bytearray(RELEASE_BYTES_MIN - 1)), source)
    with pytest.raises(ValueError, match="read-only"):
        copy_bytes(memoryview(bytes(RELEASE_BYTES_MIN)), source)


def on_disk(value: object) -> memoryview:
    packed = pack(value)
    view = memory(object_size(packed))
    write_object(view, OID, 7, packed, OWNER, on_disk=True)
    return view


def test_what_lies_on_disk_has_a_checksum_and_what_lies_in_memory_none() -> None:
    view = on_disk(np.arange(100_000))
    assert stored_checksum(view) == content_checksum([view[HEADER_BYTES:1000], view[1000:]]) != NO_CHECKSUM
    assert stored_checksum(written(np.arange(100_000))) == NO_CHECKSUM


@pytest.mark.parametrize("to_disk", [False, True])
def test_what_a_disk_has_damaged_is_not_adopted(to_disk: bool) -> None:
    view = on_disk(np.arange(100_000))
    adopt_object(view, OID, 8, on_disk=to_disk)
    view[500_000] ^= 1
    with pytest.raises(CorruptObjectError, match="damaged on the disk that it came from"):
        adopt_object(view, OID, 9, on_disk=to_disk)


def test_what_comes_from_memory_to_disk_gets_a_checksum() -> None:
    packed = pack(np.arange(100_000))
    view = memory(object_size(packed))
    write_object(view, OID, 7, packed, OWNER)
    adopt_object(view, OID, 8, on_disk=True)
    assert stored_checksum(view) == content_checksum([view[HEADER_BYTES:]])
