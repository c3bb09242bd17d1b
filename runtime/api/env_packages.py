"""Folders that go along with tasks: a copy of each, named by its content, in the session's directory.

A copy, so that what is edited while tasks run does not reach half of them. The same content is copied once.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

from raynb.runtime.messages.sizes import size_text

NEVER: Final = ("__pycache__", ".git", ".venv", "node_modules")
"""Folders that are left out always, as nobody means them."""
IGNORE_GITIGNORE: Final = "RAY_RUNTIME_ENV_IGNORE_GITIGNORE"
"""Set to 1 in the environment: what Git ignores is copied as well."""
ZIPPED: Final = (".zip", ".whl")
TARRED: Final = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
BYTES_MAX: Final = 512 * 2**20
"""Of one folder: Ray's limit."""


def snapshot(given: str | ModuleType, session_dir: str, excludes: Sequence[str], field: str) -> str:
    """Copy a folder, an imported module or package, or an archive or wheel.

    Returns
    -------
    str
        Path of a folder: for ``working_dir`` the copy itself, for ``py_modules`` the one to import it from.

    Raises
    ------
    ValueError
        There is no such folder, it is too large, or it is a URI of a kind that raynb does not fetch.
    """
    store = Path(session_dir) / "runtime_env"
    if isinstance(given, ModuleType):
        source = _of_module(given)
    elif "://" in given:
        raise ValueError(f"raynb does not fetch {given!r}: runtime_env[{field!r}] takes local folders and files")
    else:
        source = Path(given).expanduser().absolute()
    if store in source.parents:
        return str(source)  # inherited, or given as it was
    if source.name.endswith((*ZIPPED, *TARRED)) and source.is_file():
        return str(_unpacked(source, store))
    is_module = field == "py_modules" and source.suffix == ".py" and source.is_file()
    if not source.is_dir() and not is_module:
        raise ValueError(
            f"{given} is not a valid path: runtime_env[{field!r}] takes local folders, archives and wheels"
        )
    files = [(source, Path(source.name))] if is_module else list(_files(source, excludes))
    size = sum(path.stat().st_size for path, _ in files)
    if size > BYTES_MAX:
        raise ValueError(
            f"{source} has {size / 2**20:.0f} MiB, and {BYTES_MAX // 2**20} may be copied: leave some out with "
            "runtime_env['excludes']"
        )
    inside = "" if field == "working_dir" or is_module else source.name
    return str(_copied(files, inside, store))


def _of_module(module: ModuleType) -> Path:
    path = getattr(module, "__file__", None)
    if path is None:
        folders = list(getattr(module, "__path__", []))
        if not folders:
            raise ValueError(f"py_modules: {module.__name__} has no file")
        return Path(folders[0]).absolute()
    source = Path(path).absolute()
    return source.parent if source.name == "__init__.py" else source


def _files(source: Path, excludes: Sequence[str]) -> Iterator[tuple[Path, Path]]:
    """Each file, and where it is in the folder, in a fixed order."""
    from pathspec import GitIgnoreSpec  # here: programs that copy no folder do without

    asked = GitIgnoreSpec.from_lines(excludes)
    rules: dict[Path, list[tuple[Path, GitIgnoreSpec]]] = {}

    def excluded(path: Path, slash: str = "") -> bool:
        # What is nearest decides, and above all what is asked for.
        verdict = False
        for base, spec in [*rules[path.parent], (Path(), asked)]:
            found = spec.check_file(path.relative_to(base).as_posix() + slash).include
            verdict = verdict if found is None else found
        return verdict

    for folder, names, files in os.walk(source):
        here = Path(folder).relative_to(source)
        own = [(here, GitIgnoreSpec.from_lines(lines)) for lines in _ignored_by(Path(folder))]
        rules[here] = [*rules.get(here.parent, []), *own]
        names[:] = sorted(name for name in names if name not in NEVER and not excluded(here / name, "/"))
        for name in sorted(files):
            path = Path(folder) / name
            if path.is_file() and not excluded(here / name):
                yield path, here / name


def _ignored_by(folder: Path) -> Iterator[list[str]]:
    """The lines of a folder's files that say what is left out."""
    names = [".rayignore"] if os.environ.get(IGNORE_GITIGNORE) == "1" else [".gitignore", ".rayignore"]
    for name in names:
        if (folder / name).is_file():
            yield (folder / name).read_text(errors="replace").splitlines()


def _copied(files: Sequence[tuple[Path, Path]], inside: str, store: Path) -> Path:
    digest = hashlib.sha256(inside.encode())
    for path, name in files:
        content = path.read_bytes()
        digest.update(f"\0{name.as_posix()}\0{len(content)}\0{path.stat().st_mode & 0o111:o}\0".encode() + content)

    def fill(folder: Path) -> None:
        for path, name in files:
            target = folder / inside / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
        (folder / inside).mkdir(parents=True, exist_ok=True)

    final = store / f"pkg_{digest.hexdigest()[:24]}"
    if not final.is_dir():
        size = size_text(sum(path.stat().st_size for path, _ in files))
        print(
            f"raynb: Pushing file package {final.name!r} ({size}), a copy for those who run tasks...", file=sys.stderr
        )
        _made(final, fill)
        print(f"raynb: Successfully pushed file package {final.name!r}.", file=sys.stderr)
    return final


def _unpacked(archive: Path, store: Path) -> Path:
    def fill(folder: Path) -> None:
        if archive.name.endswith(ZIPPED):
            with zipfile.ZipFile(archive) as zipped:
                zipped.extractall(folder)
        else:
            with tarfile.open(archive) as tarred:
                tarred.extractall(folder, filter="data")

    return _made(store / f"pkg_{hashlib.sha256(archive.read_bytes()).hexdigest()[:24]}", fill)


def _made(final: Path, fill: object) -> Path:
    """Fill a folder aside, and rename it: whoever sees it sees all of it."""
    assert callable(fill)
    if final.is_dir():
        return final
    final.parent.mkdir(mode=0o700, exist_ok=True)
    aside = final.with_name(f".{final.name}.{secrets.token_hex(4)}")
    aside.mkdir(mode=0o700)
    try:
        fill(aside)
        try:
            aside.rename(final)
        except OSError:
            if not final.is_dir():  # another process has made it meanwhile
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return final
