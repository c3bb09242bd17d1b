from __future__ import annotations

import errno
import os
import secrets
import signal
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from raynb.runtime.adapters.shared_memory import (
    SHM_DIR,
    Mapping,
    Segment,
    SegmentMap,
    remove_segments,
    segment_path,
    store_capacity,
)
from raynb.runtime.codec.layout import object_size, read_object, walk_extent, write_object
from raynb.runtime.codec.values import pack
from tests.support.waiting import wait_until

MB = 1024 * 1024
OID = b"o" * 28


@pytest.fixture
def prefix() -> Iterator[str]:
    name = f"raynb-test-{secrets.token_hex(8)}-"
    yield name
    remove_segments(name)
    assert not list(Path(SHM_DIR).glob(f"{name}*"))


@pytest.fixture
def segment(prefix: str) -> Segment:
    return Segment.create(prefix, "1", 4 * MB)


def test_a_segment_is_private_and_all_there(segment: Segment) -> None:
    status = os.stat(segment.path)
    assert status.st_mode & 0o777 == 0o600
    assert (status.st_size, status.st_blocks * 512) == (4 * MB, 4 * MB)


def test_a_segment_is_never_made_over_another(prefix: str, segment: Segment) -> None:
    with pytest.raises(FileExistsError):
        Segment.create(prefix, "1", MB)
    assert os.stat(segment.path).st_size == 4 * MB


def test_a_segment_for_which_there_is_no_space_is_an_error_and_leaves_nothing(prefix: str) -> None:
    free = os.statvfs(SHM_DIR)
    with pytest.raises(OSError, match="No space left") as info:
        Segment.create(prefix, "huge", free.f_bavail * free.f_frsize + (1 << 40))
    assert info.value.errno == errno.ENOSPC
    assert not os.path.exists(segment_path(prefix, "huge"))


def test_a_segment_can_be_removed_twice(segment: Segment) -> None:
    segment.unlink()
    segment.unlink()
    assert not os.path.exists(segment.path)


def test_segments_can_be_elsewhere(tmp_path: Path) -> None:
    prefix = f"{tmp_path}/store-"
    made = Segment.create(prefix, "1", MB)
    assert made.path == f"{tmp_path}/store-1"
    SegmentMap(prefix).write_view("1", 0, 3)[:] = b"abc"
    assert (tmp_path / "store-1").read_bytes()[:3] == b"abc"
    assert remove_segments(prefix) == MB


def test_what_one_client_writes_another_reads(prefix: str, segment: Segment) -> None:
    writer, reader = SegmentMap(prefix), SegmentMap(prefix)
    value = {"a": np.arange(100_000), "b": "text"}
    packed = pack(value)
    size = object_size(packed)
    write_object(writer.write_view("1", 64, size), OID, 1, packed)
    result = read_object(reader.read_view("1", 64, size), OID)
    np.testing.assert_equal(result, value)


def test_what_is_read_cannot_be_written(prefix: str, segment: Segment) -> None:
    view = SegmentMap(prefix).read_view("1", 0, 100)
    with pytest.raises(TypeError, match="read-only"):
        view[0] = 1
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        np.frombuffer(view, np.uint8).flags.writeable = True


def test_memory_that_is_read_is_mapped_for_reading_only(prefix: str, segment: Segment) -> None:
    maps = SegmentMap(prefix)
    view = maps.read_view("1", 0, 100)
    (line,) = [line for line in Path("/proc/self/maps").read_text().splitlines() if segment.path in line]
    assert line.split()[1] == "r--s"
    del view


@pytest.mark.parametrize(("offset", "size"), [(-64, 64), (0, 4 * MB + 1), (4 * MB, 1), (1 << 60, 1), (0, -1)])
def test_what_does_not_lie_in_a_segment_is_refused(prefix: str, segment: Segment, offset: int, size: int) -> None:
    maps = SegmentMap(prefix)
    with pytest.raises(ValueError, match="do not lie in"):
        maps.read_view("1", offset, size)
    if size >= 0:
        with pytest.raises(ValueError, match="do not lie in"):
            maps.write_view("1", offset, max(size, 2 * MB))
        with pytest.raises(ValueError, match="do not lie in"):
            maps.write_view("1", offset, size)


def test_a_segment_that_is_gone_is_said_to_be(prefix: str) -> None:
    with pytest.raises(FileNotFoundError):
        SegmentMap(prefix).read_view("nowhere", 0, 1)


def test_a_link_in_a_segments_place_is_not_followed(prefix: str, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"x" * 4096)
    os.symlink(tmp_path / "other", segment_path(prefix, "link"))
    with pytest.raises(OSError, match="symbolic"):
        Mapping(segment_path(prefix, "link"), False)
    os.unlink(segment_path(prefix, "link"))


class Pin:
    """Something whose end can be seen."""


