"""The options of `%%remote` and `%remote`, as values with types.

The dataclasses are the only list of options: the parser, the help and the completion are made from their
fields. Nothing here exits the process or prints.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import difflib
import inspect
import itertools
import json
import keyword
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NoReturn, TypeVar

from raynb.magics.errors import OptionError
from raynb.magics.words import first_word

_UNITS = {"": 1, "B": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS |= {f"{unit}i": 1 << 10 * power for power, unit in enumerate("KMGT", 1)}


@dataclass(frozen=True)
class Options:
    """What classes of options have in common: `usage` says how the magic is written."""

    usage: ClassVar[str]


Parsed = TypeVar("Parsed", bound=Options)


class HelpRequested(Exception):
    """`--help` was among the options; the text is the exception's."""


def option(
    help: str,
    *,
    metavar: str = "",
    read: Callable[[str], Any] = str,
    of: str = "",
    complete: str | tuple[str, ...] = (),
) -> dict[str, Any]:
    """What a field of an options class says of itself.

    Parameters
    ----------
    of
        The one kind of cell that it is for, or ``argument``: it is given without its name, and the only one that is.
        One without a default must be given.
    complete
        What may be typed: the values themselves, or a kind that `raynb.magics.completion` knows.
    """
    return {"help": help, "metavar": metavar, "read": read, "of": of, "complete": complete}


# Readers: text to value, or a ValueError that says what is expected.


