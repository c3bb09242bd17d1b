"""What stays in a notebook when the widget is gone: text, and HTML that needs no program."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from raynb.widgets import cluster_page, progress_page
from raynb.widgets.tally import Bar, Counts, Failure, Snapshot

SNAPSHOT = Snapshot(
    bars=[Bar(30, 2, 4, 24, "simulate"), Bar(1, name="<script>alert(1)</script>")],
    others=Counts(done=5),
    others_count=3,
    total=Counts(36, 2, 4, 24),
    elapsed_s=4.2,
    rate=7.6,
    eta_s=3.7,
    failures=[Failure("simulate", "ValueError: <b>", 2, 'Traceback\n"</pre><script>"')],
    failures_more=1,
)
FACTS: dict[str, Any] = {
    "kind": "own",
    "ended": False,
    "name": "<i>mine</i>",
    "id": "1",
    "place": "started here",
    "up_s": 61.0,
    "error": "",
    "cpus": {"used": 1.5, "total": 2.0},
    "cpu_percent": 37.4,
    "memory": {"used_bytes": 1 << 30, "total_bytes": 4 << 30},
    "store": {"used_bytes": 0, "capacity_bytes": 1 << 30, "objects": 0},
    "tasks": {"running": 1, "waiting": 2, "waiting_for_cpu": 2, "finished": 3, "failed": 0},
    "actors": {"alive": 1, "starting": 0, "restarting": 0, "dead": 4},
}


class Words(HTMLParser):
    """What a page says, and the elements that it has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.says = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        if self.tags[-1] != "style":
            self.says += data


def test_a_progress_is_lines_of_text() -> None:
    assert progress_page.as_text(SNAPSHOT, "running").splitlines() == [
        "Running: 38 of 66 in 4.2 s, 7.6/s, about 3.7 s left",
        "  simulate                   ██████████▒▒········  30 of 60, 2 failed, 4 running",
        "  <script>alert(1)</script>  ████████████████████  1 of 1",
        "  3 more functions           ████████████████████  5 of 5",
        "  simulate: ValueError: <b> (\N{MULTIPLICATION SIGN}2)",
        "  and 1 more failures",
    ]


def test_a_progress_is_a_table_whose_words_are_text() -> None:
    page = Words(progress_page.as_html(SNAPSHOT, "failed"))
    assert not {"script", "b", "img"} & set(page.tags)
    assert not [name for name in page.attributes if name.startswith("on")]
    assert page.tags.count("tr") == 3 and page.tags.count("details") == 1
    for words in ("Done, with failures", "30 of 60, 2 failed", "<script>alert(1)</script>", '"</pre><script>"'):
        assert words in page.says


def test_the_parts_of_a_bar_are_as_long_as_they_are_many() -> None:
    page = progress_page.as_html(SNAPSHOT, "running")
    assert [float(width) for width in re.findall(r'style="width:([\d.]+)%', page)] == [50, 3.33, 6.67, 100, 100]


def test_what_the_live_view_is_told_has_the_same_counts() -> None:
    state = progress_page.state_of(SNAPSHOT, "running")
    assert state["bars"] == [
        {"name": "simulate", "done": 30, "failed": 2, "running": 4, "waiting": 24},
        {"name": "<script>alert(1)</script>", "done": 1, "failed": 0, "running": 0, "waiting": 0},
    ]
    assert state["others"] == {"functions": 3, "done": 5, "failed": 0, "running": 0, "waiting": 0}
    assert (state["failed"], state["failed_more"]) == ([2], 1)


def test_nothing_is_a_bar_too() -> None:
    empty = Snapshot([Bar(name="f")], Counts(), 0, Counts(), 0.0, None, None)
    assert "0 of 0" in progress_page.as_text(empty, "done")
    assert "0 of 0" in progress_page.as_html(empty, "done")


def test_a_cluster_is_lines_of_text() -> None:
    lines = cluster_page.as_text(FACTS).splitlines()
    assert lines[0] == "Cluster <i>mine</i>: up 1:01 min, started here"
    assert lines[1] == "  CPU slots     ███████████████·····  1.5 of 2 in use"
    assert lines[-2:] == ["  Tasks         1 running, 2 waiting, 3 done", "  Actors        1 alive"]


def test_a_cluster_is_a_table_whose_words_are_text() -> None:
    page = Words(cluster_page.as_html(FACTS))
    assert "i" not in page.tags and "Cluster <i>mine</i>" in page.says
    assert page.tags.count("tr") == 6


def test_a_cluster_that_does_not_answer_says_so() -> None:
    silent = {key: FACTS[key] for key in ("kind", "ended", "name", "id", "place", "up_s")}
    silent["error"] = "It does not answer: no reply"
    assert cluster_page.as_text(silent).splitlines()[1:] == ["  It does not answer: no reply"]
    assert "no reply" in cluster_page.as_html(silent)
    ended = cluster_page.as_text({**FACTS, "ended": True})
    assert "ended after 1:01 min" in ended
