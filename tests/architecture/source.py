"""What the project is written in, as the architecture tests read it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


def package_folders() -> dict[str, str]:
    """Folder to package, as setup.py says, which has the mapping once."""
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FOLDERS":
            folders: dict[str, str] = ast.literal_eval(node.value)
            return {folder: package for package, folder in folders.items()}
    raise LookupError("setup.py assigns no FOLDERS")


PACKAGE_FOLDERS = package_folders()


@dataclass(frozen=True)
class Module:
    """One Python module of the package: its place, its dotted name and what it says."""

    path: Path
    name: str
    source: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    def imports(self) -> Iterator[tuple[int, str]]:
        """Line and dotted name of each thing that the module imports, at any depth of the code."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = "." * node.level + (node.module or "")
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def read(path: Path, folder: Path, package: str) -> Module:
    parts = path.relative_to(folder).with_suffix("").parts
    dotted = ".".join([package, *(part for part in parts if part != "__init__")])
    return Module(path.relative_to(ROOT), dotted, path.read_text())


def modules() -> list[Module]:
    found = [
        read(path, ROOT / folder, package)
        for folder, package in PACKAGE_FOLDERS.items()
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    assert {module.name for module in found} >= set(PACKAGE_FOLDERS.values())
    return found
