"""The list of clusters: private, whole, cleaned of the dead, and clear about what is meant."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from raynb.runtime.adapters import registry
from raynb.runtime.adapters.private_files import UnsafePathError
from raynb.runtime.adapters.registry import (
    ClusterAmbiguousError,
    ClusterEntry,
    ClusterNotFoundError,
    clusters,
    find,
    forget,
    register,
    registry_directory,
    remember,
    started,
    unregister,
)
from raynb.runtime.adapters.session_dir import create_session
from tests.runtime.state_backends import nothing_left, short_directory

Directory = Path


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Directory]:
    with short_directory() as path, nothing_left():
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(path / "runtime"))
        yield path


def entry(cluster_id: str, session_dir: Path | str, **changes: object) -> ClusterEntry:
    fields: dict[str, object] = {
        "cluster_id": cluster_id,
        "name": f"{cluster_id}'s name",
        "session_dir": str(session_dir),
        "address": f"ipc://{cluster_id}/p/1",
        "gcs_address": f"ipc://{cluster_id}/p/2",
        "pid": 1,
        "python": sys.executable,
        "raynb_version": "0.1.0",
        "protocol_version": 1,
        "started_at": 1.0,
    }
    return msgspec.convert(fields | changes, ClusterEntry)


@contextlib.contextmanager
def living(directory: Directory, cluster_id: str, **changes: object) -> Iterator[ClusterEntry]:
    """A cluster whose session this process holds; registered."""
    session = create_session(str(directory), shared_memory=directory)
    try:
        made = entry(cluster_id, session.path, **changes)
        register(made)
        yield made
    finally:
        session.remove()


def test_a_registered_cluster_is_listed_as_it_is_until_it_is_unregistered(directory: Directory) -> None:
    assert clusters() == []
    with living(directory, "a", notebook="kernel-1") as made:
        assert clusters() == [made]
        unregister("a")
        unregister("a")
        assert clusters() == []


def test_registering_again_replaces_the_entry(directory: Directory) -> None:
    with living(directory, "a") as made:
        renamed = msgspec.structs.replace(made, name="renamed")
        register(renamed)
        assert clusters() == [renamed]


def test_the_list_is_below_jupyters_runtime_directory_and_the_users_alone(directory: Directory) -> None:
    before = os.umask(0)
    try:
        with living(directory, "a"):
            path = registry_directory()
            assert path == directory / "runtime" / "raynb" / "clusters"
            modes = [stat.S_IMODE(one.stat().st_mode) for one in (path.parent, path, path / "a.json")]
            assert modes == [0o700, 0o700, 0o600]
            assert os.listdir(path) == ["a.json"]
    finally:
        os.umask(before)


def test_a_list_that_others_can_write_to_is_refused(directory: Directory) -> None:
    with living(directory, "a") as made:
        registry_directory().chmod(0o770)
        with pytest.raises(UnsafePathError):
            clusters()
        with pytest.raises(UnsafePathError):
            register(made)


def test_a_list_behind_a_symlink_is_refused(directory: Directory) -> None:
    registry_directory().parent.mkdir(parents=True, mode=0o700)
    registry_directory().symlink_to(directory)
    with pytest.raises(UnsafePathError, match="symlink"):
        register(entry("a", directory))


def test_an_id_that_could_leave_the_directory_is_refused(directory: Directory) -> None:
    for bad in ("../a", "a/b", "", ".a", "a\0"):
        with pytest.raises(ValueError, match="no cluster id"):
            register(entry(bad, directory))


CLUSTER = """
import sys, time
from pathlib import Path
from raynb.runtime.adapters.registry import ClusterEntry, register
from raynb.runtime.adapters.session_dir import create_session

