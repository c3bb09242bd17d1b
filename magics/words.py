"""A magic's line as words: quoted as in a shell, but with Python's own quotes and brackets left whole.

Blanks part words unless they stand in quotes or brackets, so that `--map x=[1, 2]` and `--resources {"disk": 1}` need
no more quotes. Quotes around a whole word, or around all that follows `--option=`, are taken off; those
inside are part of it: the items of `--map w=['a', 'b']` are strings.
"""

from __future__ import annotations

from raynb.magics.errors import OptionError

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_QUOTES = "'\""


def split(line: str) -> list[str]:
    """The words of a line.

    Raises
    ------
    OptionError
        A quote or a bracket that isn't closed.
    """
    found: list[str] = []
    rest = line.strip()
    while rest:
        word, rest = first_word(rest)
        found.append(word)
    return found


def first_word(text: str) -> tuple[str, str]:
    """The first word of a text that begins with it, and what follows."""
    end = _end_of_word(text)
    return unquoted(text[:end]), text[end:].lstrip()


def unquoted(word: str) -> str:
    """A word without the quotes around all of it, or around the value of `--option=value`."""
    if word.startswith("--") and "=" in word:
        option, value = word.split("=", 1)
        return f"{option}={unquoted(value)}"
    if word[:1] and word[0] in _QUOTES and _end_of_quote(word, 0) == len(word):
        return _unescaped(word[1:-1], word[0])
    return word


def _end_of_word(text: str) -> int:
    """Where the first blank outside quotes and brackets is."""
    open_brackets: list[str] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character.isspace() and not open_brackets:
            break
        if character in _QUOTES:
            at = _end_of_quote(text, at)
            continue
        if character in _CLOSING:
            open_brackets.append(character)
        elif open_brackets and character == _CLOSING[open_brackets[-1]]:
            open_brackets.pop()
        at += 1
    if open_brackets:
        raise OptionError(f"the bracket {open_brackets[-1]} isn't closed: {text}")
    return at


def _end_of_quote(text: str, start: int) -> int:
    """The position after the quote that closes the one at ``start``."""
    at = start + 1
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == text[start]:
            return at + 1
        at += 1
    raise OptionError(f"the quote {text[start]} isn't closed: {text}")


def _unescaped(text: str, quote: str) -> str:
    return text.replace(f"\\{quote}", quote).replace("\\\\", "\\")
