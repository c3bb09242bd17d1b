"""The command line, ``raynb``: clusters started, looked at and stopped from a terminal.

This module loads nothing: `main` does, so that the console script answers ``--help`` at once.
"""

from __future__ import annotations


def main() -> None:
    """Run the console script."""
    from raynb.runtime.cli.app import run

    run()
