"""What ``%load_ext raynb`` sets up: the magics, and the link between cells and their tasks.

Each run of a cell gets a *token* that its tasks carry (and their children inherit). What a task prints arrives with
the token and is sent to the front end under the header of the very request that ran the cell: so it lands in that
cell, also after the cell has ended and while another runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import os
import signal
import sys
from collections import OrderedDict
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from raynb._version import __version__
from raynb.magics.frames import cell_number, remote_text
from raynb.output import CellOutputs
from raynb.reprs import LiveCards, install, uninstall
from raynb.runtime.api import failures, outputs, session
from raynb.runtime.client import call_sites, read_only, refs
from raynb.runtime.client.client import Client
from raynb.runtime.core.inbox import CancelCell, HeldBy
from raynb.runtime.messages.tasks import OutputLine
from raynb.stops import Stops
from raynb.traceback import SHOWN_HERE, show_error
from raynb.widgets import looking
from raynb.widgets.automatic import GetWatch

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

    from raynb.runtime.adapters.registry import ClusterEntry
    from raynb.runtime.messages.screen import ObjectPreview
    from raynb.server_extension.guests import Guests

CELLS_MAX = 1000
"""Cell runs whose output can still be placed; what comes for older ones goes to the cell that runs now."""

NAMED_ITEMS_MAX = 20_000
"""So many variables and items of containers are looked at after each cell; that takes some milliseconds."""

_UNUSED_SIGNAL = signal.SIGURG
"""One that nobody sends, and that does nothing by default."""

KERNEL_GRACE_S = 60.0
"""How long a notebook's cluster outlives a kernel that died without a word."""


