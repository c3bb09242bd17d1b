"""What the functions of ``raynb.util.state`` raise."""

from __future__ import annotations


class RayStateApiException(Exception):
    """Something was asked that can't be answered, or not in full."""


class BadQueryError(RayStateApiException, ValueError):
    """Something was asked that makes no sense: an unknown field, a limit that is too large."""


class NoLogError(RayStateApiException, FileNotFoundError):
    """A log was asked for that is not there."""


class DataSourceUnavailable(RayStateApiException):
    """Ray's error where a process does not answer; raynb raises `GetTimeoutError` then."""


class ServerUnavailable(RayStateApiException):
    """Ray's error where its dashboard does not answer; raynb has none."""
