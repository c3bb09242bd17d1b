"""Words of others become harmless and short."""

from __future__ import annotations

from raynb.widgets import text


def test_a_line_has_no_control_characters_and_no_marks_that_turn_it() -> None:
    said = text.line("a\x1b[31mred\x1b[0m\nb\x07\u202ec\u2066")
    assert said == "ared b\ufffd\ufffdc\ufffd"


def test_a_long_line_is_shortened_at_its_end() -> None:
    assert text.line("x" * 1000, 10) == "x" * 9 + "…"


def test_a_long_traceback_loses_its_middle() -> None:
    said = text.lines("begin\n" + "x" * 100_000 + "\nend", 100)
    assert said.startswith("begin\n") and said.endswith("\nend")
    assert len(said) < 200
    assert "characters left out" in said


def test_the_lines_of_a_traceback_stay_lines() -> None:
    assert text.lines("a\n  b\r\n\x1b]8;;http://x\x07c") == "a\n  b\nc"


def test_html_is_escaped_inside_of_quotes_too() -> None:
    assert text.escaped("<a href=\"x\" y='z'>&") == "&lt;a href=&quot;x&quot; y=&#x27;z&#x27;&gt;&amp;"


def test_numbers_are_written_for_people() -> None:
    assert [text.duration(s) for s in (4.21, 42, 187, 7500)] == ["4.2 s", "42 s", "3:07 min", "2:05 h"]
    assert [text.amount(n) for n in (2, 2.54, 25.4)] == ["2", "2.5", "25"]
    assert text.count(1234567) == "1\u202f234\u202f567"
