"""The list of this user's clusters: a small file each below Jupyter's runtime directory.

A node manager registers its cluster when it can be joined, and unregisters it at its end. One that
was killed can't; so whoever reads the list leaves out, and removes, entries whose session nobody
holds any more (see `raynb.runtime.adapters.session_dir`). The directory may be in a home that
several machines or containers share: entries that can't be judged from here are not listed, and
not removed either.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from raynb.runtime.adapters.private_files import (
    UnsafePathError,
    open_private_directory,
    private_directory,
    read_private,
    write_aside,
)
from raynb.runtime.adapters.session_dir import is_held

_ENTRY_BYTES_MAX: Final = 64 * 1024
STARTED: Final = ".started"
"""The file with the id of the cluster that `raynb start` has started last."""
_CLUSTER_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_log = logging.getLogger(__name__)


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _mount_namespace() -> str:
    return os.readlink("/proc/self/ns/mnt")


class ClusterEntry(Struct, frozen=True, kw_only=True):
    """One cluster, as the registry knows it. How many nodes it has only its GCS knows.

    Attributes
    ----------
    cluster_id
        Letters, digits, ``_`` and ``-``.
    name
        For people; may be empty.
    session_dir
        Of the head node.
    address, gcs_address
        Endpoints of the head node's node manager and of the GCS.
    pid
        Of the node manager. For people: whether it lives is told by the session's lock.
    python
        The interpreter that the cluster was started with.
    started_at
        Wall-clock seconds since 1970, for people.
    notebook
        Kernel id, or whatever else names the notebook that started it; empty for ``raynb start``.
    host, boot_id, mount_namespace
        From where ``session_dir`` can be seen.
    """

    cluster_id: str
    name: str
    session_dir: str
    address: str
    gcs_address: str
    pid: int
    python: str
    raynb_version: str
    protocol_version: int
    started_at: float
    notebook: str = ""
    host: str = msgspec.field(default_factory=socket.gethostname)
    boot_id: str = msgspec.field(default_factory=_boot_id)
    mount_namespace: str = msgspec.field(default_factory=_mount_namespace)

    def __str__(self) -> str:
        named = f" {self.name!r}" if self.name else ""
        return f"{self.cluster_id}{named} at {self.address} (pid {self.pid}, {self.python})"


class ClusterLookupError(ConnectionError):
    """No cluster, or no single one, is what was asked for.

    Attributes
    ----------
    clusters : list[ClusterEntry]
        Those that there are, oldest first.
    """

    def __init__(self, words: str, clusters: Sequence[ClusterEntry]) -> None:
        self.clusters = list(clusters)
        super().__init__("\n".join([words, *(f"  {entry}" for entry in clusters)]))


class ClusterNotFoundError(ClusterLookupError, ValueError):
    """There is no such cluster: the address is no good."""


class ClusterAmbiguousError(ClusterLookupError):
    """Several clusters fit: name one."""


def registry_directory() -> Path:
    """Where the entries are: below Jupyter's runtime directory."""
    from jupyter_core.paths import jupyter_runtime_dir

    return Path(jupyter_runtime_dir()) / "raynb" / "clusters"


def register(entry: ClusterEntry, *, directory: Path | None = None) -> Path:
    """List a cluster, or replace its entry. Its session must be held already.

    Returns
    -------
    Path
        Its file.

    Raises
    ------
    ValueError
        The id can't name a file.
    UnsafePathError
        The directory is not the user's alone.
    """
    directory = directory or registry_directory()
    directory.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    private_directory(directory.parent)
    private_directory(directory)
    path = _path(directory, entry.cluster_id)
    with _locked(directory):
        write_aside(path, msgspec.json.format(msgspec.json.encode(entry)))
    return path


def unregister(cluster_id: str, *, directory: Path | None = None) -> None:
    """Take a cluster off the list. Idempotent."""
    with suppress(FileNotFoundError):
        _path(directory or registry_directory(), cluster_id).unlink()


def remember(cluster_id: str, *, directory: Path | None = None) -> None:
    """Have `started` give this cluster, until another one is remembered."""
    directory = directory or registry_directory()
    with _locked(directory):
        write_aside(directory / STARTED, cluster_id.encode())


def forget(*, directory: Path | None = None) -> None:
    """Have `started` give none. Idempotent."""
    with suppress(FileNotFoundError):
        ((directory or registry_directory()) / STARTED).unlink()


def started(*, directory: Path | None = None) -> ClusterEntry | None:
    """The cluster that was remembered last, if it runs."""
    directory = directory or registry_directory()
    try:
        cluster_id = read_private(directory / STARTED, _ENTRY_BYTES_MAX).decode(errors="replace")
    except (FileNotFoundError, UnsafePathError):
        return None
    return running(cluster_id, directory=directory)


