"""A look into objects from a browser: arrays in place, Python objects by a worker, nothing unpickled in the server."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import pytest

from tests.server_extension.conftest import Driven
from tests.support.waiting import wait_until


def put(cluster: Driven, expression: str, imports: str = "") -> str:
    """The id of an object that the program keeps."""
    code = f"{imports}\nkept = globals().setdefault('keeps', []); kept.append(ray.put({expression}))"
    return str(cluster.run(f"{code}\nanswer = kept[-1].hex()"))


def look(cluster: Driven, oid: str, query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = cluster.get(f"objects/{oid}/preview{query}")
    return found


NUMPY = "import numpy as np"


def test_a_page_of_an_array_its_histogram_and_its_shape(cluster: Driven) -> None:
    oid = put(cluster, "np.arange(600_000.0).reshape(3, 2000, 100)", NUMPY)
    found = look(cluster, oid, "?offset=1000&at=2")
    assert (found["kind"], found["shape"], found["dtype"]) == ("array", [3, 2000, 100], "float64")
    assert (found["at"], found["offset"], found["total"]) == ([2], 1000, 2000)
    assert found["rows"][0][:2] == ["500000", "500001"] and len(found["rows"]) == 50
    assert "The first 20 of 100 columns" in found["note"]
    histogram = found["histogram"]
    assert sum(histogram["counts"]) + histogram["left_out"] == 600_000
    assert (histogram["low"], histogram["high"]) == (0, 599_999)


def test_an_index_that_is_not_there_is_a_400_in_words(cluster: Driven) -> None:
    oid = put(cluster, "np.zeros((3, 200, 300))", NUMPY)
    for query, words in [
        ("at=3", "out of range"),
        ("at=0,0", "1 indices"),
        ("at=x", "whole numbers"),
        ("at=-1", "whole"),
    ]:
        answer = cluster.server.request("GET", f"clusters/{cluster.id}/objects/{oid}/preview?{query}")
        assert answer.status == 400 and words in answer.words, answer


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("np.zeros((0, 5))", []),
        ("np.array(7.5)", [["7.5"]]),
        ("np.array([np.nan, 1.0, np.inf] * 40_000)", [["nan"], ["1"], ["inf"]]),
        ("np.array(['a\\x1b[31mb', '\\u202ec'] * 20_000)", [["ab"], [" c"]]),
        ("np.array(['2024-01-02'] * 20_000, 'datetime64[D]')", [["2024-01-02"]]),
        ("np.asfortranarray(np.arange(100_000).reshape(1000, 100))", [["0"], ["100"]]),
    ],
)
def test_arrays_of_every_kind(cluster: Driven, expression: str, shown: list[list[str]]) -> None:
    found = look(cluster, put(cluster, expression, NUMPY))
    assert found["kind"] == "array"
    assert [row[:1] for row in found["rows"][: len(shown)]] == shown


def test_a_picture_is_shown_as_one(cluster: Driven) -> None:
    oid = put(cluster, "np.random.default_rng(1).integers(0, 255, (600, 800, 3), dtype=np.uint8)", NUMPY)
    image = look(cluster, oid)["image"]
    assert base64.b64decode(image.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
    assert look(cluster, put(cluster, "np.zeros(500_000)", NUMPY))["image"] == ""


def test_a_large_array_is_shown_at_once_without_being_read(cluster: Driven) -> None:
    oid = put(cluster, "np.zeros((16_000, 8_000))", NUMPY)  # 1 GB
    look(cluster, oid)
    before = mapped_bytes(cluster.server.process.pid)
    began = time.monotonic()
    found = look(cluster, oid, "?offset=15000")
    assert time.monotonic() - began < 1
    assert found["rows"][0][0] == "0" and "The histogram is of" in found["note"]
    assert mapped_bytes(cluster.server.process.pid) - before < 10_000_000


def mapped_bytes(pid: int) -> int:
    """What of shared memory a process has touched."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssShmem"))


FRAME = "pd.DataFrame({'x': np.arange(50_000), 'y': [1.5, None] * 25_000, 'name': ['<b>a</b>', None] * 25_000})"


def test_a_data_frame_is_paged_with_its_types_and_missing_values(cluster: Driven) -> None:
    oid = put(cluster, FRAME, "import numpy as np, pandas as pd")
    found = look(cluster, oid, "?offset=49990")
    assert (found["kind"], found["type"], found["shape"]) == ("table", "pandas.DataFrame", [50_000, 3])
    assert [(c["name"], c["nulls"]) for c in found["columns"][1:]] == [("x", 0), ("y", 25_000), ("name", 25_000)]
    assert len(found["rows"]) == 10 and found["rows"][0][:2] == ["49990", "49990"]
    assert found["rows"][0][3] == "<b>a</b>"  # text, whatever it looks like


def test_an_arrow_table_is_paged(cluster: Driven) -> None:
    oid = put(
        cluster,
        "pa.table({'n': pa.array(range(100_000)), 't': pa.array(['a', None] * 50_000)})",
        "import pyarrow as pa",
    )
    found = look(cluster, oid, "?offset=99998")
    assert [(c["name"], c["type"], c["nulls"]) for c in found["columns"]] == [
        ("n", "int64", 0),
        ("t", "string", 50_000),
    ]
    assert found["rows"] == [["99998", "a"], ["99999", ""]] and found["total"] == 100_000


