"""What goes into a cell and what comes out of it."""

from __future__ import annotations

import pytest

from raynb.magics.analysis import analyze, check
from raynb.magics.errors import IPythonSyntaxError, MixedCellError, UndefinedNameError
from raynb.magics.facts import CellFacts, Kind
from raynb.magics.plan import Notice, Plan, ValueKind, plan
from raynb.magics.source import CellSource
from tests.magics.names import NAMES, Named


def facts(text: str) -> CellFacts:
    return analyze(CellSource(text))


def planned(text: str, has: str = "", kind: ValueKind = ValueKind.CONTAINER, **options: object) -> Plan:
    namespace = dict.fromkeys(has.split(), kind)
    return plan(facts(text), CellSource(text), namespace, lambda value: kind, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("named", NAMES, ids=lambda named: named.why)
def test_a_cell_takes_what_it_reads_and_gives_what_it_assigns(named: Named) -> None:
    found = planned(named.cell, named.has)
    assert sorted(found.inputs) == sorted(named.takes.split())
    assert found.outputs == tuple(named.gives.split())
    assert sorted(found.kept) == sorted(named.kept.split())
    assert found.copied == set(named.copied.split())


def test_the_table_has_no_cell_twice() -> None:
    assert len({named.cell for named in NAMES}) == len(NAMES)


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("import os\ndef f(): pass\nclass A: pass\nasync def g(): pass", Kind.DECLARATION),
        ('"""About."""\n# only this\ndef f(): pass', Kind.DECLARATION),
        ("@decorated\ndef f(): pass", Kind.DECLARATION),
        ("import numpy as np", Kind.DECLARATION),
        ("# nothing", Kind.DECLARATION),
        ('"a value to show"', Kind.TASK),
        ("x = 1", Kind.TASK),
        ("if c:\n    def f(): pass", Kind.TASK),
        ("import os\nos.getpid()", Kind.TASK),
        ("def f(): pass\nf()", Kind.MIXED),
        ("x = 1\nclass A: pass", Kind.MIXED),
    ],
)
def test_the_top_level_tells_a_declaration_from_a_task(cell: str, kind: Kind) -> None:
    assert facts(cell).kind is kind


def test_a_mixed_cell_is_told_both_ways_out() -> None:
    cell = CellSource("def f():\n    pass\n\nf()")
    with pytest.raises(MixedCellError, match=r"(?s)line 4: .*`f`.*declare.*run") as raised:
        check(analyze(cell), cell)
    assert raised.value._render_traceback_()[-1] == "    4 f()"


@pytest.mark.parametrize(
    ("cell", "has", "line", "words"),
    [
        ("y = 1\nz = y + tota", "total", 2, "`tota` .* Did you mean `total`"),
        ("y = x\nx = 1", "", 1, "`x` is read before"),
        ("if c:\n    y = nope", "c", 2, "nope"),
        ("f = lambda: nope", "", 1, "nope"),
        ("y = [n for n in ns if n > nope]", "ns", 1, "nope"),
        ("y = sum(nope for n in ns)", "ns", 1, "nope"),
        ("if 1:\n    def f():\n        x = 1\n        return x + nope", "", 4, "nope"),
        ("x += 1", "", 1, "`x`"),
        ("del x", "", 1, "`x`"),
        ("a\nb\nb", "", 1, "(?s)`a`.*Nor is `b` \\(line 2\\)"),
        ("from math import *\nx = 1", "", 0, ""),
        ("sin(1)\nfrom math import *", "", 1, "sin"),
        ("for i in ns:\n    [p for p in ns]\n    p", "ns", 3, "`p`"),
    ],
)
def test_an_undefined_name_is_named_with_its_line(cell: str, has: str, line: int, words: str) -> None:
    if not line:
        planned(cell, has)
        return
    with pytest.raises(UndefinedNameError, match=words) as raised:
        planned(cell, has)
    assert raised.value.line == line
    assert isinstance(raised.value, NameError)


@pytest.mark.parametrize(
    "cell",
    [
        "try:\n    x\nexcept NameError:\n    x = 1",
        "try:\n    x\nexcept (TypeError, Exception):\n    x = 1",
        "try:\n    x\nexcept:\n    x = 1",
        "from math import *\ny = sin(pi)",
        "if c: x = 1\nx",
        "f = lambda: later\nlater = 1\nf()",
        "if False: x",
        "for i in [0, 1]:\n    if i: p\n    p = i",
        "g = (w for _ in range(2))\nw = 1\nlist(g)",
        "for i in []: pass\ni",
        "if 1:\n    class A:\n        def m(self):\n            return __class__, super().m()",
    ],
)
def test_a_name_that_may_have_a_value_is_no_error(cell: str) -> None:
    planned(cell, "c")


@pytest.mark.parametrize(
    ("cell", "outputs", "notices"),
    [
        ("x.append(1)", "", [1]),
        ("y = x.pop()", "y", [1]),
        ("y = x.total()", "y", []),
        ("\nx.total()", "", [2]),
        ("x.total(); x.append(1); x.pop()", "", [1]),
        ("x = x.copy()\nx.append(1)", "x", []),
        ("x[0] = 1\nx.append(1)", "x", []),
        ("[i.append(1) for i in [[]]]", "", []),
        ("_x[0] = 1", "", [1]),
        ("await x.append(1)", "", [1]),
    ],
)
def test_a_change_that_would_be_lost_is_warned_of(cell: str, outputs: str, notices: list[int]) -> None:
    found = planned(cell, "x _x")
    assert found.outputs == tuple(outputs.split())
    assert [notice.line for notice in found.notices] == notices