def running(cluster_id: str, *, directory: Path | None = None) -> ClusterEntry | None:
    """The cluster of this id, if it runs."""
    return next((entry for entry in clusters(directory=directory) if entry.cluster_id == cluster_id), None)


def clusters(*, directory: Path | None = None) -> list[ClusterEntry]:
    """The clusters that run and can be reached from here, oldest first. Removes entries of dead ones.

    Raises
    ------
    UnsafePathError
        The directory is not the user's alone.
    """
    directory = directory or registry_directory()
    try:
        os.close(open_private_directory(directory))
    except FileNotFoundError:
        return []
    found: list[ClusterEntry] = []
    for path in sorted(directory.glob("[!.]*.json")):
        entry = _read(path)
        if entry is None:
            continue
        alive = _is_alive(entry)
        if alive:
            found.append(entry)
        elif alive is False:
            _remove_dead(directory, path)
    return sorted(found, key=lambda entry: (entry.started_at, entry.cluster_id))


def find(address: str, *, notebook: str = "", directory: Path | None = None) -> ClusterEntry:
    """The cluster that an address means.

    Parameters
    ----------
    address : str
        ``auto``: the one that ``notebook`` started, else the only one there is. Otherwise its id, its
        name, its session directory, or the endpoint of its node manager or GCS.
    notebook : str
        Who asks: what `ClusterEntry.notebook` has for clusters of the same notebook.

    Raises
    ------
    ClusterNotFoundError
        There is none. (A `ConnectionError`, as Ray's is.)
    ClusterAmbiguousError
        Several fit; the error lists them.
    """
    known = clusters(directory=directory)
    if address == "auto":
        own = _newest_of(notebook, known)
        fitting = [own] if own is not None else known
        if not fitting:
            raise ClusterNotFoundError("no raynb cluster is running: start one with init() or `raynb start --head`", [])
        question = "several clusters are running, and none of them is this notebook's"
    else:
        fitting = [entry for entry in known if address in _names(entry)]
        if not fitting:
            running = "these are running:" if known else "none is running"
            raise ClusterNotFoundError(f"there is no cluster {address!r}; {running}", known)
        question = f"several clusters are called {address!r}"
    if len(fitting) > 1:
        raise ClusterAmbiguousError(f"{question}: give the id of one as the address", fitting)
    return fitting[0]


def of_notebook(notebook: str, *, directory: Path | None = None) -> ClusterEntry | None:
    """The newest cluster that a notebook started and that runs; an empty name is no notebook's."""
    return _newest_of(notebook, clusters(directory=directory)) if notebook else None


def _newest_of(notebook: str, known: list[ClusterEntry]) -> ClusterEntry | None:
    # A restarted kernel may have left an older one.
    own = [entry for entry in known if notebook and entry.notebook == notebook]
    return own[-1] if own else None


def _names(entry: ClusterEntry) -> set[str]:
    names = {entry.cluster_id, entry.name, entry.session_dir, entry.address, entry.gcs_address}
    return names - {""}


def _path(directory: Path, cluster_id: str) -> Path:
    if not _CLUSTER_ID.fullmatch(cluster_id):
        raise ValueError(f"{cluster_id!r} is no cluster id: 1 to 64 letters, digits, '_' and '-'")
    return directory / f"{cluster_id}.json"


def _read(path: Path) -> ClusterEntry | None:
    """An entry; None if it has gone meanwhile or is not to be understood (another version's)."""
    try:
        return msgspec.json.decode(read_private(path, _ENTRY_BYTES_MAX), type=ClusterEntry)
    except FileNotFoundError:
        return None
    except (UnsafePathError, msgspec.DecodeError, UnicodeDecodeError) as error:
        _log.debug("the cluster registry's %s is left out: %s", path, error)
        return None


def _is_alive(entry: ClusterEntry) -> bool | None:
    """Whether its session is held; None if that can't be seen from here."""
    held = is_held(Path(entry.session_dir))
    if held is not None:
        return held
    # There is no such directory here. It is gone if it has been here, or if the machine that it was
    # on has restarted since; else it is on another machine or in another container.
    here = entry.boot_id == _boot_id()
    if here and entry.mount_namespace == _mount_namespace():
        return False
    if not here and entry.host == socket.gethostname():
        return False
    return None


def _remove_dead(directory: Path, path: Path) -> None:
    """Remove an entry, unless a living cluster has just taken its place."""
    with _locked(directory):
        entry = _read(path)
        if entry is not None and _is_alive(entry) is False:
            path.unlink(missing_ok=True)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Alone with the directory, where its file system can lock (not every NFS can)."""
    fd = open_private_directory(directory)
    try:
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
