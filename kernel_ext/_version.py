"""The version of raynb, in Python's one place; package.json must say the same (a test holds that)."""

__version__ = "0.1.0"
