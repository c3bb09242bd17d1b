"""What commands show: bounded, escaped, the same in a notebook and in a terminal."""

from __future__ import annotations

import re

from raynb.magics.table import CELL_CHARS_MAX, Table, Tables, Text, cell, clean


def test_a_table_reads_as_text_with_numbers_to_the_right() -> None:
    table = Table("2 things", ("name", "size"), [["a", 5], ["long name", 12345]], numbers=["size"], notes=["1 more"])
    assert repr(table).splitlines() == [
        "2 things",
        "",
        "NAME        SIZE",
        "a              5",
        "long name  12345",
        "",
        "1 more",
    ]


def test_a_column_that_is_empty_everywhere_is_left_out() -> None:
    table = Table("t", ("a", "b", "c"), [["x", None, ""], ["y", "", None]])
    assert table.columns == ["a"] and table._repr_html_().count("<th ") == 1


def test_a_table_without_rows_is_its_title() -> None:
    assert repr(Table("0 tasks", ("a",), [])) == "0 tasks"
    assert "<table" not in Table("0 tasks", ("a",), [])._repr_html_()


def test_html_of_others_is_text() -> None:
    evil = "<script>alert('x')</script>&"
    for shown in (Table(evil, [evil], [[evil]], notes=[evil]), Text(evil, evil, [evil])):
        page = shown._repr_html_()
        assert "<script" not in page and "&lt;script&gt;" in page


def test_what_drives_a_terminal_or_turns_the_direction_of_reading_is_left_out() -> None:
    assert clean("\x1b[31mred\x1b[0m \x1b]0;title\x07end") == "red end"
    assert clean("a\u202eb\x07c") == "a b c"
    assert clean("plain ünïcode 表") == "plain ünïcode 表"


def test_a_long_cell_is_cut_and_says_so() -> None:
    assert cell("x" * 10_000) == "x" * CELL_CHARS_MAX + "..."
    assert cell("one\n  two\tthree") == "one two three"
    assert (cell(None), cell(0), cell(True)) == ("", "0", "True")


def test_headings_of_a_table_are_told_to_a_screen_reader() -> None:
    page = Table("t", ("a", "b"), [[1, 2]])._repr_html_()
    assert len(re.findall(r"<th scope='col'", page)) == 2


def test_no_colour_is_set_but_that_of_the_page() -> None:
    page = Tables(Table("t", ("a",), [[1]], notes=["n"]), Text("u", "v"))._repr_html_()
    assert not re.search(r"(?<!-)color\s*:", page) and "background:none" in page


def test_text_keeps_its_columns_and_its_lines() -> None:
    shown = Text("log", "a\tb\n\n  c", ["where it is"])
    assert repr(shown).splitlines() == ["log", "", "a    b", "", "  c", "", "where it is"]