def mapped(segment: Segment) -> int:
    return Path("/proc/self/maps").read_text().count(segment.path)


def test_a_pin_and_a_map_live_until_the_last_array_is_gone(prefix: str, segment: Segment) -> None:
    maps = SegmentMap(prefix)
    packed = pack([np.arange(1000), np.arange(2000)])
    size = object_size(packed)
    write_object(maps.write_view("1", 0, size), OID, 1, packed)
    pin = Pin()
    alive = weakref.ref(pin)
    result = read_object(maps.read_view("1", 0, size, pin), OID)
    del pin
    maps.close()
    kept = result[1][5:]
    del result
    assert alive() is not None and mapped(segment) == 1
    assert kept[0] == 5
    del kept
    assert alive() is None and mapped(segment) == 0


def test_a_map_goes_with_its_segment_when_nobody_views_it(prefix: str, segment: Segment) -> None:
    maps = SegmentMap(prefix)
    view = maps.read_view("1", 0, 10)
    maps.write_view("1", 0, 10)
    assert maps.sweep() == 0
    segment.unlink()
    assert maps.sweep() == 2
    assert maps.statistics()["read_segments"] == maps.statistics()["write_segments"] == 0
    assert mapped(segment) == 1
    assert view.tobytes() == bytes(10)
    del view
    assert mapped(segment) == 0


def test_threads_share_one_map(prefix: str, segment: Segment) -> None:
    maps = SegmentMap(prefix)
    barrier = threading.Barrier(8)
    seen = []

    def use() -> None:
        barrier.wait()
        seen.append(maps.read_view("1", 0, 64))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8 and mapped(segment) == 1


def test_maps_hold_no_descriptors_but_one_each(prefix: str, segment: Segment) -> None:
    before = len(os.listdir("/proc/self/fd"))
    maps = SegmentMap(prefix)
    for _ in range(20):
        maps.read_view("1", 0, 64)
        maps.write_view("1", 0, 2 * MB)
    assert len(os.listdir("/proc/self/fd")) <= before + 2
    maps.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_a_killed_writer_had_finished_is_found_and_whole(prefix: str) -> None:
    made = Segment.create(prefix, "1", 64 * MB)
    script = """
        import sys
        import numpy as np
        from raynb.runtime.adapters.shared_memory import SegmentMap
        from raynb.runtime.codec.layout import object_size, write_object
        from raynb.runtime.codec.values import pack

        maps = SegmentMap(sys.argv[1])
        print("begin", flush=True)
        at = number = 0
        while True:
            packed = pack(np.full(40_000 + number, number))
            size = object_size(packed)
            if at + size > 64 << 20:
                at, number = 0, number + 1
                continue
            write_object(maps.write_view("1", at, size), number.to_bytes(28, "big"), 5, packed, "ipc://o")
            at, number = at + size, number + 1
    """
    command = [sys.executable, "-c", textwrap.dedent(script), prefix]
    maps = SegmentMap(prefix)
    view = maps.read_view("1", 0, made.size)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == b"begin\n"
        wait_until(lambda: len(list(walk_extent(view, 5))) > 20)
        writer.send_signal(signal.SIGKILL)
    found = list(walk_extent(view, 5))
    assert len(found) > 20
    for sealed in found:
        number = int.from_bytes(sealed.oid, "big")
        array = read_object(view[sealed.offset : sealed.offset + sealed.size], sealed.oid)
        assert len(array) == 40_000 + number and (array == number).all()


def test_only_the_segments_of_one_node_are_removed(prefix: str, segment: Segment) -> None:
    other = Segment.create(f"other-{prefix}", "1", MB)
    assert remove_segments(prefix) == 4 * MB
    assert os.path.exists(other.path)
    other.unlink()


# -- how large a store may be


def test_a_store_gets_its_share_of_the_memory(tmp_path: Path) -> None:
    home = store_capacity(0.3, 100 * MB, str(tmp_path))
    assert (home.capacity_bytes, home.directory, home.note) == (30 * MB, SHM_DIR, "")


def free_bytes(directory: str) -> int:
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize


def test_a_shared_memory_that_is_nearly_large_enough_is_used_with_a_note(tmp_path: Path) -> None:
    free = free_bytes(SHM_DIR)
    home = store_capacity(1.0, int(free * 1.2), str(tmp_path))
    assert home.directory == SHM_DIR and home.capacity_bytes < free
    assert "instead of" in home.note


def test_a_small_shared_memory_is_noticed_and_files_are_used_aloud(tmp_path: Path) -> None:
    home = store_capacity(0.5, 100 * MB, str(tmp_path), shm_dir="/proc")
    assert (home.capacity_bytes, home.directory) == (50 * MB, str(tmp_path))
    assert "slower" in home.note and "--shm-size=50m" in home.note
