"""Text of programs as it may be shown: nothing in it drives a terminal, or turns the direction of reading."""

from __future__ import annotations

import re

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")


def clean(text: str) -> str:
    """Text in one line without control, escape and bidi characters: a space stands for each."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else " " for char in _ESCAPES.sub("", text))


def clean_lines(text: str) -> str:
    """The same for text of several lines; tabs become spaces."""
    if "\n" not in text:
        return clean(text.expandtabs(4))
    return "\n".join(clean(line.expandtabs(4)) for line in text.split("\n"))
