"""A notebook without a front end: IPython's shell, with what cells show caught on the way."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from IPython.core.async_helpers import get_asyncio_loop
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from raynb.magics import register, unregister
from raynb.magics.source import CellSource
from raynb.runtime.api.objects import get
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.messages.errors import RayTaskError
from raynb.runtime.worker.displays import Bundle
from tests.magics.cells import ABSENT
from tests.support.waiting import wait_until


@dataclass
class CaughtScreen:
    """Keeps what one cell was given to show; what an update replaces is gone."""

    shown: dict[str, Bundle] = field(default_factory=dict)
    failures: list[BaseException] = field(default_factory=list)
    changed: threading.Event = field(default_factory=threading.Event)

    def show(self, bundle: Bundle, *, display_id: str | None = None, update: bool = False) -> None:
        assert not update or display_id in self.shown
        self.shown[display_id or f"({len(self.shown)})"] = bundle
        self.changed.set()

    def fail(self, error: BaseException, cell: CellSource) -> None:
        self.failures.append(error)
        self.changed.set()

    @property
    def texts(self) -> list[str]:
        """The plain text of all that is shown now."""
        return [data.get("text/plain", "") for data, _ in self.shown.values()]


class Notebook:
    """Cells go in, values and errors come out.

    The shell is the process's one, since `display` asks for that.
    """

    def __init__(self) -> None:
        shell: Any = InteractiveShell
        self.shell: Any = shell.instance()
        self.shell.history_manager.enabled = False
        self.shell.colors = "nocolor"
        self.screens: list[CaughtScreen] = []
        self._given = set(self.shell.user_ns)
        register(self.shell, self._open_screen)

    def _open_screen(self) -> CaughtScreen:
        self.screens.append(CaughtScreen())
        return self.screens[-1]

    def close(self) -> None:
        unregister(self.shell)
        self.shell.reset(new_session=False)
        loop: Any = get_asyncio_loop
        loop().close()

    def clear(self) -> None:
        """An empty namespace, as after a restart."""
        for name in set(self.shell.user_ns) - self._given:
            del self.shell.user_ns[name]
        self.screens.clear()

    def run(self, cell: str, *, cell_id: str | None = None) -> Ran:
        """Run a cell."""
        with capture_output() as caught:
            result = self.shell.run_cell(cell, store_history=True, cell_id=cell_id)
        shown = [output.data.get("text/plain", "") for output in caught.outputs]
        if result.result is not None:
            shown.append(self.shell.display_formatter.format(result.result)[0]["text/plain"])
        return Ran(result.error_before_exec or result.error_in_exec, caught.stdout, caught.stderr, shown)

    def must(self, cell: str, *, cell_id: str | None = None) -> Ran:
        """Run a cell that may not fail."""
        ran = self.run(cell, cell_id=cell_id)
        assert ran.error is None, ran.stdout
        return ran

    def namespace(self) -> dict[str, Any]:
        namespace: dict[str, Any] = self.shell.user_ns
        return namespace

    def value(self, expression: str) -> Any:
        """What an expression gives in the notebook, with references for their values; an exception as its type's name.

        A name that isn't there is `ABSENT`.
        """
        if expression.isidentifier() and expression not in self.namespace():
            return ABSENT
        try:
            return eval(expression, {}, _Resolved(self.namespace()))
        except Exception as error:
            missing = expression.isidentifier() and isinstance(error, NameError)
            return ABSENT if missing else name_of(error)


class _Resolved(dict[str, Any]):
    """A namespace with values in the place of references, each fetched when it is asked for, once."""

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        super().__init__({name: value for name, value in namespace.items() if not isinstance(value, ObjectRef)})
        self._refs = {name: value for name, value in namespace.items() if isinstance(value, ObjectRef)}

    def __missing__(self, name: str) -> Any:
        self[name] = get(self._refs[name], timeout=30)
        return self[name]


@dataclass
class Ran:
    """What came of a cell."""

    error: BaseException | None
    stdout: str
    stderr: str
    shown: list[str]


def name_of(error: BaseException) -> str:
    """The type of an exception as the person wrote it."""
    if isinstance(error, RayTaskError) and isinstance(error.cause, BaseException):
        error = error.cause
    for kind in (NameError, SyntaxError, TypeError):
        if isinstance(error, kind):
            return kind.__name__
    return type(error).__name__


def wait_for_screen(screen: CaughtScreen, text: str) -> None:
    """Wait until a cell shows a text."""
    wait_until(lambda: any(text in shown for shown in screen.texts), what=f"{text!r} on the screen")
