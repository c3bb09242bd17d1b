"""What an ending process has started goes on."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import Ray, cluster_of
from tests.support.module import NAME
from tests.support.waiting import wait_until


@pytest.mark.parametrize("how", ["max_calls", "exit_actor", "exit"])
def test_what_was_called_just_before_a_process_ends_runs(bare_ray: Ray, how: str, tmp_path: Path) -> None:
    """On one CPU: it must be free again at once, and be given to others than the process that ends."""
    ray = bare_ray

    keeper: list[Any] = []

    class Keeper:
        def touch(self, path: Path) -> None:
            path.touch()

    class Ends:
        def end(self) -> None:
            keeper[0].touch.remote(tmp_path / "called")
            ray.remote(Path.touch).remote(tmp_path / "started")
            if how == "exit":
                sys.exit(1)
            if how == "exit_actor":
                importlib.import_module(f"{NAME}.actor").exit_actor()

    with cluster_of(ray, num_cpus=1):
        keeper.append(ray.remote(Keeper).options(num_cpus=0).remote())
        if how == "max_calls":
            ray.get(ray.remote(max_calls=1)(Ends.end).remote(None), timeout=60)
        else:
            with pytest.raises(ray.exceptions.RayActorError):
                ray.get(ray.remote(num_cpus=1)(Ends).remote().end.remote(), timeout=60)
        wait_until(lambda: {path.name for path in tmp_path.iterdir()} == {"called", "started"}, 30)
