"""`Cluster`: a cluster's card, with buttons."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from raynb.runtime.api import session
from raynb.runtime.messages.node import StopNode
from raynb.widgets import text
from raynb.widgets.cluster_facts import NONE, Facts, attachable, known
from raynb.widgets.cluster_page import as_html, as_text
from raynb.widgets.output import Output, kernel_here
from raynb.widgets.sampling import sampler
from raynb.widgets.scaling import Adaptation, Load

SAMPLE_S = 1.0

CPUS_MAX = 10_000


class Cluster:
    """The card of the cluster that this notebook is connected to.

    Live bars show CPUs, memory, object store, tasks and actors; buttons start a cluster, stop it, attach to another
    one of yours, and scale it. They act when the kernel hears of them: at once where the kernel and the front end have
    subshells (ipykernel 7 with JupyterLab 4.4 or newer), otherwise after the cell that runs.

    The cluster is asked only while the card is displayed, and while `adapt` is on.

    Examples
    --------
    >>> cluster = raynb.widgets.Cluster()  # doctest: +SKIP
    >>> cluster.adapt(minimum=2, maximum=8)  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._facts = Facts()
        self._only: session.Session | None = None
        """The connection whose card this is; None: whichever there is."""
        self._last: dict[str, Any] = {}
        self._control: dict[str, Any] = {"busy": "", "message": "", "failed": False, "adaptive": None, "clusters": []}
        self._control["answered"] = ""
        self._adaptation: Adaptation | None = None
        self._lock = threading.RLock()  # the sampler's thread and the kernel's
        self._view: Any = None
        self._outputs: list[Output] = []
        self._closed = False

    @classmethod
    def of(cls, context: session.ClusterContext) -> Cluster:
        """The card of what `init` gave: when that cluster ends, its last state stays in the notebook."""
        card = cls()
        connection = session._session
        if connection is not None and connection.info.session_dir == context["session_dir"]:
            card._only = connection
        return card

    def __repr__(self) -> str:
        with self._lock:
            self._look()
            return as_text(self._last)

    # -- what there is to do

    def scale(self, num_cpus: int) -> None:
        """Give the cluster this many CPUs for tasks and actors; ends `adapt`.

        Raises
        ------
        ValueError
            It is no whole number from 1 on.
        RuntimeError
            There is no cluster, or it can't be scaled.
        """
        _scale(_whole("num_cpus", num_cpus))
        self.adapt(None, None)

    def adapt(self, minimum: int | None, maximum: int | None) -> None:
        """Scale the cluster by what there is to do, between these numbers of CPUs; None, None: not any more.

        Goes on while the card is closed. See `raynb.widgets.scaling` for when it grows and shrinks.

        Raises
        ------
        ValueError
            The numbers make no sense.
        """
        if minimum is None and maximum is None:
            self._adaptation = None
            self._tell(adaptive=None)
            return
        self._adaptation = Adaptation(_whole("minimum", minimum), _whole("maximum", maximum))
        self._tell(adaptive={"minimum": minimum, "maximum": maximum})
        sampler.add(self._sample)

    def close(self) -> None:
        """End it: its last state stays in the notebook."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._adaptation = None
                self._leave_picture()
        sampler.remove(self._sample)

    # -- showing it

    def _ipython_display_(self) -> None:
        if kernel_here() is None:
            print(repr(self))
        else:
            self.show()

    def show(self) -> None:
        """Show it in the cell that runs."""
        with self._lock:
            self._look()
            if self._view is None and not self._closed:
                from raynb.widgets.cluster_view import ClusterView

                self._tell(clusters=_listed(self._last))
                self._view = ClusterView(self._act, self._resume, facts=self._last, control=self._control)
            output = Output(kernel_here())
            self._outputs.append(output)
            output.show(widget=self._view, html=as_html(self._last), text=as_text(self._last))
            output.draw_at_the_end(lambda: self._draw_again(output))
        self._resume()

    def _draw_again(self, output: Output) -> None:
        with self._lock:
            self._look()
            output.show(widget=self._view, html=as_html(self._last), text=as_text(self._last))

    def _resume(self) -> None:
        if not self._closed:
            sampler.add(self._sample, 0.0 if self._view is None else SAMPLE_S / 4)

    def _leave_picture(self) -> None:
        view, self._view = self._view, None
        for output in self._outputs:
            output.show(html=as_html(self._last), text=as_text(self._last))
        self._outputs.clear()
        self._facts.close()
        if view is not None:
            view.close()

    def _look(self) -> None:
        if self._closed:
            return
        now = session._session
        if self._only is not None and now is not self._only:
            self._closed = True
            self._last = known(self._only) | self._last | {"ended": True, "error": ""}
            return
        self._last = self._facts.facts_of(now)

    def _sample(self) -> float | None:
        """In the sampler's thread."""
        with self._lock:
            if self._closed:
                return None
            looked_at = self._view is not None and self._view.is_looked_at
            if not looked_at and self._adaptation is None:
                self._facts.close()
                return None
            self._look()
            if self._closed:
                self._leave_picture()
                return None
            self._adapt()
            if self._view is not None:
                self._view.facts = self._last
            if self._last["kind"] == NONE and not self._control["busy"]:
                self._tell(clusters=_listed(self._last))
        return SAMPLE_S

    def _adapt(self) -> None:
        if self._adaptation is None or self._last.get("cpus") is None:
            return
        cpus, tasks, actors = self._last["cpus"], self._last["tasks"], self._last["actors"]
        load = Load(cpus["total"], cpus["used"], tasks["waiting_for_cpu"] + actors["starting"])
        wanted = self._adaptation.step(load, time.monotonic())
        if wanted is None:
            return
        try:
            _scale(wanted)
        except Exception as error:
            self._adaptation = None
            self._tell(adaptive=None, message=f"Not adapting any more: {error}", failed=True)
        else:
            self._tell(message=f"Adapted to {_cpus(wanted)}", failed=False)

    def _tell(self, **changes: Any) -> None:
        with self._lock:
            if all(self._control[name] == value for name, value in changes.items()):
                return
            self._control = self._control | changes
            if self._view is not None:
                self._view.control = self._control

    # -- what the buttons do

    def _act(self, wish: Mapping[str, Any]) -> None:
        actions: dict[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
            "start": ("Starting a cluster…", _start),
            "stop": ("Stopping it…", lambda wish: _stop()),
            "leave": ("Disconnecting…", lambda wish: _leave()),
            "attach": ("Attaching…", _attach),
            "scale": ("Scaling…", self._scale_as_wished),
            "adapt": ("", self._adapt_as_wished),
        }
        busy, action = actions.get(str(wish.get("do")), ("", None))
        if action is None or self._closed:
            return
        self._tell(busy=busy, message="", failed=False)
        # The cluster may be about to end: nobody should wait for its answer meanwhile.
        sampler.remove(self._sample)
        with self._lock:
            self._facts.close()
        try:
            message, failed = action(wish), False
        except Exception as error:
            message, failed = text.line(f"{error}" or type(error).__name__, 500), True
        with self._lock:
            self._look()
            if self._closed:
                self._leave_picture()
                return
            if self._view is not None:
                self._view.facts = self._last
            answered = text.line(str(wish.get("id")))
            self._tell(busy="", message=message, failed=failed, clusters=_listed(self._last), answered=answered)
        self._resume()

    def _scale_as_wished(self, wish: Mapping[str, Any]) -> str:
        wanted = _whole("the number of CPUs", wish.get("num_cpus"))
        self.scale(wanted)
        return f"Scaled to {_cpus(wanted)}"

    def _adapt_as_wished(self, wish: Mapping[str, Any]) -> str:
        self.adapt(wish.get("minimum"), wish.get("maximum"))
        return "Adapting" if self._adaptation is not None else "Not adapting any more"