def number(text: str) -> float:
    """A count of CPUs or GPUs, whole or a fraction."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError("expects a number, such as 2 or 0.5") from None
    if not 0 <= value < float("inf"):
        raise ValueError("can't be negative or endless")
    return int(value) if value.is_integer() else value


def retries(text: str) -> int:
    """A number of retries; -1 has no end."""
    try:
        value = int(text)
    except ValueError:
        raise ValueError("expects a whole number, -1 for no limit") from None
    if value < -1:
        raise ValueError("expects a whole number, -1 for no limit")
    return value


def size(text: str) -> int:
    """Bytes: `2000000`, `2GB`, `1.5GiB`."""
    digits = text.strip()
    unit = digits.lstrip("0123456789.eE+-").strip()
    value, unit = digits.removesuffix(unit).strip(), unit.removesuffix("B").removesuffix("b")
    factor = {name.lower(): bytes for name, bytes in _UNITS.items()}.get(unit.lower())
    try:
        if factor is None or not 0 <= (size := float(value) * factor) < float("inf"):
            raise ValueError
    except ValueError:
        raise ValueError("expects bytes, such as 500MB or 2GiB") from None
    return int(size)


def resources(text: str) -> dict[str, float]:
    """Custom resources: `licence=1,disk=0.5`, or a JSON object."""
    try:
        if text.lstrip().startswith("{"):
            pairs = _mapping(text)
        else:
            pairs = dict(part.split("=", 1) for part in text.split(","))
        found = {str(name).strip(): number(str(value)) for name, value in pairs.items()}
        if not all(found):
            raise ValueError
    except (ValueError, SyntaxError):
        raise ValueError("expects name=amount,... or JSON, such as licence=1") from None
    return found


def _mapping(text: str) -> dict[Any, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = ast.literal_eval(text)  # how Python prints a dict: `--resources $needs`
    if not isinstance(value, dict):
        raise ValueError
    return value


def whole(text: str) -> int:
    """A number of rows, lines or the like."""
    if not text.strip().isdecimal():
        raise ValueError("expects a whole number from 0 on")
    return int(text)


def one_of(*choices: str) -> Callable[[str], str]:
    """One of these, in any case."""

    def read(text: str) -> str:
        wanted = text.strip().upper()
        if wanted in choices:
            return wanted
        close = difflib.get_close_matches(wanted, choices, n=1, cutoff=0.5)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ValueError(f"expects one of {', '.join(choices)}{hint}")

    return read


def name(text: str) -> str:
    """A variable."""
    if not text.isidentifier() or keyword.iskeyword(text):
        raise ValueError("expects a variable name")
    return text


def names(text: str) -> tuple[str, ...]:
    """Variables: `a,b`; empty for none."""
    return tuple(name(part.strip()) for part in text.split(",") if part.strip())


@dataclass(frozen=True)
class Mapped:
    """`x=items`: the name that each run gets and the expression for the items."""

    name: str
    items: str


def mapped(text: str) -> Mapped:
    """`x=items`."""
    variable, equals, items = text.partition("=")
    if not equals or not items.strip() or not variable.strip().isidentifier():
        raise ValueError("expects name=items, such as x=range(10)")
    return Mapped(name(variable.strip()), items.strip())


@dataclass(frozen=True)
class ResourceOptions(Options):
    """What `.options()` takes, for functions, actors and tasks alike."""

    num_cpus: float | None = field(
        default=None,
        metadata=option("CPUs to reserve (a task takes 1)", metavar="N", read=number),
    )
    num_gpus: float | None = field(
        default=None,
        metadata=option("GPUs to reserve", metavar="N", read=number),
    )
    memory: int | None = field(
        default=None,
        metadata=option("memory to reserve: 500MB, 2GiB", metavar="BYTES", read=size),
    )
    resources: dict[str, float] | None = field(
        default=None,
        metadata=option("other resources: licence=1,disk=0.5", metavar="NAME=N,...", read=resources),
    )
    max_retries: int | None = field(
        default=None,
        metadata=option("runs again so often when a worker dies (3; -1: no limit)", metavar="N", read=retries),
    )
    name: str | None = field(
        default=None,
        metadata=option("how panels and logs call it", metavar="NAME"),
    )

    def remote_options(self) -> dict[str, Any]:
        """The given ones, as keywords of `remote()` and `.options()`."""
        fields = dataclasses.fields(ResourceOptions)
        values = {f.name: getattr(self, f.name) for f in fields}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class ExpressionOptions(ResourceOptions):
    """`%remote [options] EXPRESSION`: submit one expression and give its reference.

    `total = %remote sum(numbers)` binds a reference to the sum, which a worker computes. Names in
    the expression are taken along as by %%remote.
    """

    usage: ClassVar[str] = "%remote [options] EXPRESSION"

    local: bool = field(
        default=False,
        metadata=option("run it here, with the copies that a worker would get"),
    )


@dataclass(frozen=True)
class RemoteOptions(ResourceOptions):
    """%%remote: run this cell elsewhere.

    A cell of imports, functions and classes declares: each function becomes a remote function, each
    class an actor class, with these options as defaults. Any other cell runs as one task: the names that
    it reads go along, and the names that it assigns are at once references to what it will compute.
    """

    usage: ClassVar[str] = "%%remote [options]"

    block: bool = field(
        default=False,
        metadata=option("wait until the cell is done, and show here what it shows (--noblock: don't)", of="task"),
    )
    local: bool = field(
        default=False,
        metadata=option("run it here, with the copies that a worker would get, for debugging", of="task"),
    )
    out: str | None = field(
        default=None,
        metadata=option("bind a reference to the last expression's value", metavar="NAME", read=name, of="task"),
    )
    inputs: tuple[str, ...] | None = field(
        default=None,
        metadata=option("take along exactly these names", metavar="A,B", read=names, of="task"),
    )
    outputs: tuple[str, ...] | None = field(
        default=None,
        metadata=option("bind exactly these names", metavar="X,Y", read=names, of="task"),
    )
    map: Mapped | None = field(
        default=None,
        metadata=option(
            "run the cell once for each item; outputs become lists of references",
            metavar="NAME=ITEMS",
            read=mapped,
            of="task",
        ),
    )
    stream: bool = field(
        default=True,
        metadata=option("don't show what the task prints", of="task"),
    )


# Spellings of flags that are the opposite of their field.
_OPPOSITES = {"block": "--noblock", "stream": "--no-stream"}


def flags(options: type[Options]) -> dict[str, str]:
    """Each option as it is typed, with its help."""
    found: dict[str, str] = {}
    for f in dataclasses.fields(options):
        if f.metadata["of"] == "argument":
            continue
        found[typed(f)] = f.metadata["help"]
        if f.name in _OPPOSITES:
            found[_OPPOSITES[f.name]] = f.metadata["help"]
    return found | {"--help": "show this and do nothing"}


def spelled(field_name: str) -> str:
    """`num_cpus` as `--num-cpus`."""
    return f"--{field_name.replace('_', '-')}"


def typed(f: dataclasses.Field[Any]) -> str:
    """How a value other than the default was given: `--no-stream`."""
    return _OPPOSITES[f.name] if f.default is True else spelled(f.name)


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=100)


class _Parser(argparse.ArgumentParser):
    """argparse that raises what a cell can show, and never exits."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message} ({self.prog} --help lists the options)")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise OptionError(message or "the options can't be read")


