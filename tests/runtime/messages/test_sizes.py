"""Bytes as people are told them."""

from __future__ import annotations

from raynb.runtime.messages.sizes import size_text


def test_bytes_are_told_in_powers_of_a_thousand() -> None:
    told = [size_text(n) for n in (0, 999, 1000, 8_000_000, 2_500_000_000, 3_000_000_000_000)]
    assert told == ["0 B", "999 B", "1.0 kB", "8.0 MB", "2.5 GB", "3.0 TB"]


def test_no_unit_has_a_thousand() -> None:
    assert [size_text(n) for n in (999_949, 999_951, 999_960_000)] == ["999.9 kB", "1.0 MB", "1.0 GB"]
