"""``raynb.experimental.state``: where ``raynb.util.state`` was in earlier versions of Ray."""

from __future__ import annotations

import importlib
import sys

for _name in ("api", "common", "exception"):
    sys.modules[f"{__name__}.{_name}"] = importlib.import_module(f"raynb.util.state.{_name}")