class CellLink:
    """Knows which run of which cell is under way, and where the output of each belongs."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self._number = itertools.count(1).__next__
        self._parents: OrderedDict[str, Any] = OrderedDict()
        self.token = ""
        self._begun_at = shell.execution_count
        self._ahead = self._moved_on()
        """By how much the shell's count has moved on when a cell begins: some versions of IPython count before."""
        self.outputs = CellOutputs(self._send, lambda: self._setting("fold_lines"))
        self.cards = LiveCards(self._send, lambda: self.token)
        self.get_watch = GetWatch(self.kernel, lambda: self._setting("progress"), self._say_who_fills_the_store)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._do_shutdown: Any = None
        self.stops = Stops(shell, self._tell)

    @property
    def kernel(self) -> Any:
        """The kernel, None in a terminal."""
        return getattr(self.shell, "kernel", None)

    # -- IPython's events

    def pre_run_cell(self, info: ExecutionInfo) -> None:
        """A cell begins to run."""
        kernel = self.kernel
        parent = kernel.get_parent("shell") if kernel is not None else None
        cell_id = getattr(info, "cell_id", None) or ""
        self._begun_at = self.shell.execution_count
        count = self._begun_at - (self._ahead if info.store_history else 0)
        self.token = f"{self._number()}:{count}:{cell_id}"
        self._parents[self.token] = parent
        self.stops.cell_begins()
        if len(self._parents) > CELLS_MAX:
            self._parents.popitem(last=False)
        if refs.connected():
            self.enter(refs.current())
        if kernel is not None:
            self.get_watch.cell_begins(parent)

    def post_run_cell(self, result: ExecutionResult | None) -> None:
        """A cell has ended; if it was interrupted, so are its tasks (unless a setting leaves them running)."""
        self.get_watch.cell_ends()
        if (shown := sys.modules.get("raynb.widgets.output")) is not None:  # else no widget was ever displayed
            shown.cell_ends()
        self.outputs.settle(self.token)
        if result is not None and result.info is not None and result.info.store_history and result.execution_count:
            self._ahead = self._begun_at - result.execution_count
        self.stops.cell_ended()
        if result is not None and (said := read_only.hint(result.error_in_exec)) and refs.connected():
            self._tell(self.token, f"{said}\n")
        # A cell that awaits is interrupted by way of its future: the error is then asyncio's, or there is no result.
        interrupted = result is None or isinstance(result.error_in_exec, KeyboardInterrupt | asyncio.CancelledError)
        if interrupted and refs.connected() and self._setting("cancel_on_interrupt"):
            refs.current().post(CancelCell(self.token))
        if refs.connected():
            self._tell_names(refs.current())

    def _tell_names(self, client: Client) -> None:
        """Say which names hold which objects: panels show that also while the next cell keeps the kernel busy."""
        if not client.machine.objects.entries and not client.host.inbox:  # what the cell has put may wait there
            return
        from raynb.magics.history import History
        from raynb.magics.holders import held_by

        with contextlib.suppress(Exception):  # of a user's object: a proxy's `__class__` may do anything
            names = held_by(self.shell.user_ns, client, History(self.shell), items_max=NAMED_ITEMS_MAX)
            client.post(HeldBy(names, self._file_name()))

    def _file_name(self) -> str:
        """The notebook's, as the Jupyter server (or VS Code) said it when the kernel began; empty: nobody did."""
        said = os.environ.get("JPY_SESSION_NAME") or self.shell.user_ns.get("__vsc_ipynb_file__") or ""
        return PurePath(str(said)).name

    def _moved_on(self) -> int:
        """As the cell shows that loads the extension, if one does."""
        shell: Any = self.shell
        result = shell.displayhook.exec_result
        return self._begun_at - result.execution_count if result is not None and result.execution_count else 0

    def enter(self, client: Client) -> None:
        """From now on the driver works for the cell that runs."""
        if self.token:
            session.enter_cell(client, self.token, self._figure_formats())

    def _say_who_fills_the_store(self, client: Client) -> None:
        """The cell stands still in `put`: why, in the cell, as nobody can ask while it does. In a thread."""
        from raynb.magics.commands.why import with_names
        from raynb.magics.history import History
        from raynb.runtime.client.inquiry import Inquiry

        found = Inquiry(client).put()
        if found is not None:
            self._tell(self.token, f"{with_names(found, client, self.shell.user_ns, History(self.shell))}\n")

    def _figure_formats(self) -> set[str]:
        """As `%config InlineBackend.figure_formats` has them; nothing where it was never set or asked for."""
        config: Any = sys.modules.get("matplotlib_inline.config")
        backend = getattr(config, "InlineBackend", None)
        if backend is not None and backend.initialized():
            return set(backend.instance().figure_formats)
        # Until this process draws, the setting only waits here.
        waiting: Any = self.shell.config.get("InlineBackend", {}).get("figure_formats", ())
        return {waiting} if isinstance(waiting, str) else set(waiting)

    # -- output of tasks

    def output(self, lines: list[OutputLine], dropped: int) -> None:
        """Send what tasks wrote to their cells; called in the client's I/O thread."""
        if self.kernel is None:
            outputs.print_output(lines, dropped)
        else:
            self.outputs.take(lines, dropped)

    def connected(self, client: Client) -> None:
        """There is a cluster."""
        self.stops.connected(client)
        self.enter(client)

    def _tell(self, token: str, text: str) -> None:
        self._send(token, "stream", {"name": "stderr", "text": text})

    def _send(self, token: str, kind: str, content: dict[str, Any]) -> None:
        kernel = self.kernel
        parent = self._parents.get(token) or self._parents.get(self.token)
        kernel.session.send(kernel.iopub_socket, kind, content, parent=parent, ident=kind.encode())

    def _setting(self, name: str) -> bool:
        """One of `%config RaynbMagics`."""
        return bool(getattr(self.shell.magics_manager.registry.get("RaynbMagics"), name, True))

    # -- interrupts of cells that await

    def hear_signals(self) -> None:
        """Let a signal wake the kernel's event loop: else a cell that awaits is not interrupted before something else
        happens there (ipykernel#881). A loop listens for all signals as soon as it listens for one."""
        with contextlib.suppress(RuntimeError, NotImplementedError, ValueError):
            self._loop = asyncio.get_running_loop()
            self._loop.add_signal_handler(_UNUSED_SIGNAL, lambda: None)

    def source_name(self, filename: str) -> str:
        """A cell's file by the number of its cell; others as they are."""
        number = cell_number(self.shell, filename)
        return filename if number is None else f"In[{number}]"

    # -- restarts of the kernel

    @property
    def notebook(self) -> str:
        """A name that a restarted kernel has again: that of its connection file."""
        app = getattr(self.kernel, "parent", None)
        return Path(str(getattr(app, "connection_file", ""))).stem

    def hear_restarts(self) -> None:
        """Know of a kernel's end whether it is to start again: then its cluster waits for it."""
        kernel = self.kernel
        self._do_shutdown = kernel.do_shutdown

        def do_shutdown(restart: bool) -> Any:
            session.restarting = bool(restart)
            return self._do_shutdown(restart)

        kernel.do_shutdown = do_shutdown

    def close(self) -> None:
        """Leave the kernel as it was."""
        self.get_watch.cell_ends()
        self.outputs.close()
        self.cards.close()
        uninstall(self.shell.display_formatter)
        self.stops.close()
        if self._do_shutdown is not None:
            self.kernel.do_shutdown = self._do_shutdown
        if self._loop is not None:
            self._loop.remove_signal_handler(_UNUSED_SIGNAL)


