"""The diagrams in ARCHITECTURE.md, drawn from the tables that the code runs by.

``python -m tests.support.diagrams`` (in the repository) writes them anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raynb.runtime.core import gcs_actor_life, task, worker_pool

DOCUMENT = Path(__file__).parents[2] / "ARCHITECTURE.md"
TABLES: dict[str, Mapping[tuple[str, Any], str]] = {
    "task": task.NEXT,
    "worker": worker_pool.TRANSITIONS,
    "actor": gcs_actor_life.TRANSITIONS,
}
BLOCK = re.compile(r"<!-- states: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def diagram(table: Mapping[tuple[str, Any], str]) -> str:
    """A Mermaid state diagram; arrows between the same states share one line."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (before, event), after in table.items():
        arrows.setdefault((before or "[*]", after), []).append(getattr(event, "value", event))
    lines = [
        f"    {_name(before)} --> {_name(after)}: {', '.join(events)}" for (before, after), events in arrows.items()
    ]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def _name(state: str) -> str:
    return state.replace(" ", "_")


def drawn(document: str) -> str:
    """The document with each diagram as its table has it now."""
    return BLOCK.sub(lambda m: f"<!-- states: {m[1]} -->\n{diagram(TABLES[m[1]])}\n<!-- end -->", document)


if __name__ == "__main__":
    DOCUMENT.write_text(drawn(DOCUMENT.read_text()))
