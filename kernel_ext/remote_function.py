"""``raynb.remote_function``: what `remote` makes of a function."""

from __future__ import annotations

from raynb.runtime.api.functions import RemoteFunction

__all__ = ["RemoteFunction"]
