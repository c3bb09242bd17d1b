"""A page that several commands write: each its own part."""

from __future__ import annotations

from pathlib import Path

from raynb.runtime.benchmark import parts


def test_a_part_is_written_anew_and_the_others_stay() -> None:
    page = parts.with_part("", "", "# Fast\n\nfirst")
    assert page == "# Fast\n\nfirst\n"
    page = parts.with_part(page, "panels", "## Panels\n\n| a |\n")
    assert page == "# Fast\n\nfirst\n\n<!-- part: panels -->\n\n## Panels\n\n| a |\n"
    page = parts.with_part(page, "", "# Faster")
    assert page == "# Faster\n\n<!-- part: panels -->\n\n## Panels\n\n| a |\n"
    assert parts.with_part(page, "panels", "none").endswith("# Faster\n\n<!-- part: panels -->\n\nnone\n")


def test_a_file_is_made_where_there_is_none(tmp_path: Path) -> None:
    file = tmp_path / "docs" / "page.md"
    parts.write(file, "panels", "## Panels")
    assert file.read_text() == "<!-- part: panels -->\n\n## Panels\n"