CONTEXT = ("raynb.runtime.api.session", "ClusterContext")


def _displays(shell: InteractiveShell) -> Any:
    """IPython's table of what displays itself, by type."""
    formatter: Any = shell.display_formatter
    return formatter.ipython_display_formatter


def _show_cluster(context: session.ClusterContext) -> None:
    """What `init` gives, at the end of a cell: the cluster's card."""
    from raynb.widgets.cluster import Cluster

    Cluster.of(context).show()


def _look_into(entry: ClusterEntry, oid: bytes, first: int, at: tuple[int, ...]) -> ObjectPreview:
    """As the Jupyter server does it for its panels."""
    from raynb.server_extension.previews import preview

    return preview(_guests(), entry, oid, first, at)


@functools.cache
def _guests() -> Guests:
    from raynb.server_extension.guests import Guests

    return Guests()


_link: CellLink | None = None


def load(shell: InteractiveShell) -> None:
    """Set everything up; starts no process. Safe to call twice."""
    global _link
    if _link is not None and _link.shell is shell:
        return
    _link = link = CellLink(shell)
    shell.events.register("pre_run_cell", link.pre_run_cell)
    shell.events.register("post_run_cell", link.post_run_cell)
    if link.kernel is not None:
        link.hear_signals()
        link.hear_restarts()
        session.notebook = link.notebook
    call_sites.source_name = link.source_name
    custom: Any = shell
    custom.set_custom_exc(SHOWN_HERE, show_error)
    install(link.shell.display_formatter, link.cards if link.kernel is not None else None)
    outputs.sink = link.output
    outputs.with_cells = lambda traceback: remote_text(shell, traceback)
    session.on_connect = link.connected
    link.stops.open()
    failures.keep()
    session.driver_grace_s = KERNEL_GRACE_S if link.kernel is not None else 0.0
    looking.look_into = _look_into
    if link.kernel is not None:
        _displays(shell).for_type_by_name(*CONTEXT, _show_cluster)
    from raynb.magics import register

    register(shell)
    print(f"raynb {__version__}")


def unload(shell: InteractiveShell) -> None:
    """Take everything back; the cluster, if there is one, stays."""
    global _link
    link, _link = _link, None
    if link is None:
        return
    shell.events.unregister("pre_run_cell", link.pre_run_cell)
    shell.events.unregister("post_run_cell", link.post_run_cell)
    custom: Any = shell
    custom.set_custom_exc((), None)
    session.notebook = ""
    call_sites.source_name = str
    outputs.sink = None
    outputs.with_cells = str
    session.on_connect = None
    link.close()
    failures.keep(False)
    looking.look_into = None
    _displays(shell).pop(".".join(CONTEXT), None)
    from raynb.magics import unregister

    unregister(shell)
