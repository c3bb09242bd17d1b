"""`TaskGraph`, `Timeline`, `Objects`, `inspect` and `ActorPanel`: JupyterLab's panels inside a cell."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec

from raynb.runtime.adapters.registry import ClusterEntry, clusters
from raynb.runtime.api import ends, session
from raynb.runtime.api.cluster import nodes
from raynb.runtime.api.handles import ActorHandle
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.messages import screen
from raynb.runtime.messages.events import FINISHED
from raynb.widgets import graph_picture, looking, table_picture, text, timeline_picture
from raynb.widgets.output import Output, kernel_here
from raynb.widgets.sampling import sampler
from raynb.widgets.screen import Screen

SAMPLE_S = 0.4
FIRST_S_MAX = 2.0
"""So long the first picture is waited for."""
LAST_S_MAX = 0.6
"""And the last one."""
QUIET_S = 1.5
"""So long nothing may have changed before the picture that the notebook keeps is drawn anew."""
FOCUS_MAX = 100
"""Tasks that a graph can begin with."""
PAGE = 1
"""The number of the first view that a front end asks for."""

log = logging.getLogger(__name__)


class ScreenPanel:
    """A live panel in a cell, whose last picture stays in the notebook. Use its subclasses.

    It is told what happens by the cluster's event hub, not by the kernel's own code: so it goes on while a cell runs,
    and shows what other notebooks do on the cluster, too. While nobody looks at it, nothing is asked.

    Raises
    ------
    RuntimeError
        There is no cluster.
    """

    kind: ClassVar[str]

    def __init__(self, view: screen.View, focus: str = "") -> None:
        connection = session._session
        if connection is None:
            raise RuntimeError("there is no cluster to look at: call ray.init() first")
        self._entry = _entry_of(connection.info.session_dir)
        self._name = connection.info.name
        self._asked = view
        self._focus = focus
        self._lock = threading.RLock()  # the sampler's thread and the kernel's
        self._screen: Screen | None = Screen(self._entry)
        self._screen.ask(PAGE, view)
        self._view: Any = None
        self._outputs: list[Output] = []
        self._last: Any = None
        self._changed_at = time.monotonic()
        self._changes = self._drawn = 0
        self._closed = False
        self._used = False
        """Somebody points at it, or types there: drawn anew it would forget what they are about to do."""

    def __repr__(self) -> str:
        with self._lock:
            self._look(FIRST_S_MAX)
            return self._as_text(self._last) if self._last is not None else f"<{type(self).__name__}: nothing yet>"

    # -- what a subclass says

    def _as_text(self, state: Any) -> str:
        raise NotImplementedError

    def _picture(self, state: Any) -> dict[str, str]:
        """By MIME type: what stays in the notebook."""
        raise NotImplementedError

    def _is_something(self, state: Any) -> bool:
        """Whether it is worth a first picture: some views begin empty, and are told a moment later."""
        return True

    # -- showing it

    def _ipython_display_(self) -> None:
        if kernel_here() is None:
            print(repr(self))
        else:
            self.show()

    def show(self) -> None:
        """Show it in the cell that runs."""
        with self._lock:
            self._look(FIRST_S_MAX)
            if self._view is None and not self._closed:
                from raynb.widgets.screen_view import ScreenView

                where = {"id": self._entry.cluster_id, "address": self._entry.session_dir, "name": self._name}
                frames = self._screen.news() if self._screen is not None else {}
                options = {"focus": self._focus}
                self._view = ScreenView(
                    self._said, self._resume, kind=self.kind, options=options, cluster=where, frames=frames
                )
            output = Output(kernel_here())
            self._outputs.append(output)
            self._write(output)
            output.draw_at_the_end(lambda: self._draw_again(output))
        if not self._closed:
            sampler.add(self._sample, SAMPLE_S)
            if self._last_look not in ends.before_end:
                ends.before_end.append(self._last_look)

    def close(self) -> None:
        """End it: its last picture stays in the notebook. Idempotent."""
        with self._lock:
            if not self._closed:
                self._look(0.0)
                self._end()
        sampler.remove(self._sample)

    def _write(self, output: Output) -> None:
        self._drawn = self._changes
        if self._last is None:
            output.show(widget=self._view, picture={}, text=f"{type(self).__name__}: nothing yet")
        else:
            output.show(widget=self._view, picture=self._picture(self._last), text=self._as_text(self._last))

    def _draw_again(self, output: Output) -> None:
        with self._lock:
            self._look(0.0)
            self._write(output)

    def _look(self, patience_s: float) -> None:
        """Take the newest state; wait so long for the first one."""
        deadline = time.monotonic() + patience_s
        while self._screen is not None:
            if self._screen.changes != self._changes:
                self._changes = self._screen.changes
                self._changed_at = time.monotonic()
            state = self._screen.state(PAGE)
            over = self._screen.ended or session._session is None
            if state is not None and (self._is_something(state) or not over):
                self._last = state
            there = self._last is not None and self._is_something(self._last)
            if there or self._screen.ended or time.monotonic() >= deadline:
                return
            time.sleep(0.01)

    def _sample(self) -> float | None:
        """In the sampler's thread."""
        with self._lock:
            if self._closed or self._screen is None:
                return None
            self._look(0.0)
            if self._screen.ended or session._session is None:
                self._end()
                return None
            if self._view is None or not self._view.is_looked_at:
                self._screen.close()
                self._screen = None
                return None
            self._tell()
            quiet = time.monotonic() - self._changed_at >= QUIET_S
            if quiet and not self._used and self._drawn != self._changes and self._is_at_rest():
                for output in self._outputs:
                    self._write(output)
            return SAMPLE_S

    def _last_look(self) -> None:
        """The cluster is about to be left: what has happened just now belongs into the picture, too."""
        try:
            with self._lock:
                if self._screen is not None:
                    nodes()  # when the hub answers this, it knows all that this process has done
                    before, last = self._screen.changes, self._last
                    self._screen.ask(PAGE, self._asked)
                    deadline = time.monotonic() + LAST_S_MAX
                    while time.monotonic() < deadline:
                        self._look(0.0)
                        told = self._screen.changes != before and self._is_something(self._last)
                        if told and self._is_at_rest():
                            break
                        time.sleep(0.01)
                    if self._last is None or not self._is_something(self._last):
                        self._last = last  # it has not been told in time
        except Exception:
            log.exception("raynb: the last picture may be old")

    def _is_at_rest(self) -> bool:
        """Whether nothing runs or waits: then the picture that the notebook keeps is worth drawing anew."""
        return True

    def _tell(self) -> None:
        if self._view is None or self._screen is None:
            return
        news = self._screen.news()
        if news:
            self._view.frames = self._view.frames | news
        answers = self._screen.answers()
        if answers:
            self._view.send({"told": answers})

    def _resume(self) -> None:
        """Somebody looks at it (again)."""
        with self._lock:
            if self._closed:
                return
            if self._screen is None:
                try:
                    self._screen = Screen(self._entry)
                except OSError:  # the cluster has ended meanwhile
                    self._end()
                    return
                self._changes = 0
                self._screen.ask(PAGE, self._asked)
        sampler.add(self._sample, SAMPLE_S / 4)

    def _end(self) -> None:
        """The last picture takes the place of the live view, so that the notebook keeps it."""
        self._closed = True
        if self._last_look in ends.before_end:
            ends.before_end.remove(self._last_look)
        current, self._screen = self._screen, None
        if current is not None:
            current.close()
        view, self._view = self._view, None
        for output in self._outputs:
            self._write(output)
        self._outputs.clear()
        if view is not None:
            view.close()

    # -- what the front end says

    def _said(self, content: dict[str, Any]) -> None:
        if "used" in content:
            self._used = bool(content["used"])
        elif "say" in content:
            with self._lock:
                if self._screen is not None:
                    self._screen.hear_front_end(str(content["say"]))
        elif "preview" in content:
            threading.Thread(target=self._preview, args=(content,), name="raynb-preview", daemon=True).start()

    def _preview(self, content: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"preview": content["preview"]}
        try:
            if looking.look_into is None:
                raise RuntimeError("load raynb into the notebook first: %load_ext raynb")
            oid = bytes.fromhex(str(content.get("object")))
            at = tuple(int(each) for each in content.get("at") or ())
            found = looking.look_into(self._entry, oid, int(content.get("offset") or 0), at)
            answer["value"] = msgspec.to_builtins(found)
        except Exception as error:
            answer["error"] = text.line(f"{error}" or type(error).__name__, 500)
        view = self._view
        if view is not None:
            view.send(answer)


