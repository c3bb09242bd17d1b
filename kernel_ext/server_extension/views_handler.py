"""The websocket that carries views to the browser: `raynb/api/clusters/{id}/views`.

What is said on it is in `raynb.runtime.messages.screen`; nothing is read or changed on the way.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado import web, websocket

from raynb.runtime.adapters.registry import ClusterEntry
from raynb.runtime.adapters.screen_bridge import Bridge, Bridges, Window
from raynb.server_extension.clusters import NoSuchCluster, OtherProtocol, cluster
from raynb.server_extension.handler import BRIDGES, RESOURCE
from raynb.server_extension.previews import warm_up

REQUEST_BYTES_MAX: Final = 64 * 1024
WINDOWS_MAX: Final = 100
"""Of all clusters together."""
CLUSTER_ENDED: Final = 4404
NOT_SERVED: Final = 4409


# WebSocketMixin's `check_origin` is the one that counts: Jupyter's own rules.
class ViewsHandler(WebSocketMixin, websocket.WebSocketHandler, JupyterHandler):  # pyright: ignore[reportIncompatibleMethodOverride]
    """One window that looks at one cluster."""

    auth_resource = RESOURCE
    windows = 0
    entry: ClusterEntry | None = None
    bridge: Bridge | None = None
    window_number = 0
    counted = False
    flow: asyncio.Queue[bytes | None]

    @property
    def max_message_size(self) -> int:
        """Whoever sends more is cut off."""
        return REQUEST_BYTES_MAX

    def get_compression_options(self) -> dict[str, Any] | None:
        return {"compression_level": 1, "mem_level": 5}

    @ws_authenticated
    async def get(self, *args: Any, **kwargs: Any) -> None:
        allowed = self.authorizer.is_authorized(self, self.current_user, "execute", RESOURCE)
        if not await ensure_async(allowed):
            raise web.HTTPError(403)
        if ViewsHandler.windows >= WINDOWS_MAX:
            raise web.HTTPError(503, f"{WINDOWS_MAX} windows look at clusters already")
        try:
            self.entry = await asyncio.get_running_loop().run_in_executor(None, cluster, kwargs["cluster"])
        except NoSuchCluster as error:
            raise web.HTTPError(404, str(error)) from error
        except OtherProtocol as error:
            raise web.HTTPError(409, str(error)) from error
        result = super().get(*args, **kwargs)
        if result is not None:
            await result

    def open(self, *args: Any, **kwargs: Any) -> None:
        super().open(*args, **kwargs)
        loop = asyncio.get_running_loop()
        self.flow = asyncio.Queue()
        bridges: Bridges = self.settings[BRIDGES]

        def told(data: bytes | None) -> None:
            with contextlib.suppress(RuntimeError):  # the server is ending
                loop.call_soon_threadsafe(self.flow.put_nowait, data)

        assert self.entry is not None
        try:
            self.bridge, self.window_number = bridges.open(self.entry, Window(told))
        except OSError as error:
            self.close(CLUSTER_ENDED, f"the cluster has ended: {error}"[:120])
            return
        ViewsHandler.windows += 1
        self.counted = True
        loop.run_in_executor(None, warm_up)
        self._writer = asyncio.ensure_future(self._write())

    async def _write(self) -> None:
        """Pass on what the hub says, as fast as the browser takes it."""
        assert self.bridge is not None
        while (data := await self.flow.get()) is not None:
            try:
                await self.write_message(data.decode())
            except websocket.WebSocketClosedError:
                return
            self.bridge.took(self.window_number, len(data))
        self.close(CLUSTER_ENDED, "the cluster has ended")

    def on_message(self, message: str | bytes) -> None:
        if self.bridge is not None:
            self.bridge.ask(self.window_number, message.encode() if isinstance(message, str) else message)

    def on_close(self) -> None:
        super().on_close()
        if self.counted:
            self.counted = False
            ViewsHandler.windows -= 1
            self._writer.cancel()
        if self.bridge is not None:
            self.bridge.close_window(self.window_number)
