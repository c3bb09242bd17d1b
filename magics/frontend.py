"""IPython's side of the magics: it finds the cell, the namespace and the output, and passes lines on.

Kept thin: what the lines mean is decided in modules that know no IPython, which are loaded when the first magic runs.
"""

from __future__ import annotations
import __future__

import builtins
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from IPython.core.display_trap import DisplayTrap
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from traitlets import Bool

if TYPE_CHECKING:
    from raynb.magics.cluster import ClusterCommands
    from raynb.magics.history import History
    from raynb.magics.remote import RemoteCells
    from raynb.magics.screen import Screen
    from raynb.magics.source import CellSource

Method = TypeVar("Method", bound=Callable[..., Any])

_FUTURES = [getattr(__future__, name) for name in __future__.all_feature_names]
_FUTURE_FLAGS = sum({feature.compiler_flag for feature in _FUTURES})


# IPython's own annotations of these refuse every function.
_cell_magic: Callable[[str], Callable[[Method], Method]] = cell_magic  # type: ignore[assignment]
_line_magic: Callable[[str], Callable[[Method], Method]] = line_magic  # type: ignore[assignment]


@magics_class
class RaynbMagics(Magics):
    """raynb's magics and their settings (`%config RaynbMagics`)."""

    cancel_on_rerun = Bool(True, help="Running a cell again cancels what its last run left running.").tag(config=True)

    cancel_on_interrupt = Bool(True, help="The stop button cancels the tasks of the cell that it stops.").tag(
        config=True
    )
    fold_lines = Bool(True, help="A line that many workers print is shown once, with how often it came.").tag(
        config=True
    )
    progress = Bool(True, help="A `get` that lasts more than a second shows how far its tasks are.").tag(config=True)

    def __init__(self, shell: InteractiveShell, open_screen: Callable[[], Screen] | None = None) -> None:
        super().__init__(shell)
        self.session = IPythonSession(shell, self, open_screen)

    @cached_property
    def _cells(self) -> RemoteCells:
        from raynb.magics.remote import RemoteCells

        return RemoteCells(self.session)

    @cached_property
    def _cluster(self) -> ClusterCommands:
        from raynb.magics.cluster import ClusterCommands

        return ClusterCommands(self.session)

    @no_var_expand
    @_cell_magic("remote")
    def remote_cell(self, line: str, cell: str) -> None:
        """Declare remote functions and actor classes, or run the cell as a task. `%%remote --help` tells more."""
        __tracebackhide__ = True
        self._cells.run_cell(line, cell)

    @no_var_expand
    @_line_magic("remote")
    def remote_line(self, line: str) -> Any:
        """Submit an expression and give its reference. `%remote --help` tells more."""
        __tracebackhide__ = True
        return self._cells.run_expression(line)

    @no_var_expand
    @_line_magic("raynb")
    def raynb(self, line: str) -> None:
        """Start, look at and stop the cluster. `%raynb --help` lists the commands."""
        __tracebackhide__ = True
        self._cluster.run(line)


class IPythonSession:
    """The notebook as the magics see it (`raynb.magics.session.Session`)."""

    def __init__(
        self, shell: InteractiveShell, settings: RaynbMagics, open_screen: Callable[[], Screen] | None
    ) -> None:
        self._shell: Any = shell  # most of its methods have no types
        self._settings = settings
        self._open_screen = open_screen
        self._raw = ""
        self._cell_id: str | None = None
        shell.events.register("pre_run_cell", self._note_cell)

    def _note_cell(self, info: Any) -> None:
        self._raw = info.raw_cell or ""
        self._cell_id = getattr(info, "cell_id", None)

    def close(self) -> None:
        """Leave the shell as it was."""
        self._shell.events.unregister("pre_run_cell", self._note_cell)

    @property
    def namespace(self) -> dict[str, Any]:
        namespace: dict[str, Any] = self._shell.user_ns
        return namespace

    @property
    def history(self) -> History:
        from raynb.magics.history import History

        return History(self._shell)

    @property
    def key(self) -> str:
        return self._cell_id or self._raw

    @property
    def future_annotations(self) -> bool:
        return bool(self._shell.compile.flags & __future__.annotations.compiler_flag)

    @property
    def cancels_on_rerun(self) -> bool:
        return bool(self._settings.cancel_on_rerun)

    def visible(self) -> Mapping[str, Any]:
        """The namespace, less IPython's own `open`, `exit` and `quit`: a task has Python's."""
        return {name: value for name, value in self.namespace.items() if not self._is_ipythons(name, value)}

    def _is_ipythons(self, name: str, value: Any) -> bool:
        if not hasattr(builtins, name) and name not in {"exit", "quit"}:  # IPython takes these two from Python
            return False
        return self._shell.user_ns_hidden.get(name) is value or type(value).__module__.startswith("IPython.")

    def cell(self, line: str, body: str) -> CellSource:
        from raynb.magics.source import CellSource, numbered

        shown = self._raw
        if not shown.rstrip().endswith(body.rstrip()):
            shown = f"%%remote {line}".rstrip() + f"\n{body}"  # another magic or a program has called
        number = self._number()
        return CellSource(
            text=numbered(body, shown, self._shell.input_transformer_manager.transform_cell),
            shown=shown,
            # The name that IPython gave this cell; its lines are then those that were typed.
            filename=self._shell.compile.cache(shown, number, raw_code=shown),
            flags=self._shell.compile.flags & _FUTURE_FLAGS,
            number=number,
        )

    def expression(self, text: str) -> CellSource:
        from raynb.magics.source import CellSource

        frame = self._user_frame()
        return CellSource(
            text="\n" * (frame.f_lineno - 1 if frame else 0) + self._shell.transform_cell(text),
            filename=frame.f_code.co_filename if frame else "<%remote>",
            flags=self._shell.compile.flags & _FUTURE_FLAGS,
            number=self._number(),
        )

    def _number(self) -> int:
        """Execution count of the cell that runs; the shell's own has moved on already in some versions."""
        result = self._shell.displayhook.exec_result
        count: int = getattr(result, "execution_count", None) or self._shell.execution_count
        return count

    def _user_frame(self) -> FrameType | None:
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_globals is not self.namespace:
            frame = frame.f_back
        return frame

    def evaluate(self, expression: str) -> Any:
        return self._shell.ev(expression)

    def bind(self, values: Mapping[str, Any]) -> None:
        self._shell.push(dict(values))

    @property
    def asks(self) -> bool:
        kernel = getattr(self._shell, "kernel", None)
        return kernel is None or bool(kernel._allow_stdin)

    def readable(self, traceback: str) -> str:
        from raynb.magics.frames import remote_text

        return remote_text(self._shell, traceback)

    def post_mortem(self, frames: TracebackType | None) -> None:
        # As IPython's `%debug`, for frames that are not those of the last error of a cell.
        trap: Any = DisplayTrap
        with trap(hook=sys.__displayhook__):
            debugger = self._shell.InteractiveTB.debugger_cls()
            debugger.reset()
            debugger.interaction(None, frames)

    def screen(self) -> Screen:
        if self._open_screen is not None:
            return self._open_screen()
        from raynb.magics.screen import open_screen

        return open_screen(self._shell)
