"""The SQLite store beyond the conformance suite: its file, its durability, and other processes."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from raynb.runtime.adapters.sqlite_store import SqliteStateStore
from raynb.runtime.ports.state_store import Loaded, Put, StateStoreError, StateStoreUnavailableError
from tests.runtime.state_backends import nothing_left

WRITER = """
import sys
from pathlib import Path
from raynb.runtime.adapters.sqlite_store import SqliteStateStore
from raynb.runtime.ports.state_store import Put

store = SqliteStateStore(Path(sys.argv[1]))
store.next_epoch()
number = 0
while True:
    number += 1
    store.apply([Put("t", b"%d" % row, b"%d" % number) for row in range(3)])
    print(number, flush=True)
"""


def test_a_writer_killed_in_the_middle_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        while (line := writer.stdout.readline()) != b"20\n":
            assert line, "the writer ended by itself"
        writer.kill()
        acknowledged = int((writer.stdout.read().split() or [b"20"])[-1])
    with nothing_left(), contextlib.closing(SqliteStateStore(path)) as store:
        store.next_epoch()
        rows = store.load("t").rows
        assert len(rows) == 3
        assert len({value for _, value in rows}) == 1, "a batch was torn"
        assert int(rows[0][1]) in (acknowledged, acknowledged + 1)
        assert store.losses() == ()


def test_all_its_files_are_the_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with contextlib.closing(SqliteStateStore(tmp_path / "state.sqlite")) as store:
            store.next_epoch()
            store.apply([Put("t", b"k", b"v")])
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert {"state.sqlite", "state.sqlite-wal"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_a_symlink_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").symlink_to(tmp_path / "elsewhere")
    with nothing_left(), pytest.raises(StateStoreError, match="can't open"):
        SqliteStateStore(tmp_path / "state.sqlite")
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_is_no_database_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    path.write_bytes(b"something else" * 1000)
    with nothing_left(), pytest.raises(StateStoreError, match="Remove it"):
        SqliteStateStore(path)


def test_a_damaged_page_costs_the_rows_on_and_after_it_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    with contextlib.closing(SqliteStateStore(path)) as store:
        store.next_epoch()
        store.apply([Put("t", b"%05d" % number, b"v" * 100) for number in range(1000)])
    with open(path, "r+b") as file:
        file.seek(12 * 4096)
        file.write(b"\xff" * 4096)
    with contextlib.closing(SqliteStateStore(path)) as store:
        loaded = store.load("t")
        assert len(loaded.rows) < 1000
        assert all(value == b"v" * 100 for _, value in loaded.rows)
        assert any("table t" in said for said in store.losses())


def test_another_process_that_holds_the_file_is_waited_for_no_longer_than_was_agreed(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    with contextlib.closing(SqliteStateStore(path, call_timeout_s=0.1)) as store:
        store.next_epoch()
        with contextlib.closing(SqliteStateStore(path)) as other:
            other._database.execute("BEGIN IMMEDIATE")
            with pytest.raises(StateStoreUnavailableError, match="locked"):
                store.apply([Put("t", b"k", b"v")])
            other._database.execute("ROLLBACK")
        store.apply([Put("t", b"k", b"v")])


def test_an_interrupted_batch_leaves_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    with contextlib.closing(SqliteStateStore(tmp_path / "state.sqlite")) as store:
        store.next_epoch()
        with pytest.raises(KeyboardInterrupt), store._transaction():
            store._database.execute("INSERT INTO state VALUES ('t', x'00', x'00')")
            raise KeyboardInterrupt
        store.apply([Put("t", b"k", b"v")])
        assert store.load("t") == Loaded([(b"k", b"v")], [])