def _entry_of(session_dir: str) -> ClusterEntry:
    for entry in clusters():
        if entry.session_dir == session_dir:
            return entry
    raise RuntimeError("the cluster of this notebook is not listed any more: it has ended")


def _tasks_of(refs: ObjectRef[Any] | Iterable[ObjectRef[Any]]) -> list[str]:
    """Ids of the tasks that make these objects."""
    if not isinstance(refs, ObjectRef | Iterable) or isinstance(refs, str | bytes):
        raise TypeError(f"TaskGraph() takes references, not {type(refs).__name__}: {refs!r:.80}")
    several = [refs] if isinstance(refs, ObjectRef) else list(refs)
    for ref in several:
        if not isinstance(ref, ObjectRef):
            raise TypeError(f"TaskGraph() takes references, not {type(ref).__name__}: {ref!r:.80}")
    if not several:
        raise ValueError("TaskGraph() was given no reference at all: leave the argument out to see all tasks")
    return list(dict.fromkeys(ref.task_id().hex() for ref in several))[:FOCUS_MAX]


class TaskGraph(ScreenPanel):
    """What runs, what waits, and what flows between tasks.

    Parameters
    ----------
    refs : ObjectRef or iterable of ObjectRef, optional
        Single tasks around those that make these objects, of which the first 100 count; without it all tasks of the
        cluster by function, which one opens to see single ones.

    Raises
    ------
    TypeError
        Something else than references was given.
    ValueError
        There is no reference among them.
    RuntimeError
        There is no cluster.

    Examples
    --------
    >>> raynb.widgets.TaskGraph()  # doctest: +SKIP
    >>> raynb.widgets.TaskGraph([total, mean])  # doctest: +SKIP
    """

    kind = "graph"

    def __init__(self, refs: ObjectRef[Any] | Iterable[ObjectRef[Any]] | None = None) -> None:
        focus = "" if refs is None else ",".join(_tasks_of(refs))
        view = screen.GraphView(by="task", focus=focus) if focus else screen.GraphView()
        super().__init__(view, focus)

    def _as_text(self, state: Any) -> str:
        return graph_picture.as_text(state, "Task graph")

    def _picture(self, state: Any) -> dict[str, str]:
        return {"image/svg+xml": graph_picture.as_svg(state, "Task graph")}

    def _is_at_rest(self) -> bool:
        return all(not any(node.counts[:FINISHED]) for node in getattr(self._last, "nodes", []))


