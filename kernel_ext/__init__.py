"""raynb: Ray's programming model, native in the notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raynb._version import __version__

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

__all__ = ["__version__"]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "raynb"}]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "raynb"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    # Imported here: a kernel or a daemon that imports raynb has no use for a web server.
    from raynb.server_extension import load

    load(server)
