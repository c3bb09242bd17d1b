"""How many threads numeric libraries start that a task loads: as many as it has CPUs.

They read these variables when they are loaded, each once. What the user has chosen, for the node or by a
``runtime_env``, stays.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Final

VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


class NumericThreads:
    """Sets the variables in this process, as what runs in it changes."""

    def __init__(self) -> None:
        self._chosen = {name: os.environ[name] for name in VARIABLES if name in os.environ}
        self._cpus = 0
        self._told = -1.0

    def __repr__(self) -> str:
        return f"<NumericThreads {self._cpus}>"

    def follow(self, cpus: float, chosen: Collection[str] = ()) -> None:
        """From now on there are so many CPUs.

        Parameters
        ----------
        cpus
            Parts of one count as one.
        chosen
            Variables that are somebody else's, beside those that were set before all tasks.
        """
        if cpus == self._told:
            return
        self._told = cpus
        whole = max(1, int(cpus))
        if whole == self._cpus:
            return
        self._cpus = whole
        for name in VARIABLES:
            if name not in chosen:
                os.environ[name] = self._chosen.get(name, str(whole))


threads: Final = NumericThreads()
"""Of this process: made before anything is set."""
