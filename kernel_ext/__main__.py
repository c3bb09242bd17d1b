"""``python -m raynb``: the command line, for an interpreter whose scripts are not on the path."""

from raynb.runtime.cli import main

main()
