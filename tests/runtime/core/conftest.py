"""What several tests of the core begin with."""

from __future__ import annotations

import pytest

from tests.runtime.core.node_world import World
from tests.runtime.core.screen_client import Hub, Window


@pytest.fixture
def world() -> World:
    """Two idle workers, a driver."""
    world = World()
    world.start()
    world.driver_joins()
    return world


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def window(hub: Hub) -> Window:
    return Window(hub)
