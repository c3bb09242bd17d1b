"""Words of others on their way to a screen: names and tracebacks of tasks may hold anything.

They are shown as text, never as HTML, without what could drive a terminal or turn the direction of a line, and never
longer than a limit.
"""

from __future__ import annotations

import html
import re

NAME_CHARS_MAX = 120
TRACEBACK_CHARS_MAX = 8_000

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


def line(text: str, chars_max: int = NAME_CHARS_MAX) -> str:
    """One line of it, shortened at its end."""
    clean = _clean(text[: 4 * chars_max].replace("\n", " "))
    return clean if len(clean) <= chars_max else clean[: chars_max - 1] + "…"


def lines(text: str, chars_max: int = TRACEBACK_CHARS_MAX) -> str:
    """Its lines; of a text that is too long the middle is left out, for a traceback's ends tell most."""
    if len(text) > chars_max:
        half = chars_max // 2
        text = f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"
    return "\n".join(map(_clean, text.split("\n")))


def _clean(text: str) -> str:
    plain = _ANSI.sub("", text).expandtabs(4)
    # Control and formatting characters are not printable, the marks that turn a line's direction among them.
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in plain.rstrip("\r"))


def escaped(text: object) -> str:
    """As text in HTML, also inside an attribute's quotes."""
    return html.escape(str(text), quote=True)


def count(number: float) -> str:
    """A whole number with its thousands apart."""
    return f"{number:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def amount(number: float) -> str:
    """A number that may be broken, as short as it is exact enough."""
    return f"{number:.1f}" if number < 10 and number != round(number) else count(number)


def duration(seconds: float) -> str:
    """Seconds for people: ``4.2 s``, ``3:07 min``, ``2:05 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    unit, (big, small) = (
        ("min", divmod(round(seconds), 60)) if seconds < 3600 else ("h", divmod(round(seconds / 60), 60))
    )
    return f"{big}:{small:02} {unit}"
