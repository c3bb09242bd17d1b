"""Pages of a cluster's tables, and its timeline."""

from __future__ import annotations

from typing import Any, Final

from jupyter_server.auth.decorator import authorized
from tornado import web

from raynb.runtime.adapters.registry import ClusterEntry
from raynb.runtime.adapters.request import Requester
from raynb.server_extension.handler import RaynbHandler

ROWS_MAX: Final = 10_000
SEARCHED_MAX: Final = 10_000
QUERY_S_MAX: Final = 10.0

Filter = tuple[str, str, str]


class TableHandler(RaynbHandler):
    """`GET`: ``{"rows", "total", "dropped"}``, as the state API has them.

    Query: ``filter`` (``field=value`` or ``field!=value``, several), ``search``, ``limit``, ``id``, ``detail``.
    """

    @web.authenticated
    @authorized
    async def get(self, cluster: str, table: str) -> None:
        entry = await self.cluster(cluster)
        filters = [self._filter(text) for text in self.get_query_arguments("filter")]
        limit = self.number("limit", 100, 0, ROWS_MAX)
        search = self.get_query_argument("search", "")
        row_id = self.get_query_argument("id", "")
        detail = self.get_query_argument("detail", "") in ("1", "true")
        self.finish(await self.elsewhere(page, entry, table, filters, limit, search, row_id, detail))

    @staticmethod
    def _filter(text: str) -> Filter:
        for operator in ("!=", "="):
            field, found, value = text.partition(operator)
            if found and field.isidentifier():
                return field, operator, value
        raise web.HTTPError(400, "a filter is FIELD=VALUE or FIELD!=VALUE", reason="ValueError")


def page(
    entry: ClusterEntry, table: str, filters: list[Filter], limit: int, search: str, row_id: str, detail: bool
) -> dict[str, Any]:
    """Ask the cluster. With ``search`` only rows that contain the text; of so many rows, the newest are searched."""
    with Requester(entry.session_dir) as guest:
        asked = SEARCHED_MAX if search else limit
        found = guest.query(
            entry.gcs_address, table, filters, asked, id=row_id, detail=detail or bool(search), timeout_s=QUERY_S_MAX
        )
    if search:
        text = search.lower()
        rows = [row for row in found["rows"] if any(text in str(value).lower() for value in row.values())]
        found["total"] = len(rows)
        found["rows"] = rows[-limit:] if limit else []
    return found


class TimelineHandler(RaynbHandler):
    """`GET`: the whole run as a Chrome trace, to be saved as a file."""

    @web.authenticated
    @authorized
    async def get(self, cluster: str) -> None:
        entry = await self.cluster(cluster)
        events = await self.elsewhere(timeline, entry)
        self.set_header("Content-Disposition", f'attachment; filename="raynb-{entry.cluster_id}.json"')
        self.finish({"traceEvents": events})


def timeline(entry: ClusterEntry) -> list[dict[str, Any]]:
    with Requester(entry.session_dir) as guest:
        return guest.timeline(entry.gcs_address)
