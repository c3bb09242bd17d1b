"""``import ray`` in a Python that a program has started which runs on raynb: `raynb.as_ray` puts this on its path."""

import importlib
import sys
from pathlib import Path

try:
    from raynb.runtime.adapters.ray_alias import install
except ImportError:
    # Another Python than the program's: it may have Ray itself.
    sys.path.remove(str(Path(__file__).parents[1]))
else:
    install()
del sys.modules["ray"]
importlib.import_module("ray")
