"""The exceptions of raynb, under Ray's names."""

from __future__ import annotations

from raynb.runtime.messages.errors import *  # noqa: F403  # this module is nothing but those names
