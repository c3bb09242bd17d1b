"""What a screen asks for and is told: the vocabulary of the websocket between the browser and the event hub.

These travel as JSON, with the names of their fields, from the GCS through the Jupyter server (which passes them on) to
the browser. TypeScript types are generated from them.

A screen subscribes to *views*, and each answers with a `Snapshot` and then with `Delta`s, a few times a second while
something changes. What a view tells is bounded whatever the cluster does: aggregates with exact counts, pages of
tables, as many spans as there is room for; and it says what it left out. ``seq`` counts what was sent of a view from
its snapshot (0) on; whoever misses one subscribes again.

Times are wall-clock milliseconds since the epoch, for display alone. Ids are hexadecimal. Counts by state are lists in
the order of `raynb.runtime.messages.events.TASK_STATES`. Text is untrusted: to be shown as text.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

SCREEN_PROTOCOL = 1


# -- the views that can be asked for


class GraphView(Struct, frozen=True, tag="graph", tag_field="view"):
    """Tasks and what flows between them.

    Attributes
    ----------
    by
        ``function`` or ``cell``: a node stands for all tasks of one; ``task``: single tasks, those around `focus`.
    focus
        With ``by="task"``: ids of tasks, joined by commas, or a node's id of the aggregated graph (its newest tasks).
    depth
        How many steps from `focus` on.
    limit
        Most nodes; what is beyond is told as one number.
    at
        As it was at this moment; None: now, and live.
    between
        Only tasks that ran in this window (start, end).
    """

    by: Literal["function", "cell", "task"] = "function"
    focus: str = ""
    depth: int = 2
    limit: int = 300
    at: float | None = None
    between: tuple[float, float] | None = None


class TimelineView(Struct, frozen=True, tag="timeline", tag_field="view"):
    """What ran when, a lane for each worker and actor; below them what happened in the nodes' stores.

    Attributes
    ----------
    start, end
        The window; an `end` of 0: until now, and live.
    buckets
        How many steps of time can be told apart (the width in pixels): shorter neighbours of one name are joined.
    spans_max
        Most spans in an answer.
    names
        Only tasks of these functions; empty: all.
    """

    start: float = 0.0
    end: float = 0.0
    buckets: int = 1000
    spans_max: int = 4000
    names: tuple[str, ...] = ()


class TableView(Struct, frozen=True, tag="table", tag_field="view"):
    """A page of one of the tables that the state API has.

    Attributes
    ----------
    filters
        (field, "=" or "!=", value), or (field, "in", values, one a line).
    search
        Text that one of a row's shown fields contains, whatever the case.
    sort
        A field; empty: the newest first.
    at
        The table as it was at this moment; None: now, and live.
    between
        Only what has to do with this window (start, end): tasks that ran in it, actors that had calls in it, objects
        that were made in it, whether they are there still or not; nodes, workers and jobs that were there.
    """

    table: Literal["tasks", "actors", "objects", "nodes", "workers", "jobs"]
    filters: tuple[tuple[str, str, str], ...] = ()
    search: str = ""
    sort: str = ""
    descending: bool = True
    offset: int = 0
    limit: int = 100
    at: float | None = None
    between: tuple[float, float] | None = None


class SummaryView(Struct, frozen=True, tag="summary", tag_field="view"):
    """The cluster in a few numbers: for the sidebar and the status bar. ``at``: as of this moment; None: live."""

    at: float | None = None


class CellsView(Struct, frozen=True, tag="cells", tag_field="view"):
    """How far the tasks of a notebook's cells are. ``notebook``: the kernel's id; empty: all notebooks."""

    notebook: str = ""


View = GraphView | TimelineView | TableView | SummaryView | CellsView


# -- what the views tell


class GraphNode(Struct, frozen=True):
    """A function, a cell or a single task.

    Attributes
    ----------
    kind
        function | actor | cell | task | put
    counts
        Tasks by state.
    site
        Where it was called: ``file:line`` or ``In[3]:line``.
    cell
        The notebook's cell id, empty where there is none.
    notebook
        The id of that notebook's kernel: copies of a notebook have the same cells.
    running_since
        Of a task, or the earliest of those that run; 0: none runs.
    duration_ms
        Of a task, or the mean of the finished ones.
    why
        Of a task that waits: one sentence. Empty where it isn't known here.
    """

    id: str
    label: str
    kind: str
    counts: list[int]
    site: str = ""
    cell: str = ""
    running_since: float = 0.0
    duration_ms: float = 0.0
    why: str = ""
    error: str = ""
    notebook: str = ""


class GraphEdge(Struct, frozen=True):
    """``kind``: data (a result is an argument) | child (was submitted by)."""

    source: str
    target: str
    kind: str
    count: int


class GraphState(Struct, frozen=True, tag="graph", tag_field="view"):
    """The whole graph; in a delta what is new or has changed, and what is gone.

    Attributes
    ----------
    critical
        Ids of the nodes on the path that has taken longest.
    tasks, dropped
        How many tasks there are in all, and of how many nothing but the count is kept.
    hidden
        Nodes beyond the limit.
    """

    nodes: list[GraphNode]
    edges: list[GraphEdge]
    tasks: int
    dropped: int = 0
    hidden: int = 0
    critical: list[str] = []
    gone_nodes: list[str] = []
    gone_edges: list[tuple[str, str, str]] = []


class Lane(Struct, frozen=True):
    """``kind``: worker | actor | node | store. ``id`` is stable."""

    id: str
    label: str
    kind: str
    node: str = ""
    alive: bool = True


class Spans(Struct, frozen=True):
    """Equally long columns, sorted by lane and start. ``lane`` and ``name`` are positions in `TimelineState`'s lists;
    ``count`` tells how many tasks a joined span stands for, ``task`` the id where it is one."""

    lane: list[int]
    start: list[float]
    duration_ms: list[float]
    name: list[int]
    state: list[int]
    count: list[int]
    task: list[str]


class StoreSpans(Struct, frozen=True):
    """What happened in the stores: equally long columns, sorted by lane and start.

    Attributes
    ----------
    kind
        Position in `raynb.runtime.messages.store_events.STORE_EVENT_KINDS`; 4: what another node has fetched from here.
    state
        As of tasks: it lasts, has ended or has failed.
    count, size
        How many a joined span stands for, and the bytes of all.
    object
        The object's id, where it is one and known.
    who
        Of one: the process that waits or writes, or why it has failed.
    other
        Of one transfer: the other node's id.
    """

    lane: list[int] = []
    start: list[float] = []
    duration_ms: list[float] = []
    kind: list[int] = []
    state: list[int] = []
    count: list[int] = []
    size: list[int] = []
    object: list[str] = []
    who: list[str] = []
    other: list[str] = []


class TimelineState(Struct, frozen=True, tag="timeline", tag_field="view"):
    """A window of time. A delta has the whole window again: it has moved.

    ``first`` and ``last`` are the ends of the recorded run, ``waiting`` samples of how many tasks waited and ran
    (time, waiting, running), for the overview. ``store_dropped``: events of stores that are not kept.
    """

    start: float
    end: float
    first: float
    last: float
    lanes: list[Lane]
    names: list[str]
    spans: Spans
    store: StoreSpans = msgspec.field(default_factory=StoreSpans)
    waiting: list[tuple[float, int, int]] = []
    left_out: int = 0
    store_dropped: int = 0


class TablePage(Struct, frozen=True, tag="table", tag_field="view"):
    """Rows of a table; a delta has the page again.

    Attributes
    ----------
    total
        How many match.
    dropped
        How many more the table has no rows of any more.
    unanswered
        Processes that were too busy to say what they have: their objects are missing.
    untimed
        Rows that a window of time leaves out because it isn't recorded when they were made.
    """

    rows: list[dict[str, Any]]
    total: int
    dropped: int = 0
    unanswered: int = 0
    untimed: int = 0


class SummaryState(Struct, frozen=True, tag="summary", tag_field="view"):
    """A delta has all of it again."""

    nodes: int
    cpus_used: float
    cpus_total: float
    cpu_percent: float
    memory_used_bytes: int
    memory_total_bytes: int
    store_used_bytes: int
    store_capacity_bytes: int
    objects: int
    tasks_waiting: int
    tasks_running: int
    tasks_finished: int
    tasks_failed: int
    actors_alive: int
    drivers: int


class CellCounts(Struct, frozen=True):
    """The tasks of the newest run of a cell."""

    cell: str
    notebook: str
    execution_count: int
    counts: list[int]
    began: float
    ended: float = 0.0


class CellsState(Struct, frozen=True, tag="cells", tag_field="view"):
    """All cells; in a delta those that have changed."""

    cells: list[CellCounts]


ViewState = GraphState | TimelineState | TablePage | SummaryState | CellsState


# -- the conversation


class Subscribe(Struct, frozen=True, tag="subscribe", tag_field="type"):
    """``id`` is the screen's own number; the same again replaces what it stood for."""

    id: int
    view: View


