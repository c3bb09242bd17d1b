"""A look into one object."""

from __future__ import annotations

from typing import Final

import msgspec
from jupyter_server.auth.decorator import authorized
from tornado import web

from raynb.runtime.messages.screen import ObjectPreview
from raynb.server_extension.guests import Guests
from raynb.server_extension.handler import GUESTS, RaynbHandler
from raynb.server_extension.previews import preview

ROWS_MAX: Final = 1 << 53
DIMENSIONS_MAX: Final = 32


class PreviewHandler(RaynbHandler):
    """`GET`: an `ObjectPreview`. Query: ``offset`` (the first row), ``at`` (indices of leading dimensions: ``0,3``)."""

    @web.authenticated
    @authorized
    async def get(self, cluster: str, object_id: str) -> None:
        entry = await self.cluster(cluster)
        first = self.number("offset", 0, 0, ROWS_MAX)
        at = self._indices(self.get_query_argument("at", ""))
        guests: Guests = self.settings[GUESTS]
        found: ObjectPreview = await self.elsewhere(preview, guests, entry, bytes.fromhex(object_id), first, at)
        self.set_header("Content-Type", "application/json")
        self.finish(msgspec.json.encode(found))

    @staticmethod
    def _indices(text: str) -> tuple[int, ...]:
        parts = text.split(",") if text else []
        if len(parts) > DIMENSIONS_MAX or not all(part.isdecimal() and len(part) < 16 for part in parts):
            raise web.HTTPError(400, "at must be whole numbers with commas between them", reason="ValueError")
        return tuple(map(int, parts))