def parser(options: type[Options]) -> argparse.ArgumentParser:
    """An argument parser made from the fields of an options class."""
    made = _Parser(
        prog=called(options),
        usage=options.usage.replace("%", "%%"),  # argparse formats it
        description=inspect.cleandoc(options.__doc__ or ""),
        add_help=False,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=_HelpFormatter,
    )
    for f in dataclasses.fields(options):
        if isinstance(f.default, bool):
            _add_flag(made, f.name, f.default, f.metadata["help"])
        else:
            read, metavar = _reader(f.metadata["read"]), f.metadata["metavar"]
            if f.metadata["of"] == "argument":
                count = None if f.default is dataclasses.MISSING else "?"
                made.add_argument(f.name, type=read, metavar=metavar, nargs=count, help=f.metadata["help"])
                continue
            made.add_argument(spelled(f.name), type=read, metavar=metavar, dest=f.name, help=f.metadata["help"])
    made.add_argument("--help", "-h", action="store_true", help="show this and do nothing")
    return made


# Kept: argparse looks for translations on the disk whenever it makes one.
_parsers: dict[type[Options], argparse.ArgumentParser] = {}


def _add_flag(made: argparse.ArgumentParser, name: str, default: bool, help: str) -> None:
    if not default:
        made.add_argument(spelled(name), action="store_true", dest=name, help=help)
    if name in _OPPOSITES:
        hidden = argparse.SUPPRESS if not default else help
        made.add_argument(_OPPOSITES[name], action="store_false", dest=name, help=hidden)


def _reader(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def told(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{error}, not {text!r}") from None

    return told


def parse(options: type[Parsed], words: Sequence[str]) -> Parsed:
    """The words of a magic's line as a value of an options class.

    Raises
    ------
    OptionError
        An unknown option (with the similar one that exists), or a value that doesn't fit.
    HelpRequested
        `--help` is among the words.
    """
    made = _parsers.get(options) or _parsers.setdefault(options, parser(options))
    if "--help" in words or "-h" in words:
        raise HelpRequested(made.format_help().rstrip())
    values, unknown = made.parse_known_args(list(words))
    if unknown:
        raise OptionError(_unknown(unknown[0], options))
    return options(**vars(values))


def called(options: type[Options]) -> str:
    """The magic and its command: ``%raynb tasks``."""
    return " ".join(
        itertools.takewhile(
            lambda word: word[0] == "%" or (word.isidentifier() and word.islower()), options.usage.split()
        )
    )


def _unknown(word: str, options: type[Options]) -> str:
    magic = called(options)
    if not word.startswith("-"):
        argument = next((f for f in dataclasses.fields(options) if f.metadata["of"] == "argument"), None)
        if argument is not None:
            return f"{magic} takes one {argument.metadata['metavar']}: {word!r} is too many"
        return f"{magic} takes options only, not {word!r}"
    typed = word.partition("=")[0]
    close = difflib.get_close_matches(typed.replace("_", "-"), flags(options), n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"there is no option {typed}.{hint} ({magic} --help lists them)"


def expanded(words: Sequence[str], namespace: Mapping[str, object]) -> list[str]:
    """The words with `$name` and `{name}`, alone or after `=`, replaced by the notebook's values."""
    return [_expanded(word, namespace) for word in words]


def _expanded(word: str, namespace: Mapping[str, object]) -> str:
    before, equals, last = word.rpartition("=") if word.startswith("--") else ("", "", word)
    variable = last[1:] if last.startswith("$") else last[1:-1] if last[:1] == "{" else ""
    if not variable.isidentifier() or (last[0] == "{" and last[-1] != "}"):
        return word
    if variable not in namespace:
        raise OptionError(f"{last} stands for the notebook's `{variable}`, which it doesn't have")
    return f"{before}{equals}{namespace[variable]}"


def split_expression(line: str) -> tuple[list[str], str]:
    """The leading options of a `%remote` line, as words, and the expression that follows."""
    takes_value = {spelled(f.name) for f in dataclasses.fields(ExpressionOptions) if not isinstance(f.default, bool)}
    words: list[str] = []
    rest = line.strip()
    while rest.startswith("--") and not f"{rest} ".startswith("-- "):
        word, rest = first_word(rest)
        words.append(word)
        if word in takes_value:
            word, rest = first_word(rest)
            words.append(word)
    return words, rest.removeprefix("-- ").strip()
