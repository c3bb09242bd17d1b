"""``raynb.util.state.exception``: what the state API raises, where Ray has it."""

from __future__ import annotations

from raynb.util.state_errors import DataSourceUnavailable, RayStateApiException, ServerUnavailable

__all__ = ["DataSourceUnavailable", "RayStateApiException", "ServerUnavailable"]