class Unsubscribe(Struct, frozen=True, tag="unsubscribe", tag_field="type"):
    id: int


class Act(Struct, frozen=True, tag="act", tag_field="type"):
    """Do something. Answered by `Done` with the same ``id``.

    Attributes
    ----------
    action
        cancel | retry | kill_actor | free | scale
    target
        Id of the task, actor or object; the number of CPUs for scale. To cancel all that is not over of a function or a
        cell: its node's id in the graph, or ``cell:``, the id of the notebook's kernel, ``:`` and the cell's id;
        without the kernel's, the cells of all notebooks that have this id.
    """

    id: int
    action: Literal["cancel", "retry", "kill_actor", "free", "scale"]
    target: str


Request = Subscribe | Unsubscribe | Act


class Welcome(Struct, frozen=True, tag="welcome", tag_field="type"):
    """The first message. A screen of another protocol says so and stops."""

    protocol: int
    raynb_version: str
    cluster: str


class Snapshot(Struct, frozen=True, tag="snapshot", tag_field="type"):
    """All of a view, ``seq`` 0."""

    id: int
    state: ViewState


class Delta(Struct, frozen=True, tag="delta", tag_field="type"):
    """What has changed of a view since ``seq`` - 1."""

    id: int
    seq: int
    state: ViewState


