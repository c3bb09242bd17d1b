"""Options of ``ray start`` that are not raynb's: most say where Ray's daemons listen, or how they log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from raynb.runtime.api.without_effect import OF_START

FLAGS: Final = frozenset(
    {
        "--disable-usage-stats",
        "--enable-object-reconstruction",
        "--no-monitor",
        "--ray-debugger-external",
        "--verbose",
        "-v",
    }
)
"""Those without a value."""


def given(arguments: Sequence[str]) -> dict[str, str]:
    """The values of those options among these arguments, by name; of one without a value it is its name.

    Raises
    ------
    ValueError
        An argument is none of them, nor the value of one.

    Examples
    --------
    >>> given(["--port", "6379", "--no-monitor", "--dashboard-host=0.0.0.0"])
    {'--port': '6379', '--no-monitor': '--no-monitor', '--dashboard-host': '0.0.0.0'}
    >>> given(["--nope=1"])
    Traceback (most recent call last):
    ValueError: there is no option '--nope=1': see raynb start --help
    """
    left = list(arguments)
    found: dict[str, str] = {}
    while left:
        argument = left.pop(0)
        name, equals, value = argument.partition("=")
        if argument in FLAGS:
            found[argument] = argument
        elif name in OF_START.keys() - FLAGS and (equals or left):
            found[name] = value if equals else left.pop(0)
        else:
            raise ValueError(f"there is no option {argument!r}: see raynb start --help")
    return found
