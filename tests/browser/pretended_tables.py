"""Objects, actors and nodes of a cluster of the imagination, and looks into its objects."""

from __future__ import annotations

import base64
import math
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Route

HOUR_MS = 3_600_000.0
NODES = ["6d1f" * 14, "a03c" * 14]
KINDS = [
    ("numpy.ndarray", "float64", [1_000_000, 8]),
    ("pandas.core.frame.DataFrame", "", [120_000, 5]),
    ("pyarrow.lib.Table", "", [500_000, 3]),
    ("numpy.ndarray", "uint8", [480, 640, 3]),
    ("builtins.dict", "", None),
    ("matplotlib.figure.Figure", "", None),
    ("builtins.bytes", "", None),
]
OBJECTS = 250
HOSTILE = "<img src=x onerror=window.hacked=1>"


def objects(now_ms: float) -> list[dict[str, Any]]:
    rows = []
    for i in range(OBJECTS):
        kind, dtype, shape = KINDS[i % len(KINDS)]
        state = "FAILED" if i % 41 == 40 else "PENDING" if i % 29 == 28 else "STORED" if i % 7 < 4 else "READY"
        rows.append(
            {
                "object_id": f"{i:056x}",
                "object_size": 64_000_000 - 250_000 * i if state == "STORED" else 3_000 + i,
                "state": state,
                "task_status": "FINISHED",
                "reference_type": "LOCAL_REFERENCE" if i % 3 else "USED_BY_PENDING_TASK",
                "held_by": [["features"], ["df", "Out[7]"], [], ["blocks[3]", "12 queued: embed"]][i % 4],
                "call_site": f"In[{3 + i % 5}]:{1 + i % 9}",
                "created_ms": now_ms - HOUR_MS * (i + 1) / 40,
                "value_type": kind,
                "value_dtype": dtype,
                "value_shape": shape,
                "type": "DRIVER" if i % 2 else "WORKER",
                "pid": 4000 + i % 6,
                "node_id": NODES[i % 2],
                "local_references": 1 + i % 2,
                "pending_tasks": i % 3,
                "borrowers": i % 2,
                "failed_tasks": 0,
            }
        )
    return rows


def actors() -> list[dict[str, Any]]:
    dead = {
        "actor_died_error_context": {"error_message": "The worker died: signal 9 (SIGKILL)\n  last line of its log"}
    }
    states = ["ALIVE", "ALIVE", "RESTARTING", "DEAD", "PENDING_CREATION"]
    return [
        {
            "actor_id": f"{i:032x}",
            "class_name": ("ParameterServer", "Tokenizer", HOSTILE)[i % 3],
            "name": "shared" if i == 0 else "",
            "state": state,
            "pid": 0 if state == "PENDING_CREATION" else 5000 + i,
            "node_id": NODES[0],
            "num_restarts": i % 3,
            "max_restarts": (4, -1, 0)[i % 3],
            "pending_calls": 17 * i,
            "running_calls": int(state == "ALIVE"),
            "methods": ["push", "pull", "reset"],
            "required_resources": {"CPU": 1.0},
            "death_cause": dead if state == "DEAD" else None,
            "is_detached": i == 0,
            "call_site": f"In[4]:{i + 1}",
        }
        for i, state in enumerate(states)
    ]


def nodes(now_ms: float) -> list[dict[str, Any]]:
    return [
        {
            "node_id": identity,
            "node_name": ("laptop", "server-7")[i],
            "node_ip": f"10.0.0.{i + 1}",
            "is_head_node": i == 0,
            "state": "ALIVE",
            "state_message": None,
            "resources_total": {"CPU": 8.0, "GPU": 2.0 * i, "memory": 16e9, f"node:10.0.0.{i + 1}": 1.0},
            "resources_available": {"CPU": 1.5 + i, "GPU": 1.0 * i, "memory": 9e9, f"node:10.0.0.{i + 1}": 1.0},
            "labels": {"zone": "attic"},
            "demand": {"CPU": 12.0} if i == 0 else {},
            "cpu_percent": 74.0 - 40 * i,
            "memory_used_bytes": 5_400_000_000,
            "memory_total_bytes": 16_000_000_000,
            "store_used_bytes": 3_800_000_000 - 3_000_000_000 * i,
            "store_capacity_bytes": 4_000_000_000,
            "store_objects": 3120,
            "workers": 8,
            "pid": 3000 + i,
            "start_time_ms": now_ms - HOUR_MS,
        }
        for i, identity in enumerate(NODES)
    ]


