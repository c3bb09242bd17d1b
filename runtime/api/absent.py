"""What Ray has and raynb has not, by name: whoever asks for it is told so."""

from __future__ import annotations

from typing import Final

_LIBRARY = "that library of Ray's is not part of it"
_GRAPHS = "it has no graphs of Ray's kind; task cells of a notebook, and references as arguments, make graphs here"
_LANGUAGES = "it is Python only"

ABSENT: Final[dict[str, str]] = {
    "ClientBuilder": "it has no Ray Client: init() reaches its clusters itself",
    "Language": _LANGUAGES,
    "LoggingConfig": "it writes no logs of that kind; Python's logging works in tasks",
    "air": _LIBRARY,
    "autoscaler": "it starts no machines; raynb.scale changes how many CPUs a node offers",
    "client": "it has no Ray Client: init() reaches its clusters itself",
    "cpp_actor_class": _LANGUAGES,
    "cpp_function": _LANGUAGES,
    "cross_language": _LANGUAGES,
    "dag": _GRAPHS,
    "dashboard": "its views are in JupyterLab",
    "data": _LIBRARY,
    "internal": "it is Ray's own",
    "java_actor_class": _LANGUAGES,
    "java_function": _LANGUAGES,
    "llm": _LIBRARY,
    "rllib": _LIBRARY,
    "serve": _LIBRARY,
    "show_in_dashboard": "its views are in JupyterLab",
    "train": _LIBRARY,
    "tune": _LIBRARY,
    "workflow": _LIBRARY,
}
"""Names of the package ``ray``, each with the reason."""


def why_absent(name: str) -> str:
    """The message for a name that Ray has and raynb has not; empty where Ray has none either."""
    reason = ABSENT.get(name)
    return "" if reason is None else f"raynb has no {name!r}, which Ray has: {reason}"


def no_graphs(what: str) -> NotImplementedError:
    """What is raised where a graph is begun."""
    return NotImplementedError(f"raynb does not support {what}(): {_GRAPHS}")
