"""A small HTTP server for Prometheus, on this machine's own address."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
HOST: Final = "127.0.0.1"
PATHS: Final = ("/", "/metrics")


class MetricsServer:
    """Answers from a thread of its own, until the process ends.

    Parameters
    ----------
    port
        0: any that is free.
    text
        Called for each request, in any thread.

    Raises
    ------
    OSError
        The port is taken.
    """

    def __init__(self, port: int, text: Callable[[], str]) -> None:
        class Handler(_Handler):
            said = staticmethod(text)

        self._server = ThreadingHTTPServer((HOST, port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="raynb-prometheus", daemon=True).start()

    def __repr__(self) -> str:
        return f"<MetricsServer {HOST}:{self.port}>"


class _Handler(BaseHTTPRequestHandler):
    said: Callable[[], str]

    def do_GET(self) -> None:
        """The metrics."""
        if self.path.partition("?")[0] not in PATHS:
            self.send_error(404)
            return
        try:
            body = self.said().encode()
        except Exception as error:  # the cluster may be going; who asks is to know why there is nothing
            self.send_error(503, explain=str(error))
            return
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are no events."""
