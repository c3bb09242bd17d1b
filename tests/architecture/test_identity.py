"""One version and one licence, wherever a package says them."""

from __future__ import annotations

import json
import tomllib
from importlib import metadata
from pathlib import Path

import raynb


def front_end(root: Path, name: str) -> dict[str, str]:
    package: dict[str, str] = json.loads((root / "labextension" / name).read_text())
    return package


def test_python_and_the_front_end_have_one_version(root: Path) -> None:
    lock = front_end(root, "package-lock.json")
    versions = {
        "raynb.__version__": raynb.__version__,
        "installed": metadata.version("raynb"),
        "package.json": front_end(root, "package.json")["version"],
        "package-lock.json": lock["version"],
    }
    assert set(versions.values()) == {raynb.__version__}, versions


def test_the_changelog_begins_with_this_version(root: Path) -> None:
    headings = [line for line in (root / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")]
    assert headings[0].split()[1] == raynb.__version__


def test_the_licence_is_apache_everywhere(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    assert metadata.metadata("raynb")["License-Expression"] == "Apache-2.0"
    assert front_end(root, "package.json")["license"] == "Apache-2.0"
    words = " ".join((root / "LICENSE").read_text().split())
    assert words.startswith("Apache License Version 2.0, January 2004")
    assert words.endswith("limitations under the License.")
    assert "Apache-2.0" in (root / "README.md").read_text()