def page(view: dict[str, Any], now_ms: float) -> dict[str, Any]:
    """What the hub does with a view of a table."""
    rows = {"objects": lambda: objects(now_ms), "actors": actors, "nodes": lambda: nodes(now_ms)}[view["table"]]()
    for field, operator, value in view.get("filters", ()):
        rows = [row for row in rows if (str(row[field]) == value) == (operator == "=")]
    if view.get("between"):
        rows = rows[:7]
    if view.get("at"):
        rows = rows[:12]
    text = view.get("search", "").lower()
    rows = [row for row in rows if any(text in str(value).lower() for value in row.values())]
    if view.get("sort"):
        rows.sort(key=lambda row: (str(type(row[view["sort"]])), row[view["sort"]]), reverse=view["descending"])
    offset = view.get("offset", 0)
    shown = rows[offset : offset + view.get("limit", 100)]
    of_objects = view["table"] == "objects"
    more = {
        "dropped": 40 if of_objects and view.get("at") else 0,
        "unanswered": int(of_objects and not view.get("at")),
        "untimed": 3 if of_objects and view.get("between") else 0,
    }
    return {"view": "table", "rows": shown, "total": len(rows)} | more


def preview(route: Route) -> None:
    """Answers a request for a look into an object."""
    url = urlsplit(route.request.url)
    number = int(url.path.rsplit("/", 2)[1], 16)
    asked = parse_qs(url.query)
    offset = int(asked.get("offset", ["0"])[0])
    kind, dtype, shape = KINDS[number % len(KINDS)]
    found: dict[str, Any] = {"type": kind, "bytes": 64_000_000, "shape": shape, "dtype": dtype, "offset": offset}
    found |= {"columns": [], "rows": [], "at": [], "total": 0, "histogram": None, "image": "", "text": "", "note": ""}
    match kind, dtype:
        case "numpy.ndarray", "float64":
            bell = [round(400 * math.exp(-(((i - 20) / 7) ** 2))) for i in range(40)]
            rows = [[f"{math.sin(offset + i + j):.4f}" for j in range(8)] for i in range(20)]
            histogram = {"counts": bell, "low": -3.2, "high": 3.4, "left_out": 12}
            found |= {"kind": "array", "rows": rows, "total": 1_000_000, "histogram": histogram}
        case "numpy.ndarray", _:
            at = [int(each) for each in asked.get("at", ["0"])[0].split(",")]
            rows = [[str((at[0] + i * j) % 256) for j in range(3)] for i in range(20)]
            found |= {"kind": "array", "rows": rows, "total": 640, "at": at, "image": picture()}
        case (("pandas.core.frame.DataFrame" | "pyarrow.lib.Table"), _):
            names = ["id", "text", "price", "seen", "group"][: (shape or [0, 5])[1]]
            columns = [
                {"name": name, "type": type_, "nulls": nulls}
                for name, type_, nulls in zip(
                    names, ["int64", "string", "double", "timestamp", "category"], [0, 17, 3, None, 0], strict=False
                )
            ]
            rows = [[str(offset + i), HOSTILE, f"{i * 1.25:.2f}", "2026-01-05", "a"][: len(names)] for i in range(20)]
            found |= {"kind": "table", "columns": columns, "rows": rows, "total": 120_000}
        case "matplotlib.figure.Figure", _:
            found |= {"kind": "image", "image": picture(), "note": "drawn by a worker"}
        case "builtins.bytes", _:
            found |= {"kind": "bytes", "text": "00000000  89 50 4e 47 0d 0a 1a 0a  |.PNG....|"}
        case _:
            found |= {"kind": "text", "text": f'{{"note": "{HOSTILE}", "colour": "\x1b[31mred"}}'}
    route.fulfill(json=found)


def picture() -> str:
    """An SVG whose script must not run."""
    circles = "".join(
        f'<circle cx="{30 + 20 * i}" cy="{60 + 30 * math.sin(i)}" r="9" fill="hsl({i * 40} 60% 50%)"/>'
        for i in range(12)
    )
    script = "<script>window.hacked = 2; parent.hacked = 3</script>"
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="280" height="120">{script}{circles}</svg>'
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def log_page(route: Route) -> None:
    """Answers a request for logs: 300 lines, then one more each time."""
    asked = parse_qs(urlsplit(route.request.url).query)
    after = int(asked.get("after", ["0"])[0])
    texts = [f"shard {i} is read" if i % 7 else f"\x1b[31mwarning {i}: {HOSTILE}\u202e" for i in range(300)]
    lines = [
        {"source": f"worker {4000 + i % 3}", "text": text, "node": NODES[0], "error": i % 7 == 0, "at": 1.79e12 + i}
        for i, text in enumerate(texts)
    ][after:]
    timed = "since" in asked or "until" in asked
    if timed:
        lines = lines[:24]
    elif not lines:
        text = f"line {after} has come"
        lines = [{"source": "worker 4000", "text": text, "node": NODES[0], "error": False, "at": 0.0}]
    search = asked.get("search", [""])[0].lower()
    shown = [line for line in lines if search in str(line["text"]).lower()]
    sources = [f"worker {4000 + i}" for i in range(3)]
    cursor = {"next": str(after + len(lines)), "sources": sources}
    route.fulfill(json={"lines": shown, **cursor, "left_out": 0, "untimed": 9 if timed else 0})
