"""What a cell is, and what it says about names: by the syntax tree and the symbol table.

Nothing here knows a notebook, a value or IPython. `analyze` takes a cell that IPython has already
transformed, so that its magics and shell escapes are calls that can be found and named.
"""

from __future__ import annotations

import ast
import io
import tokenize

from raynb.magics.errors import IPythonSyntaxError, MixedCellError
from raynb.magics.facts import CellFacts, Command, Kind
from raynb.magics.flow import StatementWalker
from raynb.magics.source import CellSource
from raynb.magics.states import DELETED, NOTEBOOK

_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_IMPORTS = ast.Import | ast.ImportFrom


def analyze(cell: CellSource, *, future_annotations: bool = False) -> CellFacts:
    """The facts about a cell.

    Parameters
    ----------
    cell
        The cell's transformed source.
    future_annotations
        `from __future__ import annotations` is in force in the session.

    Raises
    ------
    SyntaxError
        With the cell's own line.
    """
    tree = cell.parse()
    walker = StatementWalker(future_annotations=future_annotations)
    walker.block(tree.body)
    # Where every path raises there is no end, and what the names have there doesn't matter.
    end = {name: (walker.state or {}).get(name, NOTEBOOK) for name in walker.assigned if walker.state is not None}
    definitions = {s.lineno: s.name for s in tree.body if isinstance(s, _DEFINITIONS)}
    statements = tuple(s.lineno for s in tree.body if _makes_a_task(s))
    has_last = bool(tree.body) and isinstance(tree.body[-1], ast.Expr)
    return CellFacts(
        kind=_kind(tree, definitions, statements),
        definitions=definitions,
        statements=statements,
        expressions=tuple(s.lineno for s in tree.body if isinstance(s, ast.Expr)),
        reads=tuple(walker.reads.values()),
        assigned=tuple(walker.assigned),
        bound=frozenset(walker.bound),
        unsure=frozenset(name for name in walker.assigned if end.get(name, 0) & NOTEBOOK),
        deleted=frozenset(name for name in walker.assigned if end.get(name) == DELETED),
        may_be_deleted=frozenset(name for name in walker.assigned if end.get(name, 0) & DELETED),
        mutations=tuple(walker.mutations),
        method_calls=tuple(walker.method_calls),
        commands=tuple(walker.commands),
        modules={root: frozenset(paths) for root, paths in walker.modules.items()},
        star_import=walker.star_import,
        has_last=has_last,
        shows_last=has_last and not ends_in_semicolon(cell.text),
    )


def check(facts: CellFacts, cell: CellSource) -> None:
    """Refuse what can't be made a task or a declaration.

    Raises
    ------
    IPythonSyntaxError
        A magic or a shell escape inside the cell.
    MixedCellError
        Definitions and statements side by side.
    """
    if facts.commands:
        raise _no_ipython(facts.commands[0], cell)
    if facts.kind is Kind.MIXED:
        names = ", ".join(f"`{name}`" for name in facts.definitions.values())
        line = facts.statements[0]
        raise MixedCellError(
            f"%%remote takes a cell as declarations or as one task, and this one is both: it defines"
            f" {names}, and here it runs something. Either\n"
            f"  - declare: keep {names} under %%remote, which makes them remote, and move the other"
            " statements to a cell below; or\n"
            f"  - run: keep the statements under %%remote, which makes them one task, and move {names}"
            " to a plain cell above; the task takes them along.",
            line=line,
            cell=cell,
        )


def _makes_a_task(statement: ast.stmt) -> bool:
    return not isinstance(statement, _DEFINITIONS | _IMPORTS) and not _is_text(statement)


def _is_text(statement: ast.stmt) -> bool:
    """Whether the statement is a string alone, as a docstring is."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _kind(tree: ast.Module, definitions: dict[int, str], statements: tuple[int, ...]) -> Kind:
    if definitions and statements:
        return Kind.MIXED
    # A string alone is a value to show; beside definitions and imports it is documentation.
    only_text = bool(tree.body) and all(_is_text(statement) for statement in tree.body)
    return Kind.TASK if statements or only_text else Kind.DECLARATION


def _no_ipython(command: Command, cell: CellSource) -> IPythonSyntaxError:
    if command.method in {"system", "getoutput"}:
        message = (
            "a shell escape needs IPython, and there is none where the task runs."
            " Use subprocess.run(...), or run it in a cell of its own."
        )
    elif command.method:
        message = (
            "a magic needs IPython, and there is none where the task runs."
            " Run it in a cell of its own, or write what it does in Python."
        )
    else:
        message = "there is no IPython where the task runs, so that get_ipython() can't be used."
    return IPythonSyntaxError(message, line=command.line, cell=cell)


def ends_in_semicolon(source: str) -> bool:
    """Whether the last thing in a cell, comments left out, is `;`: then nothing is shown."""
    last = ""
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER, tokenize.DEDENT}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in silent:
            last = token.string
    return last == ";"