session = create_session(sys.argv[1], shared_memory=Path(sys.argv[1]))
register(ClusterEntry(
    cluster_id=session.name, name="", session_dir=str(session.path), address="", gcs_address="", pid=1,
    python="", raynb_version="", protocol_version=1, started_at=time.time(),
))
print(session.name, flush=True)
sys.stdin.read()
"""


def test_a_killed_cluster_disappears_from_the_list_and_from_the_disk(directory: Directory) -> None:
    with living(directory, "alive") as alive:
        argv = [sys.executable, "-c", CLUSTER, str(directory)]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            name = process.stdout.readline().decode().strip()
            assert [one.cluster_id for one in clusters()] == ["alive", name]
            process.kill()
        assert clusters() == [alive]
        assert os.listdir(registry_directory()) == ["alive.json"]


def test_an_entry_whose_session_was_here_and_is_gone_is_removed(directory: Directory) -> None:
    path = register(entry("a", directory / "gone"))
    assert clusters() == []
    assert not path.exists()


@pytest.mark.parametrize(
    "changes",
    [{"host": "another", "boot_id": "another"}, {"mount_namespace": "mnt:[1]"}],
    ids=["another machine", "another container"],
)
def test_an_entry_that_cannot_be_judged_from_here_is_neither_listed_nor_removed(
    directory: Directory, changes: dict[str, object]
) -> None:
    path = register(entry("a", directory / "elsewhere", **changes))
    assert clusters() == []
    assert path.exists()


def test_an_entry_from_before_this_machine_restarted_is_removed(directory: Directory) -> None:
    path = register(entry("a", directory / "gone", boot_id="the last one"))
    assert clusters() == []
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"cluster_id": 1}', b"\xff", b"x" * 100_000])
def test_a_file_that_is_no_entry_is_left_out_and_left_there(directory: Directory, content: bytes) -> None:
    with living(directory, "a") as made:
        strange = registry_directory() / "strange.json"
        strange.write_bytes(content)
        assert clusters() == [made]
        assert strange.exists()


def test_auto_is_this_notebooks_newest_cluster_else_the_only_one(directory: Directory) -> None:
    with pytest.raises(ClusterNotFoundError, match="no raynb cluster is running") as none:
        find("auto", notebook="n")
    assert none.value.clusters == []
    with living(directory, "a", notebook="n", started_at=3.0) as a:
        assert find("auto") == find("auto", notebook="n") == find("auto", notebook="other") == a
        with (
            living(directory, "b", notebook="n", started_at=2.0) as b,
            living(directory, "c", started_at=1.0) as c,
        ):
            assert find("auto", notebook="n") == a
            with pytest.raises(ClusterAmbiguousError) as several:
                find("auto", notebook="other")
            assert several.value.clusters == [c, b, a]
            for one in (a, b, c):
                assert str(one) in str(several.value)
            with pytest.raises(ClusterAmbiguousError):
                find("auto")


def test_the_cluster_that_was_started_last_is_remembered_while_it_runs(directory: Directory) -> None:
    assert started() is None
    with living(directory, "a") as first, living(directory, "b"):
        assert started() is None
        remember("b")
        remember("a")
        assert started() == first
        forget()
        forget()
        assert started() is None
        remember("a")
    assert started() is None, "it has ended"


def test_a_cluster_is_found_by_each_of_its_names(directory: Directory) -> None:
    with living(directory, "a") as a, living(directory, "b"):
        for name in ("a", "a's name", a.session_dir, "ipc://a/p/1", "ipc://a/p/2"):
            assert find(name) == a


def test_an_unknown_or_shared_name_is_a_connection_error_that_lists_what_runs(directory: Directory) -> None:
    with living(directory, "a", name="same") as a, living(directory, "b", name="same") as b:
        with pytest.raises(ClusterNotFoundError) as unknown:
            find("c")
        assert isinstance(unknown.value, ConnectionError)
        assert unknown.value.clusters == [a, b]
        with pytest.raises(ClusterAmbiguousError, match="called 'same'"):
            find("same")
        for nameless in ("", " "):
            with pytest.raises(ClusterNotFoundError):
                find(nameless)


RACER = """
import sys
from pathlib import Path
from raynb.runtime.adapters.registry import ClusterEntry, clusters, register, unregister
from raynb.runtime.adapters.session_dir import create_session

print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    session = create_session(sys.argv[1], shared_memory=Path(sys.argv[1]))
    entry = ClusterEntry(
        cluster_id="shared" if number % 2 else session.name, name="", session_dir=str(session.path), address="",
        gcs_address="", pid=1, python="", raynb_version="", protocol_version=1, started_at=0.0,
    )
    register(entry)
    if entry.cluster_id != "shared":
        assert entry in clusters(), "a living cluster was not listed"
    for known in clusters():
        assert known.protocol_version == 1
    if number % 3:
        unregister(entry.cluster_id)
    session.remove()
print("fine", flush=True)
"""


def test_processes_that_register_list_and_clean_at_once_never_lose_a_living_cluster(directory: Directory) -> None:
    argv = [sys.executable, "-c", RACER, str(directory)]
    with living(directory, "steady") as steady, contextlib.ExitStack() as stack:
        racers = [
            stack.enter_context(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)) for _ in range(3)
        ]
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == b"ready\n"
        ends = [racer.communicate(b"go\n")[0] for racer in racers]
        assert ends == [b"fine\n"] * 3
        assert clusters() == [steady]
        assert os.listdir(registry_directory()) == ["steady.json"]


def test_a_cleaner_does_not_remove_a_cluster_that_has_just_taken_a_dead_ones_place(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = register(entry("a", directory / "gone"))
    remove_dead = registry._remove_dead
    with contextlib.ExitStack() as stack:

        def restarted_meanwhile(folder: Path, file: Path) -> None:
            stack.enter_context(living(directory, "a"))
            remove_dead(folder, file)

        monkeypatch.setattr(registry, "_remove_dead", restarted_meanwhile)
        assert clusters() == []
        assert path.exists()
        assert len(clusters()) == 1


@pytest.mark.parametrize("moment", ["_is_alive", "write_aside"])
def test_nobody_else_writes_to_the_list_while_an_entry_is_judged_or_replaced(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    path = register(entry("a", directory / "gone"))
    real = getattr(registry, moment)
    free: list[bool] = []

    def look(*args: object) -> object:
        fd = os.open(registry_directory(), os.O_RDONLY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free.append(True)
        except BlockingIOError:
            free.append(False)
        finally:
            os.close(fd)
        return real(*args)

    monkeypatch.setattr(registry, moment, look)
    if moment == "_is_alive":
        registry._remove_dead(registry_directory(), path)
        assert not path.exists()
    else:
        register(entry("b", directory / "gone"))
    assert free == [False]


def test_listing_does_not_import_jupyter_before_it_is_needed() -> None:
    code = "import sys, raynb.runtime.adapters.registry; print('jupyter_core' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
