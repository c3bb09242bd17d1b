"""Which GPUs the code in a worker sees: those of its lease, through the variable that CUDA reads when it is first used.

What has no GPU sees what the node's processes see, as with Ray: the variable is as it was before.
"""

from __future__ import annotations

import os
from typing import Final

VARIABLE: Final = "CUDA_VISIBLE_DEVICES"


class VisibleGpus:
    """Sets the variable and restores it."""

    def __init__(self) -> None:
        self._shown: list[str] = []
        self._before: str | None = None

    def show(self, names: list[str]) -> None:
        """From now on the code of this process sees these; none: all that there are."""
        if names == self._shown:
            return
        if not self._shown:
            self._before = os.environ.get(VARIABLE)
        self._shown = names
        if names:
            os.environ[VARIABLE] = ",".join(names)
        elif self._before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = self._before
