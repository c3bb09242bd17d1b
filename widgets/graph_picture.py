"""The task graph of a run as an SVG and as text: what stays in a saved notebook."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from raynb.runtime.messages.events import FINISHED, RUNNING
from raynb.runtime.messages.screen import GraphNode, GraphState
from raynb.widgets import text
from raynb.widgets.picture import (
    INK,
    LINE,
    SOFT,
    STATE_COLORS,
    counts_in_words,
    cut,
    main_state,
    svg,
    written,
)

NODES_MAX: Final = 60
WIDTH, HEIGHT = 176, 48
ACROSS, DOWN = 64, 18
MARGIN, TOP = 18, 46
SWEEPS: Final = 4

Edges = list[tuple[str, str]]


def layers_of(ids: list[str], edges: Edges) -> list[list[str]]:
    """Each node right of all that lead to it; in a circle the first one stands first. Few crossings.

    Parameters
    ----------
    edges
        (from, to); those of nodes that are not in ``ids`` must not be there.
    """
    after: dict[str, list[str]] = defaultdict(list)
    before: dict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        if source != target:
            after[source].append(target)
            before[target].append(source)
    depth = _depths(ids, after, before)
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in ids:
        layers[depth[node]].append(node)
    for sweep in range(SWEEPS):
        neighbours = before if sweep % 2 == 0 else after
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            place = {node: (i + 0.5) / len(each) for each in layers for i, node in enumerate(each)}
            layer.sort(key=lambda node: _mean([place[other] for other in neighbours[node]], place[node]))
    return layers


def _depths(ids: list[str], after: dict[str, list[str]], before: dict[str, list[str]]) -> dict[str, int]:
    depth = dict.fromkeys(ids, 0)
    missing = {node: len(before[node]) for node in ids}
    left = dict.fromkeys(ids)
    while left:
        # In a circle none is free: the one that lacks least goes on.
        node = min(left, key=missing.__getitem__)
        del left[node]
        for target in after[node]:
            if target in left:
                depth[target] = max(depth[target], depth[node] + 1)
                missing[target] -= 1
    return depth


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def as_svg(state: GraphState, title: str) -> str:
    """A picture of at most `NODES_MAX` nodes; what is beyond is told in words."""
    nodes = sorted(state.nodes, key=lambda node: -sum(node.counts))[:NODES_MAX]
    shown = {node.id: node for node in nodes}
    order = [node.id for node in state.nodes if node.id in shown]
    edges = [(edge.source, edge.target) for edge in state.edges if edge.source in shown and edge.target in shown]
    layers = layers_of(order, edges)
    tallest = max((len(layer) for layer in layers), default=1)
    high = tallest * (HEIGHT + DOWN) - DOWN
    places: dict[str, tuple[float, float]] = {}
    for column, layer in enumerate(layers):
        begin = TOP + (high - (len(layer) * (HEIGHT + DOWN) - DOWN)) / 2
        for row, node_id in enumerate(layer):
            places[node_id] = (MARGIN + column * (WIDTH + ACROSS), begin + row * (HEIGHT + DOWN))
    parts = [written(MARGIN, 28, f"{title}: {headline(state)}", size=13, more='font-weight="600"')]
    parts += [_edge(*places[source], *places[target]) for source, target in edges if source != target]
    parts += [_card(shown[node_id], *place) for node_id, place in places.items()]
    width = max(2 * MARGIN + len(layers) * (WIDTH + ACROSS) - ACROSS, 420)
    left_out = len(state.nodes) - len(nodes) + state.hidden
    foot = TOP + high + MARGIN
    if left_out:
        parts.append(written(MARGIN, foot + 6, f"and {text.count(left_out)} more nodes", color=SOFT))
        foot += 18
    return svg(width, foot, f"{title}: {headline(state)}", parts)


def headline(state: GraphState) -> str:
    counts = [sum(column) for column in zip(*(node.counts for node in state.nodes), strict=True)]
    return counts_in_words(counts) if counts else "no tasks"


def _edge(x1: float, y1: float, x2: float, y2: float) -> str:
    begin, end = (x1 + WIDTH, y1 + HEIGHT / 2), (x2, y2 + HEIGHT / 2)
    bend = max(24.0, (end[0] - begin[0]) / 2)
    return (
        f'<path d="M{begin[0]:.1f} {begin[1]:.1f}C{begin[0] + bend:.1f} {begin[1]:.1f} '
        f'{end[0] - bend:.1f} {end[1]:.1f} {end[0]:.1f} {end[1]:.1f}" fill="none" stroke="{LINE}" stroke-width="1.6"/>'
    )


def _card(node: GraphNode, x: float, y: float) -> str:
    total = max(1, sum(node.counts))
    state = main_state(node.counts)
    said = counts_in_words(node.counts)
    parts = [
        f'<g transform="translate({x:.1f} {y:.1f})">',
        f"<title>{text.escaped(text.line(f'{node.label}: {said}', 300))}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#fff" stroke="{LINE}" stroke-width="1.2"/>',
        f'<circle cx="14" cy="16" r="5" fill="{STATE_COLORS[state]}"/>',
        written(26, 20, cut(node.label, 21), color=INK, more='font-weight="600"'),
    ]
    done = node.counts[FINISHED]
    words = said if total == 1 else f"{text.count(done)} of {text.count(total)} finished"
    if node.counts[RUNNING] and total > 1:
        words = f"{text.count(node.counts[RUNNING])} running, {words}"
    parts.append(written(12, 34, cut(words, 27), size=10, color=SOFT))
    at = 12.0
    for number, count in sorted(enumerate(node.counts), reverse=True):
        wide = (WIDTH - 24) * count / total
        if wide:
            fill = "url(#raynb-failed)" if number == 5 else STATE_COLORS[number]
            parts.append(f'<rect x="{at:.1f}" y="39" width="{max(wide, 1):.1f}" height="4" fill="{fill}"/>')
            at += wide
    return "".join(parts) + "</g>"


def as_text(state: GraphState, title: str) -> str:
    """A line for each node, what it takes its inputs from beside it."""
    labels = {node.id: text.line(node.label) for node in state.nodes}
    sources: dict[str, list[str]] = defaultdict(list)
    for edge in state.edges:
        if edge.source in labels and edge.source != edge.target:
            sources[edge.target].append(labels[edge.source])
    lines = [f"{title}: {headline(state)}"]
    for node in state.nodes[:NODES_MAX]:
        after = f"  ← {', '.join(sources[node.id][:6])}" if sources[node.id] else ""
        lines.append(f"  {labels[node.id]}: {counts_in_words(node.counts)}{after}")
    if len(state.nodes) > NODES_MAX or state.hidden:
        lines.append(f"  and {text.count(len(state.nodes) - len(lines) + 1 + state.hidden)} more nodes")
    return "\n".join(lines)
