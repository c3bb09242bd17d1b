"""Files and directories that are the user's alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from raynb.runtime.adapters.private_files import (
    UnsafePathError,
    open_private_directory,
    private_directory,
    read_private,
    write_aside,
)
from tests.runtime.state_backends import nothing_left


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_what_is_made_is_the_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        directory = private_directory(tmp_path / "d")
        write_aside(directory / "f", b"x")
    finally:
        os.umask(before)
    assert (mode(directory), mode(directory / "f")) == (0o700, 0o600)


def test_a_directory_that_is_there_already_is_kept(tmp_path: Path) -> None:
    (private_directory(tmp_path / "d") / "f").touch()
    private_directory(tmp_path / "d")
    assert (tmp_path / "d" / "f").exists()


def test_a_symlink_or_a_file_in_the_place_of_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    for name in ("link", "dangling", "file"):
        with nothing_left(), pytest.raises(UnsafePathError, match="symlink or not a directory"):
            private_directory(tmp_path / name)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("open_to", [0o010, 0o001, 0o040, 0o004, 0o020, 0o002], ids=oct)
def test_a_directory_that_others_can_enter_is_refused_with_the_remedy(tmp_path: Path, open_to: int) -> None:
    path = private_directory(tmp_path / "d")
    path.chmod(0o700 | open_to)
    with nothing_left(), pytest.raises(UnsafePathError, match="chmod 700"):
        private_directory(path)


def test_a_directory_that_others_could_replace_is_refused(tmp_path: Path) -> None:
    parent = private_directory(tmp_path / "parent")
    path = private_directory(parent / "d")
    parent.chmod(0o777)
    with nothing_left(), pytest.raises(UnsafePathError, match="sticky"):
        private_directory(path)
    parent.chmod(0o1777)
    os.close(open_private_directory(path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = private_directory(tmp_path / "d")
    os.chown(path, 12345, -1)
    with nothing_left(), pytest.raises(UnsafePathError, match="belongs to user 12345"):
        private_directory(path)


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_aside(path, b"old")
    with open(path, "rb") as reader:
        write_aside(path, b"new and longer")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new and longer"
    assert os.listdir(tmp_path) == ["f"]


def test_writing_over_a_symlink_replaces_the_link_and_not_its_target(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"theirs")
    (tmp_path / "f").symlink_to(tmp_path / "target")
    write_aside(tmp_path / "f", b"ours")
    assert (tmp_path / "target").read_bytes() == b"theirs"
    assert not (tmp_path / "f").is_symlink()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_aside(tmp_path / "f", b"old")

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with nothing_left(), pytest.raises(OSError, match="No space"):
        write_aside(tmp_path / "f", b"new")
    assert os.listdir(tmp_path) == ["f"]
    assert (tmp_path / "f").read_bytes() == b"old"


def test_only_short_plain_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(b"x" * 11)
    (tmp_path / "link").symlink_to(tmp_path / "long")
    os.mkfifo(tmp_path / "pipe")
    for name in ("long", "link", "pipe"):
        with nothing_left(), pytest.raises(UnsafePathError):
            read_private(tmp_path / name, 10)
    with pytest.raises(FileNotFoundError):
        read_private(tmp_path / "missing", 10)
    assert read_private(tmp_path / "long", 11) == b"x" * 11
