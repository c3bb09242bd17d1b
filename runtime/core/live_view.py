"""What a view is to the hub: something that can be looked at again, and says what has changed."""

from __future__ import annotations

from typing import Protocol

from raynb.runtime.core.event_table import EventTable
from raynb.runtime.core.gcs_actors import ActorTable
from raynb.runtime.core.gcs_jobs import JobTable
from raynb.runtime.core.membership import Membership
from raynb.runtime.core.notebook_names import NotebookNames
from raynb.runtime.core.run_history import RunHistory
from raynb.runtime.core.store_history import StoreHistory
from raynb.runtime.messages.screen import ViewState


class Tables(Protocol):
    """What views look at, and never change."""

    members: Membership
    jobs: JobTable
    actors: ActorTable
    events: EventTable
    names: NotebookNames
    stores: StoreHistory
    history: RunHistory


class LiveView(Protocol):
    """A view that somebody looks at.

    Attributes
    ----------
    cost
        Rows that the last `refresh` has looked at: what is dear is looked at less often.
    """

    cost: int

    def stamp(self) -> object:
        """As long as it stays equal there is nothing new."""

    def refresh(self, wall: float) -> ViewState | None:
        """Look at the tables. What has changed since the last time; None: nothing.

        Parameters
        ----------
        wall
            Now, in seconds since the epoch.
        """
        ...

    def whole(self) -> ViewState:
        """All of it, as of the last `refresh`."""
        ...


def ms(wall_s: float) -> float:
    """Seconds since the epoch as the screens' milliseconds."""
    return round(wall_s * 1000, 3)
