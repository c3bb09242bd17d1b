"""What the pictures of finished runs have in common: colours, and text in SVG.

A picture is on white whatever the page's theme, for it must read well on GitHub, in nbviewer and on paper. Colours are
Okabe and Ito's, which the colour-blind can tell apart; what failed is hatched, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from raynb.runtime.messages.events import FAILED, FINISHED, RUNNING, TASK_STATES
from raynb.widgets import text

STATE_COLORS: Final = ("#7a7a7a", "#e69f00", "#56b4e9", "#0072b2", "#009e73", "#d55e00")
STATE_WORDS: Final = ("wait for inputs", "wait for a worker", "sent to a worker", "running", "finished", "failed")
NAME_COLORS: Final = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#f0e442",
    "#8c8c8c",
    "#6a51a3",
    "#b07d2b",
    "#3b7a57",
)
"""As `labextension/src/dom/theme.ts` has them."""
INK: Final = "#1a1a1a"
SOFT: Final = "#595959"
LINE: Final = "#c4c4c4"
FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
HATCH: Final = (
    '<pattern id="raynb-failed" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    f'<rect width="6" height="6" fill="{STATE_COLORS[FAILED]}"/><rect width="2" height="6" fill="#fff"/></pattern>'
)

assert len(STATE_COLORS) == len(STATE_WORDS) == len(TASK_STATES)


class NameColors:
    """The colour of each function: by its name, as the live timeline has it."""

    def __init__(self) -> None:
        self._colors: dict[str, str] = {}
        self._taken = [0] * len(NAME_COLORS)

    def of(self, name: str) -> str:
        if name not in self._colors:
            at = _hash(name) % len(NAME_COLORS)
            while self._taken[at] > min(self._taken):
                at = (at + 1) % len(NAME_COLORS)
            self._taken[at] += 1
            self._colors[name] = NAME_COLORS[at]
        return self._colors[name]


def _hash(name: str) -> int:
    """FNV-1a over UTF-16 units, as JavaScript has them."""
    units = name.encode("utf-16-le", "surrogatepass")
    value = 0x811C9DC5
    for at in range(0, len(units), 2):
        value = ((value ^ int.from_bytes(units[at : at + 2], "little")) * 0x01000193) & 0xFFFFFFFF
    return value


def written(x: float, y: float, words: str, *, size: int = 12, color: str = INK, more: str = "") -> str:
    """A line of text; ``words`` may hold anything."""
    shown = text.escaped(text.line(words))
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{color}" {more}>{shown}</text>'


def cut(words: str, chars_max: int) -> str:
    return words if len(words) <= chars_max else words[: max(1, chars_max - 1)] + "…"


def counts_in_words(counts: Iterable[int]) -> str:
    """``3 running, 12 finished``"""
    parts = [f"{text.count(n)} {word}" for n, word in zip(counts, STATE_WORDS, strict=True) if n]
    return ", ".join(parts) or "none"


def main_state(counts: list[int]) -> int:
    """What a node is shown as: what is wrong or happens now comes first."""
    for state in (FAILED, RUNNING, 2, 1, 0):
        if counts[state]:
            return state
    return FINISHED


def svg(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    """A whole picture, on white, which says its title to who can't see it."""
    name = text.escaped(text.line(title, 300))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{name}" font-family="{FONT}">'
        f"<title>{name}</title><defs>{HATCH}</defs>"
        f'<rect width="{width:.0f}" height="{height:.0f}" rx="8" fill="#ffffff" stroke="{LINE}"/>{"".join(parts)}</svg>'
    )
