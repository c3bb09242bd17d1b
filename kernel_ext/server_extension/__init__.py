"""raynb's part of the Jupyter server: HTTP handlers and a websocket below `<base url>/raynb/api/`.

They live on the server's own origin, behind its authentication and its XSRF check; raynb opens no port. What they
show comes from the clusters themselves, never through a kernel. The server never unpickles anything.
"""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Any, Final

from jupyter_server.utils import url_path_join

from raynb._version import __version__
from raynb.runtime.adapters.screen_bridge import Bridges
from raynb.server_extension.cluster_handlers import ClusterHandler, ClustersHandler, ScaleHandler
from raynb.server_extension.guests import Guests
from raynb.server_extension.handler import BRIDGES, GUESTS, VersionHandler
from raynb.server_extension.log_handlers import LogsHandler
from raynb.server_extension.preview_handlers import PreviewHandler
from raynb.server_extension.table_handlers import TableHandler, TimelineHandler
from raynb.server_extension.views_handler import ViewsHandler

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp
    from tornado import web

CLUSTER: Final = r"clusters/(?P<cluster>[A-Za-z0-9_-]{1,64})"

ROUTES: Final[list[tuple[str, Any]]] = [
    ("version", VersionHandler),
    ("clusters", ClustersHandler),
    (CLUSTER, ClusterHandler),
    (rf"{CLUSTER}/scale", ScaleHandler),
    (rf"{CLUSTER}/(?P<table>tasks|actors|objects|nodes|workers|jobs)", TableHandler),
    (rf"{CLUSTER}/objects/(?P<object_id>[0-9a-f]{{56}})/preview", PreviewHandler),
    (rf"{CLUSTER}/logs", LogsHandler),
    (rf"{CLUSTER}/timeline", TimelineHandler),
    (rf"{CLUSTER}/views", ViewsHandler),
]


def load(server: ServerApp) -> None:
    """Add raynb's handlers to a Jupyter server that is starting."""
    app: web.Application = server.web_app
    base = url_path_join(app.settings["base_url"], "raynb", "api")
    app.settings[BRIDGES] = Bridges()
    app.settings[GUESTS] = guests = Guests()
    atexit.register(guests.close)
    app.add_handlers(".*$", [(url_path_join(base, route), handler) for route, handler in ROUTES])
    server.log.info("raynb %s: server extension loaded", __version__)
