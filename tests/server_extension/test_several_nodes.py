"""A cluster of two nodes, seen from a browser: what lies there, and what was written there."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.server_extension.conftest import Driven
from tests.support.waiting import wait_until

SECOND = """
import subprocess, sys
import numpy as np
subprocess.run(
    [os.path.join(os.path.dirname(sys.executable), "raynb"), "start", "--address", context.address_info["address"],
     "--num-cpus", "1", "--object-store-memory", "50000000", "--resources", '{"far": 1}'],
    check=True, stdout=subprocess.DEVNULL,
)
far = ray.remote(num_cpus=0, resources={"far": 1})
"""


@pytest.fixture
def two(cluster: Driven) -> Driven:
    """The second node has a resource that the head has not."""
    cluster.run(SECOND)
    return cluster


def look(cluster: Driven, expression: str) -> dict[str, Any]:
    """What is shown of the result of a task on the far node."""
    oid = cluster.run(
        f"refs = globals().setdefault('refs', []); refs.append(far(lambda: {expression}).remote())\n"
        "ray.wait(refs[-1:], fetch_local=False); answer = refs[-1].hex()"
    )
    found: dict[str, Any] = cluster.get(f"objects/{oid}/preview")
    return found


def test_what_lies_on_another_node_is_looked_at_there(two: Driven) -> None:
    array = look(two, "np.arange(600_000.0).reshape(6000, 100)")
    assert (array["kind"], array["shape"], array["rows"][1][:2]) == ("array", [6000, 100], ["100", "101"])
    assert sum(array["histogram"]["counts"]) == 600_000
    assert look(two, "b'abc' * 100_000")["kind"] == "bytes"
    values = look(two, "{number: str(number) for number in range(50_000)}")
    assert "49999" in values["text"] or "'0'" in values["text"], values
    rows = two.get("nodes?detail=1")["rows"]
    assert [row["store_objects"] for row in rows if row["is_head_node"]] == [0], "nothing was copied for a look"


def test_what_was_written_on_another_node_is_in_the_logs(two: Driven) -> None:
    pid = two.run("answer = ray.get(far(lambda: (print('far words', flush=True), os.getpid())[1]).remote())")
    near = two.run("answer = ray.get(ray.remote(lambda: (print('near words', flush=True), os.getpid())[1]).remote())")

    def page(**query: str) -> dict[str, Any]:
        found: dict[str, Any] = two.get(f"logs?{urlencode(query)}")
        return found

    def lines(search: str) -> list[dict[str, Any]]:
        return [line for line in page(search=search)["lines"] if line["source"].startswith("worker ")]

    wait_until(lambda: {f"worker {pid}", f"worker {near}"} <= set(page()["sources"]), 20, "the workers are known")
    for words, process in (("far words", pid), ("near words", near)):
        assert [(line["text"], line["source"]) for line in lines(words)] == [(words, f"worker {process}")]
    head, joined = sorted(two.get("nodes?detail=1")["rows"], key=lambda row: not row["is_head_node"])
    assert [lines(words)[0]["node"] for words in ("near words", "far words")] == [head["node_id"], joined["node_id"]]
    cursor = page()["next"]
    two.run("ray.get(far(lambda: print('more words', flush=True)).remote())")
    wait_until(lambda: "more words" in [line["text"] for line in page(after=cursor)["lines"]], what="they come")
    assert not [line for line in page(after=cursor)["lines"] if line["text"] == "far words"]
