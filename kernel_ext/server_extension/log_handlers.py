"""Pages of the logs of a cluster."""

from __future__ import annotations

import math
from typing import Final

import msgspec
from jupyter_server.auth.decorator import authorized
from tornado import web

from raynb.server_extension.handler import RaynbHandler
from raynb.server_extension.logs import log_page

SEARCH_CHARS_MAX: Final = 1000
ID_CHARS_MAX: Final = 64


class LogsHandler(RaynbHandler):
    """`GET`: a `LogPage`. Query: ``search`` (text, whatever the case), ``source`` (one of ``sources``), ``task`` or
    ``actor`` (an id: the logs of its process), ``after`` (what a page before called ``next``), ``since`` and ``until``
    (milliseconds since the epoch: only what was written between them)."""

    @web.authenticated
    @authorized
    async def get(self, cluster: str) -> None:
        entry = await self.cluster(cluster)
        search = self.get_query_argument("search", "", strip=False)[:SEARCH_CHARS_MAX]
        source = self.get_query_argument("source", "")
        after = self.get_query_argument("after", "")
        task, actor = self._id("task"), self._id("actor")
        window = self._moment("since", 0.0), self._moment("until", math.inf)
        page = await self.elsewhere(log_page, entry, search, after, source, task, actor, window)
        self.set_header("Content-Type", "application/json")
        self.finish(msgspec.json.encode(page))

    def _moment(self, name: str, otherwise: float) -> float:
        """In seconds."""
        text = self.get_query_argument(name, "")
        try:
            moment = float(text) / 1000 if text else otherwise
        except ValueError:
            moment = math.nan
        if math.isnan(moment):
            raise web.HTTPError(400, f"{name} must be milliseconds since the epoch", reason="ValueError")
        return moment

    def _id(self, name: str) -> str:
        text = self.get_query_argument(name, "")
        try:
            if len(text) <= ID_CHARS_MAX:
                return bytes.fromhex(text).hex()
        except ValueError:
            pass
        raise web.HTTPError(400, f"{name} must be an id in hexadecimal", reason="ValueError")
