"""The panels inside cells, as far as they need no front end: what they are told, and the pictures that stay."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import msgspec
import pytest

import raynb
from raynb.runtime.messages import screen
from raynb.runtime.messages.events import FAILED, FINISHED, RUNNING
from raynb.widgets import graph_picture, picture, table_picture, timeline_picture
from raynb.widgets.panels import ScreenPanel
from raynb.widgets.screen import ASKS_MAX, Screen, merged
from tests.support.waiting import wait_until

HOSTILE = '<img src=x onerror=alert(1)>"&\x1b[31m\u202e'


def counts(state: int, number: int = 1) -> list[int]:
    return [number if each == state else 0 for each in range(6)]


def node(name: str, state: int = FINISHED, number: int = 1) -> screen.GraphNode:
    return screen.GraphNode(name, name, "function", counts(state, number))


def graph(nodes: list[screen.GraphNode], *edges: tuple[str, str], **more: Any) -> screen.GraphState:
    flows = [screen.GraphEdge(source, target, "data", 1) for source, target in edges]
    return screen.GraphState(nodes, flows, tasks=len(nodes), **more)


def timeline(*spans: tuple[int, float, float, int], names: list[str] | None = None) -> screen.TimelineState:
    """Spans are (lane, start, milliseconds, state)."""
    columns = screen.Spans(
        lane=[lane for lane, *_ in spans],
        start=[1000.0 + start for _, start, *_ in spans],
        duration_ms=[ms for _, _, ms, _ in spans],
        name=[0 for _ in spans],
        state=[state for *_, state in spans],
        count=[1 for _ in spans],
        task=[f"t{i}" for i, _ in enumerate(spans)],
    )
    lanes = [screen.Lane(f"w{i}", f"worker {i}", "worker") for i in range(3)]
    return screen.TimelineState(1000.0, 3000.0, 1000.0, 3000.0, lanes, names or ["f"], columns)


# -- what is told


def test_a_change_of_a_graph_is_put_into_what_was_there() -> None:
    before = graph([node("a", RUNNING), node("b")], ("a", "b"))
    change = graph([node("a"), node("c")], ("b", "c"), gone_nodes=["b"])
    after = merged(before, change)
    assert isinstance(after, screen.GraphState)
    assert {each.id: each.counts for each in after.nodes} == {"a": counts(FINISHED), "c": counts(FINISHED)}
    assert after.edges == []
    assert after.gone_nodes == []


def test_other_states_replace_what_was_there() -> None:
    page = screen.TablePage([{"a": 1}], 1)
    assert merged(screen.TablePage([], 0), page) is page
    assert merged(graph([node("a")]), page) is page


def entry_of_this_cluster() -> Any:
    from raynb.runtime.adapters.registry import clusters
    from raynb.runtime.api import session

    assert session._session is not None
    return next(each for each in clusters() if each.session_dir == session._session.info.session_dir)


def test_a_screen_is_told_what_it_asks_for_and_passes_over_nonsense(cluster: str) -> None:
    looker = Screen(entry_of_this_cluster())
    looker.hear_front_end("no JSON")
    looker.hear_front_end('{"type": "subscribe", "id": 1}')
    looker.ask(1, screen.SummaryView())
    state = wait_until(lambda: looker.state(1), what="the summary is told")
    assert isinstance(state, screen.SummaryState)
    assert state.cpus_total == 2
    told = looker.news()
    assert set(told) == {"welcome", "1"}
    assert msgspec.json.decode(told["1"])["type"] == "snapshot"
    assert looker.news() == {}
    looker.hear_front_end('{"type": "subscribe", "id": 2, "view": {"view": "table", "table": "tasks", "sort": "nose"}}')
    (refused,) = wait_until(looker.answers, what="a view is refused")
    assert "nose" in msgspec.json.decode(refused)["error"]
    looker.hear_front_end('{"type": "act", "id": 7, "action": "free", "target": "00"}')
    (done,) = wait_until(looker.answers, what="the act is answered")
    assert msgspec.json.decode(done)["id"] == 7
    for number in range(ASKS_MAX + 5):
        looker.ask(number, screen.SummaryView())
    assert f"{ASKS_MAX} views" in repr(looker)
    looker.close()
    looker.close()


# -- the panels


def test_without_a_cluster_there_is_nothing_to_look_at() -> None:
    with pytest.raises(RuntimeError, match=r"call ray\.init\(\)"):
        raynb.widgets.TaskGraph()


@pytest.mark.parametrize("make", [raynb.widgets.TaskGraph, raynb.widgets.inspect, raynb.widgets.ActorPanel])
def test_what_is_no_reference_or_handle_is_named(make: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="not int: 7"):
        make(7)


def test_each_panel_says_as_text_what_there_is(cluster: str, gate: Path) -> None:
    @raynb.remote
    def square(x: int) -> int:
        return x * x

    @raynb.remote
    def add(*xs: int) -> int:
        return sum(xs)

    @raynb.remote
    class Counter:
        def add(self, k: int) -> int:
            return k

    counter = cast(Any, Counter).options(name="shared").remote()
    total = add.remote(*[square.remote(i) for i in range(4)])
    assert raynb.get([total, counter.add.remote(1)]) == [14, 1]
    block = raynb.put(b"x" * 1_000_000)
    said = {
        raynb.widgets.TaskGraph(): r"add: 1 finished  \N{LEFTWARDS ARROW} square",
        raynb.widgets.TaskGraph(total): r"Task graph: 5 finished",
        raynb.widgets.Timeline(): r"worker \d+: \d tasks, busy for",
        raynb.widgets.Objects(): r"1\.0 MB +stored",
        raynb.widgets.inspect(block): r"Object: 1\n",
        raynb.widgets.ActorPanel(counter): r"Counter +shared +alive",
    }
    for panel, words in said.items():
        wait_until(lambda panel=panel, words=words: re.search(words, repr(panel)), what=f"{panel!r} says {words}")
        panel.close()
        panel.close()


def test_a_closed_panel_keeps_what_it_showed(cluster: str) -> None:
    panel: ScreenPanel = raynb.widgets.Timeline()
    before = repr(panel)
    panel.close()
    assert repr(panel) == before


# -- pictures


def test_a_graphs_picture_has_each_node_right_of_what_leads_to_it() -> None:
    layers = graph_picture.layers_of(list("abcd"), [("a", "b"), ("b", "d"), ("a", "c"), ("c", "d"), ("a", "d")])
    assert [sorted(layer) for layer in layers] == [["a"], ["b", "c"], ["d"]]


def test_circles_and_recursion_have_a_picture_too() -> None:
    layers = graph_picture.layers_of(list("abc"), [("a", "b"), ("b", "a"), ("c", "c"), ("b", "c")])
    assert sorted(each for layer in layers for each in layer) == ["a", "b", "c"]
    ElementTree.fromstring(graph_picture.as_svg(graph([node("a")], ("a", "a")), "Task graph"))


def test_crossings_that_can_be_undone_are() -> None:
    layers = graph_picture.layers_of(list("abcd"), [("a", "d"), ("b", "c")])
    assert [layers[1].index(each) for each in "dc"] == [layers[0].index(each) for each in "ab"]


def test_pictures_are_bounded_and_say_what_they_leave_out() -> None:
    many = graph([node(f"f{i}") for i in range(500)], hidden=3)
    drawn = graph_picture.as_svg(many, "Task graph")
    assert len(drawn) < 100_000
    assert f"and {500 - graph_picture.NODES_MAX + 3} more nodes" in drawn
    assert f"and {500 - graph_picture.NODES_MAX + 3} more nodes" in graph_picture.as_text(many, "Task graph")
    spans = timeline_picture.as_svg(timeline(*[(0, i / 10, 0.05, FINISHED) for i in range(20_000)]))
    assert spans.count("<rect") < timeline_picture.SPANS_MAX + 20


def test_what_failed_is_hatched_in_pictures() -> None:
    assert "url(#raynb-failed)" in timeline_picture.as_svg(timeline((0, 10, 100, FAILED)))
    assert "url(#raynb-failed)" in graph_picture.as_svg(graph([node("f", FAILED)]), "Task graph")
    assert "url(#raynb-failed)" not in timeline_picture.as_svg(timeline((0, 10, 100, FINISHED)))


def test_names_stay_text_in_pictures() -> None:
    pictures = [
        graph_picture.as_svg(graph([node(HOSTILE)]), "Task graph"),
        timeline_picture.as_svg(timeline((0, 10, 100, FINISHED), names=[HOSTILE])),
    ]
    for drawn in pictures:
        tree = ElementTree.fromstring(drawn)
        assert not [each for each in tree.iter() if each.tag.endswith(("img", "script"))]
        assert "\x1b" not in drawn
        assert "\u202e" not in drawn
    page = screen.TablePage([{"class_name": HOSTILE, "state": "ALIVE"}], 1)
    assert "<img" not in table_picture.as_html(page, table_picture.ACTORS, "Actors")
    assert "\x1b" not in table_picture.as_text(page, table_picture.ACTORS, "Actors")


def test_what_happened_in_the_stores_is_in_the_picture_and_in_its_text() -> None:
    state = timeline((0, 0, 100, FINISHED))
    lanes = [*state.lanes, screen.Lane("store:n:0", "waits for room", "store", "n")]
    store = screen.StoreSpans(
        lane=[3, 3], start=[1000.0, 2000.0], duration_ms=[500.0, 250.0], kind=[0, 0], state=[FINISHED, FAILED],
        count=[1, 2], size=[32_000_000, 1_000_000], object=["", ""], who=["", ""], other=["", ""],
    )  # fmt: skip
    state = msgspec.structs.replace(state, lanes=lanes, store=store)
    assert re.search(r"waits for room: 3, of 3\d\.\d .*B, in 0\.8 s", timeline_picture.as_text(state))
    picture = timeline_picture.as_svg(state)
    assert timeline_picture.STORE_COLORS[0] in picture and "url(#raynb-failed)" in picture
    ElementTree.fromstring(picture)


def test_several_references_begin_one_graph(cluster: str) -> None:
    @raynb.remote
    def one() -> int:
        return 1

    @raynb.remote
    def two() -> int:
        return 2

    refs = [one.remote(), two.remote()]
    raynb.get(refs)
    for given, number in ((refs, 2), (iter(refs[:1]), 1)):
        panel = raynb.widgets.TaskGraph(given)
        wait_until(lambda p=panel, n=number: f"Task graph: {n} finished" in repr(p), what=f"{number} tasks are shown")
        panel.close()
    with pytest.raises(ValueError, match="no reference at all"):
        raynb.widgets.TaskGraph([])
    with pytest.raises(TypeError, match="takes references, not int: 7"):
        raynb.widgets.TaskGraph([refs[0], 7])  # type: ignore[list-item]


def test_nothing_has_a_picture_too() -> None:
    ElementTree.fromstring(graph_picture.as_svg(graph([]), "Task graph"))
    ElementTree.fromstring(timeline_picture.as_svg(timeline()))
    assert "Objects: 0" in table_picture.as_html(screen.TablePage([], 0), table_picture.OBJECTS, "Objects")


def test_pictures_have_the_colours_of_the_live_panels() -> None:
    source = Path("labextension", "src", "dom", "theme.ts").read_text()
    listed = source.partition("NAME_COLORS = [")[2].partition("]")[0]
    assert tuple(re.findall(r"#[0-9a-f]{6}", listed)) == picture.NAME_COLORS
    colors = picture.NameColors()
    assert len({colors.of(f"f{i}") for i in range(len(picture.NAME_COLORS))}) == len(picture.NAME_COLORS)
