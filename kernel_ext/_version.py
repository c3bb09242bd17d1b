"""raynb's version: the one place in Python. package.json says the same, which a test holds."""

__version__ = "0.1.0"
