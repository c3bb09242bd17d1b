from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from raynb.runtime.adapters import disk_reads
from raynb.runtime.adapters.disk_reads import DiskReads
from raynb.runtime.adapters.shared_memory import Segment, SegmentMap
from raynb.runtime.codec.layout import object_size, write_object
from raynb.runtime.codec.values import pack
from raynb.runtime.messages.values import Stored
from tests.support.disks import damage
from tests.support.waiting import wait_until

NAME = "spill-1"
OTHER = np.arange(100_000)


class Disk:
    """A segment with two objects, one behind the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.maps = SegmentMap("unused", f"{folder}/")
        self.reads = DiskReads(self.maps)
        self.places: list[Stored] = []
        Segment.create(f"{folder}/", NAME, 16 * 2**20)
        offset = 0
        for number, value in enumerate((np.full(500_000, 7), OTHER)):
            packed, oid = pack(value), bytes([number]) * 28
            size = object_size(packed)
            write_object(self.maps.write_view(NAME, offset, size), oid, 1, packed, on_disk=True)
            self.places.append(Stored(oid, "owner", "node", NAME, offset, size))
            offset += size


@pytest.fixture(params=["mapped", "read"])
def disk(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    if request.param == "read":  # as where the kernel can't read a map ahead
        monkeypatch.setattr(SegmentMap, "read_whole", lambda self, segment, offset, size: None)
    found = Disk(tmp_path)
    yield found
    found.reads.close()
    found.maps.close()


def test_what_is_whole_has_no_problem_and_is_read_once(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    honest = disk_reads.content_checksum
    monkeypatch.setattr(disk_reads, "content_checksum", lambda pieces: looks.append(1) or honest(pieces))
    assert [disk.reads.problem(place) for place in disk.places * 2] == [""] * 4
    assert len(looks) == 2


def test_what_is_damaged_is_told_each_time_and_others_are_not(disk: Disk) -> None:
    path = damage(disk.folder, np.full(1000, 7).tobytes())
    for _ in range(2):
        assert disk.reads.problem(disk.places[0]) == f"its bytes in {path} are not those that were written there"
    assert disk.reads.problem(disk.places[1]) == ""


@pytest.mark.parametrize("kept", [0, 100, 192, 100_000])
def test_a_file_that_ends_too_early_is_a_problem(disk: Disk, kept: int) -> None:
    os.truncate(disk.folder / NAME, kept)
    assert "can't be read: it ends" in disk.reads.problem(disk.places[0])


def test_a_file_that_is_gone_is_a_problem(disk: Disk) -> None:
    (disk.folder / NAME).unlink()
    assert f"{disk.folder / NAME} can't be read: No such file" in disk.reads.problem(disk.places[0])


def test_what_is_read_ahead_is_not_read_again(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    honest = disk_reads.content_checksum
    name = threading.current_thread
    monkeypatch.setattr(disk_reads, "content_checksum", lambda pieces: names.append(name().name) or honest(pieces))
    disk.reads.ahead(disk.places)
    wait_until(lambda: len(names) == 2)
    assert [disk.reads.problem(place) for place in disk.places] == ["", ""]
    assert names == ["raynb-disk"] * 2


def test_who_comes_meanwhile_waits_and_after_an_interrupt_looks_itself(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, interrupt = threading.Event(), threading.Event()
    honest = disk_reads.content_checksum

    def slow(pieces: Iterator[memoryview]) -> int:
        begun.set()
        assert interrupt.wait(20)
        monkeypatch.setattr(disk_reads, "content_checksum", honest)
        raise KeyboardInterrupt

    monkeypatch.setattr(disk_reads, "content_checksum", slow)
    ended: list[str] = []

    def first() -> None:
        with pytest.raises(KeyboardInterrupt):
            disk.reads.problem(disk.places[0])
        ended.append("first")

    def second() -> None:
        ended.append(disk.reads.problem(disk.places[0]))

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert begun.wait(20)
    threads[1].start()
    assert not ended
    interrupt.set()
    for thread in threads:
        thread.join(20)
    assert sorted(ended) == ["", "first"]


def test_what_is_known_of_many_objects_is_forgotten(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_reads, "KNOWN_MAX", 1)
    assert [disk.reads.problem(place) for place in disk.places * 3] == [""] * 6
    assert repr(disk.reads) == "<DiskReads of 1 objects>"