class Timeline(ScreenPanel):
    """What ran when, a lane for each worker and actor.

    Raises
    ------
    RuntimeError
        There is no cluster.
    """

    kind = "timeline"

    def __init__(self) -> None:
        super().__init__(screen.TimelineView(spans_max=3000))

    def _as_text(self, state: Any) -> str:
        return timeline_picture.as_text(state)

    def _picture(self, state: Any) -> dict[str, str]:
        return {"image/svg+xml": timeline_picture.as_svg(state)}

    def _is_at_rest(self) -> bool:
        return all(state >= FINISHED for state in self._last.spans.state) if self._last is not None else False


class _Table(ScreenPanel):
    """A page of a table."""

    columns: ClassVar[tuple[table_picture.Column, ...]]
    title: ClassVar[str]

    def _is_something(self, state: Any) -> bool:
        return bool(state.rows)

    def _as_text(self, state: Any) -> str:
        return table_picture.as_text(state, self.columns, self.title)

    def _picture(self, state: Any) -> dict[str, str]:
        return {"text/html": table_picture.as_html(state, self.columns, self.title)}


class Objects(_Table):
    """What objects there are, who holds them, and a look into each.

    Raises
    ------
    RuntimeError
        There is no cluster.
    """

    kind, title, columns = "objects", "Objects", table_picture.OBJECTS

    def __init__(self) -> None:
        super().__init__(screen.TableView(table="objects", limit=50))


class _OneObject(_Table):
    kind, title, columns = "object", "Object", table_picture.OBJECTS

    def __init__(self, oid: str) -> None:
        self._oid = oid
        super().__init__(screen.TableView(table="objects", filters=(("object_id", "=", oid),), limit=50), oid)


def inspect(ref: ObjectRef[Any]) -> ScreenPanel:
    """Show what an object is, who holds it, where it is, and a look into it, without fetching it.

    Raises
    ------
    TypeError
        Something else than a reference was given.
    RuntimeError
        There is no cluster.
    """
    if not isinstance(ref, ObjectRef):
        raise TypeError(f"inspect() takes a reference, not {type(ref).__name__}: {ref!r:.80}")
    return _OneObject(ref.hex())


class ActorPanel(_Table):
    """An actor: its state, queue, restarts and methods.

    Parameters
    ----------
    actor : ActorHandle

    Raises
    ------
    TypeError
        Something else than an actor's handle was given.
    RuntimeError
        There is no cluster.
    """

    kind, title, columns = "actor", "Actor", table_picture.ACTORS

    def __init__(self, actor: ActorHandle) -> None:
        if not isinstance(actor, ActorHandle):
            raise TypeError(f"ActorPanel() takes an actor's handle, not {type(actor).__name__}: {actor!r:.80}")
        actor_id = actor._id.hex()
        super().__init__(screen.TableView(table="actors", filters=(("actor_id", "=", actor_id),), limit=50), actor_id)
