"""Cell and line magics: `%%remote`, `%remote` and `%raynb`.

`register` is all that an extension has to call; what the magics do is loaded when the first one is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from raynb.magics.screen import Screen

__all__ = ["register", "unregister"]

_COMPLETED = ("%%remote", "%remote", "%raynb")
_COMPLETED_LATER = r"[^%=]+=\s*%remote\s"
"""`ref = %remote ...`: IPython tells lines by their first word, or by a pattern."""


def register(ipython: InteractiveShell, open_screen: Callable[[], Screen] | None = None) -> None:
    """Give a shell the magics and their completion. A second time it changes nothing.

    Parameters
    ----------
    open_screen
        Gives the output of the cell that runs when it is called; by default IPython's own display.
    """
    from raynb.magics.frontend import RaynbMagics

    if "RaynbMagics" in _manager(ipython).registry:
        return
    ipython.register_magics(RaynbMagics(ipython, open_screen))
    set_hook: Any = ipython.set_hook
    for magic in _COMPLETED:
        set_hook("complete_command", _complete, str_key=magic)
    set_hook("complete_command", _complete, re_key=_COMPLETED_LATER)


def unregister(ipython: InteractiveShell) -> None:
    """Take from a shell what `register` gave it."""
    manager = _manager(ipython)
    magics = manager.registry.pop("RaynbMagics", None)
    if magics is None:
        return
    magics.session.close()
    for kind, names in magics.magics.items():
        for name in names:
            manager.magics[kind].pop(name, None)
    ipython.configurables.remove(magics)
    for magic in _COMPLETED:
        del ipython.strdispatchers["complete_command"].strs[magic]
    del ipython.strdispatchers["complete_command"].regexs[re.compile(_COMPLETED_LATER)]


def _manager(ipython: InteractiveShell) -> Any:
    """What knows the shell's magics; typed as if there might be none."""
    return ipython.magics_manager


def _complete(ipython: InteractiveShell, event: Any) -> list[str]:
    from raynb.magics.completion import candidates

    return candidates(event.text_until_cursor, ipython.user_ns)
