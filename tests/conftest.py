"""Fixtures for every folder of tests."""

from __future__ import annotations