def _cpus(number: int) -> str:
    return f"{number} CPU{'s' * (number != 1)}"


def _whole(what: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= CPUS_MAX:
        raise ValueError(f"{what} must be a whole number from 1 to {CPUS_MAX}, not {value!r:.40}")
    return value


def _listed(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    return attachable() if facts["kind"] == NONE else []


def _scale(num_cpus: int) -> None:
    from raynb.runtime.api import cluster

    if not session.is_initialized():
        raise RuntimeError("there is no cluster to scale: start one, or attach to one")
    scale: Callable[[int], None] | None = getattr(cluster, "scale", None)
    if scale is None:
        raise RuntimeError("this version of raynb can't scale a cluster that runs: start one with the CPUs it needs")
    scale(num_cpus)


def _start(wish: Mapping[str, Any]) -> str:
    wanted = wish.get("num_cpus")
    session.init(num_cpus=None if wanted is None else _whole("the number of CPUs", wanted))
    return "Started"


def _attach(wish: Mapping[str, Any]) -> str:
    session.init(address=str(wish.get("cluster")))
    return "Attached"


def _leave() -> str:
    session.shutdown()
    return "Disconnected"


def _stop() -> str:
    connection = session._session
    if connection is not None and not connection.owns_cluster:
        connection.client.send(connection.info.node_manager, StopNode("stopped from a notebook"))
    session.shutdown()
    return "Stopped"
