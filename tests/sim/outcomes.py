"""What a user's thread may meet instead of a value."""

from __future__ import annotations

from raynb.runtime.messages.values import Failed, Stored


class RemoteError(Exception):
    """What ``get`` raises for a failed object."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.kind, failed.message)
        self.failed = failed


class TimeoutOfGet(Exception):
    """GetTimeoutError."""


class StoreFull(Exception):
    """ObjectStoreFullError."""


class DamagedCopy(Exception):
    """The copy here of a value that lies elsewhere is not what it should be; another is fetched."""


class ValuesLost(Exception):
    """These can't be had from where they were said to be; their owners may know of others."""

    def __init__(self, lost: list[Stored]) -> None:
        super().__init__(lost)
        self.lost = lost


class MissingDependency(Exception):
    """An input that this worker should have computed, or could fetch, isn't there (any more)."""


class UserError(Exception):
    """What the workload's functions raise."""


class Interrupted(BaseException):
    """KeyboardInterrupt, raised by a signal."""


class ActorExit(Exception):
    """Raised by `exit_actor`."""
