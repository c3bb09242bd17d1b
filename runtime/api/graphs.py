"""What is raised where a program begins a graph of Ray's kind, which raynb has not."""

from __future__ import annotations


def no_graphs(what: str) -> NotImplementedError:
    """The error; ``what`` is the call that would begin it."""
    return NotImplementedError(
        f"raynb does not support {what}(): it has no graphs of Ray's kind; task cells of a notebook, and references as "
        "arguments, make graphs here"
    )
