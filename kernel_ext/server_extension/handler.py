"""What all of raynb's handlers have in common: who may ask, and how a failure is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeVar

import msgspec
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

from raynb._version import __version__
from raynb.runtime.adapters.registry import ClusterEntry
from raynb.runtime.messages.errors import RpcError
from raynb.server_extension.clusters import NoSuchCluster, OtherProtocol, cluster

RESOURCE: Final = "raynb"
"""The name of the resource that an `Authorizer` of this server is asked about."""
BRIDGES: Final = "raynb_bridges"
"""Where the server's settings have the bridges to the clusters."""
GUESTS: Final = "raynb_guests"
"""Where they have what borrows from clusters."""

T = TypeVar("T")
Body = TypeVar("Body", bound=msgspec.Struct)

STATUS: Final = {
    NoSuchCluster: 404,
    LookupError: 404,
    OtherProtocol: 409,
    FileNotFoundError: 404,
    KeyError: 404,
    ValueError: 400,
    msgspec.MsgspecError: 400,
    RpcError: 504,
    TimeoutError: 504,
    OSError: 502,
}
"""How failures are told; the first that fits."""


class RaynbHandler(APIHandler):
    """A handler that asks clusters: in threads, for whoever asks waits."""

    auth_resource = RESOURCE

    async def elsewhere(self, work: Callable[..., T], *args: Any) -> T:
        """Run what blocks in a thread; its failure becomes the answer."""
        try:
            return await asyncio.get_running_loop().run_in_executor(None, work, *args)
        except Exception as error:
            self.refuse(error)

    def refuse(self, error: Exception) -> NoReturn:
        """Answer with an error in words."""
        for kind, status in STATUS.items():
            if isinstance(error, kind):
                words = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
                raise web.HTTPError(status, words.replace("%", "%%"), reason=type(error).__name__) from error
        raise error

    async def cluster(self, name: str) -> ClusterEntry:
        """A cluster that this server can talk to."""
        return await self.elsewhere(cluster, name)

    def body(self, kind: type[Body]) -> Body:
        """The request's JSON; an empty one is one with all defaults."""
        try:
            return msgspec.json.decode(self.request.body or b"{}", type=kind)
        except msgspec.MsgspecError as error:
            self.refuse(error)

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number of the query, held to its limits."""
        text = self.get_query_argument(name, "")
        try:
            return max(low, min(high, int(text))) if text else default
        except ValueError as error:
            raise web.HTTPError(400, f"{name} must be a whole number", reason="ValueError") from error


class VersionHandler(APIHandler):
    """`GET raynb/api/version`: which raynb this server has, as ``{"version": "1.2.3"}``."""

    auth_resource = RESOURCE

    @web.authenticated
    @authorized
    def get(self) -> None:
        self.finish({"version": __version__})
