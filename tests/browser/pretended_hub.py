"""A cluster of the imagination behind the views' websocket: for what a real one can't be made to do on demand.

It speaks the contract (`raynb.runtime.messages.screen`) for a run of 100,000 tasks, and can hang up, miss a message,
refuse or speak another protocol. The real cluster has tests of its own (`test_panels.py`).
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page, Route, WebSocketRoute

from tests.browser import pretended_tables

FUNCTIONS = [
    # name, kind, tasks, mean ms, and what it takes its inputs from
    ("load_shard", "function", 2_000, 41.0, ()),
    ("tokenize", "function", 24_000, 6.2, ("load_shard",)),
    ("embed", "function", 24_000, 18.5, ("tokenize",)),
    ("count_words", "function", 24_000, 2.1, ("tokenize",)),
    ("merge_counts", "function", 3_000, 9.7, ("count_words", "merge_counts")),
    ("ParameterServer.push", "actor", 12_000, 1.3, ("embed",)),
    ("train_step", "function", 8_000, 120.0, ("embed", "ParameterServer.push")),
    ("evaluate", "function", 2_900, 75.0, ("train_step",)),
    ("report", "function", 1, 0.0, ("evaluate", "merge_counts")),
    ("render_plots", "function", 99, 210.0, ("merge_counts",)),
]
BEGAN_MS = 1_790_000_000_000.0
TASKS = sum(row[2] for row in FUNCTIONS)


def counts(total: int, done: float, failed: int = 0) -> list[int]:
    """By state, where `done` of 1 is finished."""
    finished = min(total - failed, int(total * done))
    rest = total - finished - failed
    running = min(rest, 2 + rest // 900)
    sent = min(rest - running, running)
    ready = (rest - running - sent) // 4
    return [rest - running - sent - ready, ready, sent, running, finished, failed]


@dataclass
class PretendedHub:
    """Answers for one page. `progress` (0 to 1) is how far the run is; `tell` sends what has changed."""

    progress: float = 0.55
    protocol: int = 1
    clusters: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {
                "id": "c0ffee",
                "address": "/tmp/raynb-c0ffee",
                "name": "analysis.ipynb",
                "origin": "notebook",
                "notebook": "",
                "python": "/opt/conda/bin/python",
                "raynb_version": "9.9.9",
                "started_at": BEGAN_MS / 1000,
                "alive": True,
                "problem": "",
            },
        ]
    )
    sockets: list[WebSocketRoute] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    subscribed: dict[int, dict[str, Any]] = field(default_factory=dict)
    seqs: dict[int, int] = field(default_factory=dict)
    refusing: str = ""
    refuses_acts: str = ""
    kernel: str = ""
    """Of the notebook whose cells there are."""
    silent: bool = False
    """Nothing has happened yet."""
    span_ms: float = 120.0
    """The shortest span of the timeline."""
    functions: list[tuple[str, str, int, float, tuple[str, ...]]] = field(default_factory=lambda: list(FUNCTIONS))

    def attach(self, page: Page) -> None:
        """Before the page is opened: what it has opened a websocket with can't be replaced afterwards."""
        page.route("**/raynb/api/clusters?*", self.list_clusters)
        page.route("**/raynb/api/clusters", self.list_clusters)
        page.route("**/raynb/api/clusters/*/objects/*/preview?*", pretended_tables.preview)
        page.route("**/raynb/api/clusters/*/logs*", pretended_tables.log_page)
        page.route("**/raynb/api/clusters/*/tasks?*", self.tasks)
        page.route_web_socket("**/raynb/api/clusters/*/views*", self.connect)

    def reset(self) -> None:
        """As if nothing had happened yet, but for who is connected."""
        connected = {name: vars(self)[name] for name in ("sockets", "subscribed", "seqs")}
        vars(self).update(vars(type(self)()) | connected)

    def list_clusters(self, route: Route) -> None:
        route.fulfill(json={"clusters": self.clusters})

    def tasks(self, route: Route) -> None:
        """The state API's rows: of one task, or failed ones."""
        row = {
            "task_id": f"{10:048x}",
            "state": "FAILED",
            "error_type": "TASK_EXECUTION_EXCEPTION",
            "error_message": "Traceback (most recent call last):\n  In[8], line 9\nValueError: batch 17 has no labels",
            "worker_pid": 4001,
            "node_id": "ab" * 14,
            "required_resources": {"CPU": 1.0},
            "creation_time_ms": BEGAN_MS,
            "start_time_ms": BEGAN_MS + 1500,
            "end_time_ms": BEGAN_MS + 1600,
            "attempt_number": 1,
            "result_size": None,
        }
        route.fulfill(json={"rows": [row], "total": 1, "dropped": 0})

    def connect(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        self.subscribed.clear()
        socket.on_message(lambda text: self.hear(socket, json.loads(text)))
        welcome = {"type": "welcome", "protocol": self.protocol, "raynb_version": "9.9.9", "cluster": "c0ffee"}
        socket.send(json.dumps(welcome))

    def hear(self, socket: WebSocketRoute, message: dict[str, Any]) -> None:
        self.asked.append(message)
        number = message["id"]
        if message["type"] == "subscribe" and self.refusing:
            socket.send(json.dumps({"type": "refused", "id": number, "error": self.refusing}))
        elif message["type"] == "subscribe":
            self.subscribed[number] = message["view"]
            self.seqs[number] = 0
            state = self.state(message["view"])
            socket.send(json.dumps({"type": "snapshot", "id": number, "state": state}))
        elif message["type"] == "unsubscribe":
            self.subscribed.pop(number, None)
        elif message["type"] == "act":
            socket.send(json.dumps({"type": "done", "id": number, "error": self.refuses_acts}))

    def tell(self, skip: int = 0) -> None:
        """Send every subscription its newest state; with `skip`, as if so many messages had been lost before."""
        for number, view in list(self.subscribed.items()):
            self.seqs[number] += 1 + skip
            delta = {"type": "delta", "id": number, "seq": self.seqs[number], "state": self.state(view)}
            self.sockets[-1].send(json.dumps(delta))

    def state(self, view: dict[str, Any]) -> dict[str, Any]:
        return {
            "graph": self.graph,
            "timeline": self.timeline,
            "table": self.table,
            "summary": self.summary,
            "cells": self.cells,
        }[view["view"]](view)

    def node_counts(self, position: int) -> list[int]:
        name, _, total, *_ = self.functions[position]
        done = max(0.0, min(1.0, (self.progress * (len(self.functions) + 3) - position * 0.9) / 3))
        return counts(total, done, failed=17 if name == "train_step" and done > 0 else 0)

    def graph(self, view: dict[str, Any]) -> dict[str, Any]:
        if view["by"] == "task":
            return self.neighbourhood(view)
        nodes, edges = [], []
        for i, (name, kind, total, mean, inputs) in enumerate(self.functions):
            by_state = self.node_counts(i)
            nodes.append(
                self.node(
                    f"f{name}",
                    name,
                    kind if view["by"] == "function" else "cell",
                    by_state,
                    site=f"In[{i + 2}]:{3 + i}",
                    cell=f"cell-{i}",
                    running_since=BEGAN_MS if by_state[3] else 0.0,
                    duration_ms=mean,
                    error="ValueError: <b>batch 17</b> has no labels" if by_state[5] else "",
                )
            )
            edges += [
                {"source": f"f{source}", "target": f"f{name}", "kind": "data", "count": total} for source in inputs
            ]
        critical = [f"f{name}" for name in ("load_shard", "tokenize", "embed", "train_step", "evaluate", "report")]
        return self.graph_state(nodes, edges, critical)

    def neighbourhood(self, view: dict[str, Any]) -> dict[str, Any]:
        one = [[0, 0, 0, 0, 1, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1], [0, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]]
        nodes, edges = [], []
        for i in range(24):
            layer = 0 if i < 8 else 1 if i < 16 else 2
            name = ("tokenize", "embed", "train_step")[layer]
            state = one[0] if layer == 0 else one[min(4, i % 5)]
            why = "Waits for a worker: all 2 CPUs are taken." if state[1] else ""
            error = "ValueError: batch 17 has no labels" if state[5] else ""
            nodes.append(
                self.node(
                    f"{i:048x}", name, "task", state, cell=f"cell-{layer}", duration_ms=3.0 + i, why=why, error=error
                )
            )
            if layer:
                edges += [
                    {"source": f"{i - 8:048x}", "target": f"{i:048x}", "kind": "data", "count": 1},
                    {
                        "source": f"{8 * (layer - 1) + (i * 3) % 8:048x}",
                        "target": f"{i:048x}",
                        "kind": "data",
                        "count": 1,
                    },
                ]
        return self.graph_state(nodes, edges, []) | {"hidden": 7976}

    @staticmethod
    def node(identity: str, label: str, kind: str, by_state: list[int], **more: Any) -> dict[str, Any]:
        rest = {
            "site": "",
            "cell": "",
            "running_since": 0.0,
            "duration_ms": 0.0,
            "why": "",
            "error": "",
            "notebook": "",
        }
        return {"id": identity, "label": label, "kind": kind, "counts": by_state} | rest | more

    @staticmethod
    def graph_state(nodes: list[Any], edges: list[Any], critical: list[str]) -> dict[str, Any]:
        rest = {"dropped": 0, "hidden": 0, "gone_nodes": [], "gone_edges": []}
        return {"view": "graph", "nodes": nodes, "edges": edges, "tasks": TASKS, "critical": critical} | rest

    def timeline(self, view: dict[str, Any]) -> dict[str, Any]:
        last = BEGAN_MS + 60_000 * self.progress
        end = view.get("end") or last
        start = view.get("start") or BEGAN_MS
        lanes = [
            {"id": f"w{i}", "label": f"worker {4000 + i}", "kind": "worker", "node": "n0", "alive": True}
            for i in range(6)
        ]
        lanes.append(
            {"id": "a0", "label": "ParameterServer", "kind": "actor", "node": "n0", "alive": True},
        )
        names = [row[0] for row in self.functions]
        spans: dict[str, list[Any]] = {
            key: [] for key in ("lane", "start", "duration_ms", "name", "state", "count", "task")
        }
        if self.silent:
            lanes = []
        for lane in range(len(lanes)):
            at, k = BEGAN_MS + 37 * lane, 0
            while at < last:
                name = (k * 7 + lane * 3) % len(names) if lane < 6 else 5
                long = self.span_ms * (1 + 2.2 * abs(math.sin(k * 1.7 + lane)))
                if at + long > start and at < end:
                    for key, value in zip(
                        spans,
                        (
                            lane,
                            at,
                            long,
                            name,
                            5 if (k + lane) % 61 == 7 else 4,
                            1 + (k + lane) % 3 // 2 * 6,
                            f"{k:040x}{lane:08x}",
                        ),
                        strict=True,
                    ):
                        spans[key].append(value)
                at += long + (25 if k % 4 else 160)
                k += 1
        samples = [
            (BEGAN_MS + 60_000 * self.progress * i / 120, int(9000 * abs(math.sin(i / 19)) + 50), 6 - (i % 7 == 0))
            for i in range(121)
        ]
        return {
            "view": "timeline",
            "start": start,
            "end": end,
            "first": BEGAN_MS,
            "last": last,
            "lanes": lanes,
            "names": names,
            "spans": spans,
            "store": self.store_spans(lanes, start, min(end, last)),
            "waiting": samples,
            "left_out": 0,
            "store_dropped": 0,
        }

    def store_spans(self, lanes: list[dict[str, Any]], start: float, end: float) -> dict[str, Any]:
        """What happened in the stores of two nodes; adds their lanes."""
        columns = ("lane", "start", "duration_ms", "kind", "state", "count", "size", "object", "who", "other")
        found: dict[str, list[Any]] = {column: [] for column in columns}
        labels = ((0, "waits for room"), (1, "writes to disk"), (2, "transfers in"), (4, "transfers out"))
        for kind, label in () if self.silent else labels:
            lane = len(lanes)
            node = "1" if kind == 4 else "0"
            store = {"id": f"store:n{node}:{kind}", "label": label, "kind": "store", "node": f"n{node}", "alive": True}
            lanes.append(store)
            at, k = BEGAN_MS + 900 + 350 * kind, 0
            while at < end:
                long = (420, 260, 700, 0, 700)[kind] * (1 + abs(math.sin(k + kind)))
                failed = kind == 0 and k == 4
                who = "the store stayed full" if failed else f"worker w{k % 6} (pid {4000 + k % 6})"
                row = (
                    lane,
                    at,
                    long,
                    kind,
                    5 if failed else 4,
                    1,
                    8_000_000 * (1 + k % 5),
                    f"{k:056x}",
                    who,
                    "n1" * 14,
                )
                if at + long > start:
                    for column, value in zip(columns, row, strict=True):
                        found[column].append(value)
                at += long + (2600 + 500 * kind if k % 3 else 900)
                k += 1
        return found

    def table(self, view: dict[str, Any]) -> dict[str, Any]:
        page = pretended_tables.page(view, 1000 * time.time())
        return page | {"rows": [], "total": 0} if self.silent else page

    def summary(self, _view: dict[str, Any]) -> dict[str, Any]:
        by_state = [sum(column) for column in zip(*map(self.node_counts, range(len(self.functions))), strict=True)]
        return {
            "view": "summary",
            "nodes": 1,
            "cpus_used": 6.0,
            "cpus_total": 8.0,
            "cpu_percent": 74.0,
            "memory_used_bytes": 5_400_000_000,
            "memory_total_bytes": 16_000_000_000,
            "store_used_bytes": 1_200_000_000,
            "store_capacity_bytes": 4_000_000_000,
            "objects": 3120,
            "tasks_waiting": sum(by_state[:3]),
            "tasks_running": by_state[3],
            "tasks_finished": by_state[4],
            "tasks_failed": by_state[5],
            "actors_alive": 1,
            "drivers": 1,
        }

    def cells(self, _view: dict[str, Any]) -> dict[str, Any]:
        cells = [
            {
                "cell": f"cell-{i}",
                "notebook": self.kernel,
                "execution_count": i + 2,
                "counts": self.node_counts(i),
                "began": BEGAN_MS,
                "ended": 0.0,
            }
            for i in range(3)
        ]
        return {"view": "cells", "cells": cells}