@pytest.mark.parametrize(
    ("expression", "kind", "text"),
    [
        ("'a' * 1000", "text", "aaa"),
        ("'héllo\\n\\x1b[31mred\\u202e' * 20_000", "text", "héllo\nred "),
        ("b'\\x00abc' * 50_000", "bytes", "00000000  00 61 62 63"),
        ("b'\\x00abc'", "bytes", "00000000  00 61 62 63"),
        ("{'a': [1, None, 'x'], 'b': {'c': 1.5}}", "text", '{\n  "a": [\n    1,\n    null'),
        ("list(range(100_000))", "text", "[\n  0,\n  1,"),
        ("{1, 2, 3}", "repr", "{1, 2, 3}"),
        ("ray.__name__.upper", "repr", "<built-in method upper"),
        ("42", "repr", "42"),
    ],
)
def test_what_is_no_array_is_shown_as_text(cluster: Driven, expression: str, kind: str, text: str) -> None:
    found = look(cluster, put(cluster, expression))
    assert found["kind"] == kind and found["text"].startswith(text), found
    assert len(found["text"]) < 30_000


def test_a_figure_is_drawn_by_a_worker(cluster: Driven) -> None:
    imports = "import matplotlib.figure\nfigure = matplotlib.figure.Figure(); figure.subplots().plot([1, 2])"
    found = look(cluster, put(cluster, "figure", imports))
    assert found["kind"] == "image" and found["image"].startswith("data:image/png;base64,"), found["note"]


def test_what_draws_itself_as_svg_is_an_image_and_no_markup(cluster: Driven) -> None:
    drawn = "type('Drawn', (), {'_repr_svg_': lambda self: '<svg onload=\"alert(1)\"/>'})()"
    found = look(cluster, put(cluster, drawn))
    assert found["kind"] == "image" and found["image"].startswith("data:image/svg+xml;base64,")


EVIL = """
import os
class Evil:
    def __reduce__(self):
        return (lambda path: open(path, "a").write(f"{os.getpid()}\\n"), (PATH,))
"""


def test_a_pickle_that_runs_code_runs_it_in_a_worker_and_never_in_the_server(cluster: Driven, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    look(cluster, put(cluster, "Evil()", EVIL.replace("PATH", repr(str(ran)))))
    pids = {int(line) for line in ran.read_text().split()}
    assert pids and cluster.server.process.pid not in pids and cluster.program.pid not in pids
    log = cluster.server.unpickled
    assert log == "", f"the server unpickled: {log}"


def test_what_can_not_be_shown_says_why_and_others_still_can(cluster: Driven) -> None:
    code = "class Broken:\n    def __repr__(self): raise KeyError('no <i>repr</i>')"
    found = look(cluster, put(cluster, "Broken()", code))
    assert found["kind"] == "none" and "KeyError" in found["note"] and "<i>repr</i>" in found["note"]
    assert look(cluster, put(cluster, "1"))["text"] == "1"


def test_what_takes_too_long_to_show_is_broken_off(cluster: Driven) -> None:
    code = "import time\nclass Slow:\n    def __repr__(self):\n        time.sleep(1000)"
    found = look(cluster, put(cluster, "Slow()", code))
    assert found["kind"] == "none" and "within 10 s" in found["note"]
    assert look(cluster, put(cluster, "2"))["text"] == "2"


def test_an_object_in_shared_memory_is_shown_while_its_owner_stands_still(cluster: Driven) -> None:
    array = put(cluster, "np.arange(1_000_000)", NUMPY)
    frame = put(cluster, FRAME, "import numpy as np, pandas as pd")
    small = put(cluster, "'small'")
    look(cluster, frame)
    cluster.program.stop()
    began = time.monotonic()
    assert look(cluster, array)["rows"][1] == ["1"]
    assert time.monotonic() - began < 1.5
    assert look(cluster, frame)["total"] == 50_000
    found = look(cluster, small)
    assert found["kind"] == "none" and "do not answer" in found["note"]
    cluster.program.go_on()
    assert look(cluster, small)["text"] == "small"


def test_looking_leaves_no_trace_in_the_run_and_keeps_nothing(cluster: Driven) -> None:
    look(cluster, put(cluster, FRAME, "import numpy as np, pandas as pd"))
    look(cluster, put(cluster, "np.arange(1_000_000)", NUMPY))
    assert cluster.get("tasks")["total"] == 0
    assert [row["driver_info"]["pid"] for row in cluster.get("jobs?detail=1")["rows"]] == [str(cluster.program.pid)]
    cluster.run("keeps.clear(); kept = None")
    wait_until(lambda: cluster.get("nodes?detail=1")["rows"][0]["store_objects"] == 0, what="all is freed")


def test_a_cluster_that_was_looked_into_ends_with_its_driver(cluster: Driven) -> None:
    look(cluster, put(cluster, "np.arange(1_000_000)", NUMPY))
    cluster.run("keeps.clear(); ray.shutdown()")
    wait_until(lambda: cluster.id not in [found["id"] for found in cluster.server.clusters()])
    wait_until(lambda: not maps_of(cluster), what="the server has let go of its memory")


def maps_of(cluster: Driven) -> list[str]:
    lines = Path(f"/proc/{cluster.server.process.pid}/maps").read_text().splitlines()
    return [line for line in lines if cluster.session in line]


def test_an_object_that_is_not_there_is_a_404(cluster: Driven) -> None:
    answer = cluster.server.request("GET", f"clusters/{cluster.id}/objects/{'ab' * 28}/preview")
    assert answer.status == 404 and "there is no object" in answer.words, answer


def test_a_worker_is_found_for_a_look_while_all_cpus_are_taken(cluster: Driven, gate: Path) -> None:
    oid = put(cluster, FRAME, "import numpy as np, pandas as pd")
    cluster.run(f"held = [hold.remote({str(gate)!r}) for _ in range(6)]")
    wait_until(lambda: cluster.get("tasks?filter=state=RUNNING")["total"] == 2, what="both CPUs are taken")
    assert look(cluster, oid)["total"] == 50_000
