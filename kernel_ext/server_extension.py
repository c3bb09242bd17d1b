"""raynb's part of the Jupyter server: HTTP handlers below `<base url>/raynb/api/`.

The handlers live on the server's own origin, behind its authentication and its XSRF check; raynb
opens no port. The server never unpickles anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from raynb._version import __version__

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


class VersionHandler(APIHandler):
    """`GET raynb/api/version`: which raynb this server has, as ``{"version": "1.2.3"}``."""

    # The name of the resource that an `Authorizer` of this server is asked about.
    auth_resource = "raynb"

    @web.authenticated
    @authorized
    def get(self) -> None:
        self.finish({"version": __version__})


def load(server: ServerApp) -> None:
    """Add raynb's handlers to a Jupyter server that is starting."""
    app: web.Application = server.web_app
    base = url_path_join(app.settings["base_url"], "raynb", "api")
    app.add_handlers(".*$", [(url_path_join(base, "version"), VersionHandler)])
    server.log.info("raynb %s: server extension loaded", __version__)