def test_the_warning_names_the_input_and_the_way_out() -> None:
    [notice] = planned("x.append(1)", "x").notices
    assert isinstance(notice, Notice)
    assert "`x.append()`" in notice.message and "--outputs x" in notice.message


@pytest.mark.parametrize(
    ("kind", "warned"),
    [
        (ValueKind.OBJECT, True),
        (ValueKind.CONTAINER, False),
        (ValueKind.REF, False),
        (ValueKind.MODULE, False),
        (ValueKind.HANDLE, False),
        (ValueKind.FROZEN, False),
    ],
)
def test_any_method_of_an_unknown_type_may_change_it(kind: ValueKind, warned: bool) -> None:
    assert bool(planned("y = x.normal()", "x", kind).notices) is warned


@pytest.mark.parametrize("kind", [ValueKind.MODULE, ValueKind.HANDLE, ValueKind.DEFINITION])
def test_setting_a_part_of_a_module_or_class_gives_no_output(kind: ValueKind) -> None:
    found = planned("x.setting = 1", "x", kind)
    assert found.outputs == ()
    assert found.notices


def test_given_inputs_and_outputs_replace_the_found_ones() -> None:
    found = planned("exec('z = a')\ny = b", "a b", inputs=("a",), outputs=("z",))
    assert (found.inputs, found.outputs, found.kept) == (("a",), ("z",), ())
    assert planned("x.append(1)", "x", outputs=("x",)).copied == {"x"}
    assert not planned("x.append(1)", "x", outputs=("x",)).notices
    found = planned("if c: x = 1", "c x", inputs=("c",))
    assert (found.inputs, found.kept) == (("c",), ())
    assert found.doubtful == {"x"}
    assert planned("for i in range(3): pass", "i", outputs=("i",)).kept == ("i",)


def test_a_given_input_must_exist() -> None:
    with pytest.raises(UndefinedNameError, match="--inputs names `b`"):
        planned("x = 1", "a", inputs=("b",))


def test_a_mapped_name_is_given_and_not_taken() -> None:
    found = planned("y = x + k", "k x", mapped="x")
    assert (found.inputs, found.outputs) == (("k",), ("y",))
    assert planned("x += 1", "x", mapped="x").outputs == ("x",)
    assert planned("x[0] = 1", "", mapped="x").copied == {"x"}


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("y = 1\nfiles = get_ipython().getoutput('ls')", "shell escape"),
        ("get_ipython().system('ls')", "shell escape"),
        ("get_ipython().run_line_magic('time', 'x')", "magic"),
        ("get_ipython().run_cell_magic('time', '', 'x')", "magic"),
        ("shell = get_ipython()", "get_ipython"),
    ],
)
def test_ipython_inside_a_task_is_refused(cell: str, words: str) -> None:
    source = CellSource(cell)
    with pytest.raises(IPythonSyntaxError, match=words) as raised:
        check(analyze(source), source)
    assert raised.value.line == cell.count("\n") + 1


@pytest.mark.parametrize(
    ("cell", "shows"),
    [("x", True), ("x;", False), ("x; # done", False), ("y = 1", False), ("x\n\n# end\n", True), ("';'", True)],
)
def test_a_semicolon_hides_the_last_expression(cell: str, shows: bool) -> None:
    assert facts(cell).shows_last is shows


@pytest.mark.parametrize("cell", ["return 1", "x = (", "yield 1", "break", "def f(:\n    pass", "nonlocal x"])
def test_a_syntax_error_has_the_line_of_the_cell(cell: str) -> None:
    with pytest.raises(SyntaxError) as raised:
        analyze(CellSource(f"\n\n{cell}", filename="<here>"))
    assert (raised.value.lineno, raised.value.filename) == (3, "<here>")


def test_postponed_annotations_read_nothing() -> None:
    text = "x: Nope = 1\nif 1:\n    def f(a: Nope) -> Nope: ..."
    assert "Nope" in {read.name for read in facts(text).reads}
    postponed = analyze(CellSource(text), future_annotations=True)
    assert "Nope" not in {read.name for read in postponed.reads}
    own = facts(f"from __future__ import annotations\n{text}")
    assert "Nope" not in {read.name for read in own.reads}


def test_dotted_paths_are_noted_for_submodules() -> None:
    assert facts("xml.dom.minidom.parse(f)").modules["xml"] == {"dom", "dom.minidom", "dom.minidom.parse"}


@pytest.mark.parametrize(
    ("cell", "has", "doubtful"),
    [
        ("if c: x = 1", "c", "x"),
        ("if c: x = 1", "c x", ""),
        ("x = 1\nif c: del x", "c", "x"),
        ("x = 1\nif c: del x", "c x", "x"),
        ("for i in c: x = i\nelse: y = 1", "c", "x"),
        ("x = 1", "", ""),
        ("x += 1", "x", ""),
        ("x = 1\ntry: f()\nexcept E as x: pass", "f E", "x"),
        ("try: f()\nfinally: x = 1", "f", ""),
        ("raise ValueError\nx = 1", "", ""),
    ],
)
def test_an_output_that_may_come_to_nothing_is_known(cell: str, has: str, doubtful: str) -> None:
    assert planned(cell, has).doubtful == set(doubtful.split())


def test_a_given_output_may_come_to_nothing() -> None:
    assert planned("exec('z = 1')", outputs=("z",)).doubtful == {"z"}
