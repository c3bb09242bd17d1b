"""`%raynb COMMAND`: drive the cluster, and look at it, from a cell."""

from __future__ import annotations

import difflib

from raynb.magics import arguments
from raynb.magics.arguments import HelpRequested
from raynb.magics.commands import COMMANDS, listing
from raynb.magics.errors import OptionError
from raynb.magics.session import Session
from raynb.magics.words import split
from raynb.runtime.worker.displays import Bundle


class ClusterCommands:
    """`%raynb` in one notebook."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def run(self, line: str) -> None:
        """Do what the line says, and show what comes of it.

        Raises
        ------
        OptionError
            An unknown command (with the list), or options that don't fit.
        """
        __tracebackhide__ = True
        words = arguments.expanded(split(line), self._session.namespace)
        if not words or words[0] in {"--help", "-h", "help"}:
            print(listing())
            return
        name, *rest = words
        if name not in COMMANDS:
            close = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise OptionError(f"%raynb has no command {name!r}.{hint}\n\n{listing()}")
        command = COMMANDS[name]
        try:
            options = arguments.parse(command.options, rest)
        except HelpRequested as help:
            print(help)
            return
        shown = command.run(options, self._session)
        if shown is not None:
            self._session.screen().show(bundle_of(shown))


def bundle_of(shown: object) -> Bundle:
    """What is shown, as data by mime type: its repr, and HTML where it has that."""
    data = {"text/plain": repr(shown)}
    as_html = getattr(shown, "_repr_html_", None)
    if as_html is not None:
        data["text/html"] = as_html()
    return data, {}