class Done(Struct, frozen=True, tag="done", tag_field="type"):
    """The answer to an `Act`; ``error`` says why it was not done, empty if it was."""

    id: int
    error: str = ""


class Refused(Struct, frozen=True, tag="refused", tag_field="type"):
    """A subscription that can't be served: an unknown field, say."""

    id: int
    error: str


Told = Welcome | Snapshot | Delta | Done | Refused


# -- what is asked for once (REST)


class Column(Struct, frozen=True):
    """``nulls``: missing values in the whole column; None: not counted, the table is too large."""

    name: str
    type: str
    nulls: int | None = None


class Histogram(Struct, frozen=True):
    """``counts`` of equal steps from ``low`` to ``high``; ``left_out``: values that are no finite numbers."""

    counts: list[int]
    low: float
    high: float
    left_out: int = 0


class ObjectPreview(Struct, frozen=True):
    """A look into an object.

    Attributes
    ----------
    kind
        What there is to show: ``array`` and ``table`` have `rows` (an array that is a picture has `image`, too),
        ``image`` has `image`, ``text`` (JSON, too), ``bytes`` (a hex dump) and ``repr`` have `text`; ``none``: nothing
        can be shown, `note` says why.
    type
        The object's type, with its module.
    bytes
        Its size in the store.
    shape, dtype
        Of arrays and tables.
    rows
        Of a table: rows from `offset` on, as text. Of an array: of its last two dimensions, at `at`.
    at
        The indices of an array's leading dimensions that `rows` show.
    offset, total
        The first row shown, and how many there are.
    image
        A ``data:`` URL of a PNG or SVG.
    note
        What was left out, or why there is nothing.
    """

    kind: Literal["array", "table", "image", "text", "bytes", "repr", "none"]
    type: str
    bytes: int = 0
    shape: list[int] | None = None
    dtype: str = ""
    columns: list[Column] = []
    rows: list[list[str]] = []
    at: list[int] = []
    offset: int = 0
    total: int = 0
    histogram: Histogram | None = None
    image: str = ""
    text: str = ""
    note: str = ""


class LogLine(Struct, frozen=True):
    """``source``: the process that wrote it (``worker 1234``, ``gcs``); ``node``: its node's id; ``at``: when it was
    written, 0 where that isn't known."""

    source: str
    text: str
    node: str = ""
    error: bool = False
    at: float = 0.0


class LogPage(Struct, frozen=True):
    """Lines in the order of their files; ``next`` is what to ask for to go on, ``sources`` all that there are.
    ``untimed``: lines that a window of time leaves out because nobody knows when they were written."""

    lines: list[LogLine]
    next: str
    sources: list[str]
    left_out: int = 0
    untimed: int = 0
