"""The timeline of a run as an SVG and as text: what stays in a saved notebook."""

from __future__ import annotations

from typing import Final

from raynb.runtime.messages.events import FAILED, RUNNING, SUBMITTED_TO_WORKER
from raynb.runtime.messages.screen import Spans, StoreSpans, TimelineState
from raynb.runtime.messages.sizes import size_text
from raynb.widgets import text
from raynb.widgets.picture import INK, LINE, SOFT, STATE_COLORS, NameColors, cut, svg, written

WIDTH: Final = 900
GUTTER: Final = 150
ROW: Final = 22
TOP: Final = 66
LANES_MAX: Final = 40
SPANS_MAX: Final = 3000
LEGEND_MAX: Final = 12
TICKS: Final = 6
STORE_COLORS: Final = ("#e69f00", "#cc79a7", "#56b4e9", "#8c8c8c", "#0072b2")
"""By kind, as the live timeline has them."""


def as_svg(state: TimelineState, title: str = "Timeline") -> str:
    """A picture of the window; of more lanes or spans than fit in the first ones are shown, and that is said."""
    lanes = state.lanes[:LANES_MAX]
    scale = (WIDTH - GUTTER - 16) / max(1e-9, state.end - state.start)
    bottom = TOP + ROW * len(lanes)
    parts = [written(16, 28, f"{title}: {headline(state)}", size=13, more='font-weight="600"')]
    parts += _axis(state, scale, bottom)
    for row, lane in enumerate(lanes):
        label = lane.label if lane.alive else f"{lane.label} (ended)"
        parts.append(written(16, TOP + ROW * row + 15, cut(label, 21)))
    colors = NameColors()
    parts += _spans(state, scale, len(lanes), colors)
    legend, foot = _legend(state, colors, bottom + 22)
    parts += legend
    left_out = len(state.lanes) - len(lanes)
    if left_out:
        parts.append(written(16, foot, f"and {text.count(left_out)} more lanes", color=SOFT))
        foot += 18
    return svg(WIDTH, foot, f"{title}: {headline(state)}", parts)


def headline(state: TimelineState) -> str:
    tasks = sum(state.spans.count)
    lanes = f"{text.count(len(state.lanes))} lane{'s' * (len(state.lanes) != 1)}"
    seconds = text.duration(max(0.0, state.end - state.start) / 1000)
    return f"{text.count(tasks)} task{'s' * (tasks != 1)} in {lanes}, {seconds}"


def _axis(state: TimelineState, scale: float, bottom: float) -> list[str]:
    parts: list[str] = []
    for tick in range(TICKS + 1):
        at = (state.end - state.start) * tick / TICKS
        x = GUTTER + at * scale
        parts.append(f'<path d="M{x:.1f} {TOP - 6}V{bottom}" stroke="{LINE}" stroke-width="0.7"/>')
        if tick < TICKS:
            words = text.duration(at / 1000) if state.end - state.start >= 1000 else f"{at:.3g} ms"
            parts.append(written(x + 3, TOP - 10, words, size=10, color=SOFT))
    return parts


def _spans(state: TimelineState, scale: float, lanes: int, colors: NameColors) -> list[str]:
    spans = state.spans
    parts: list[str] = []
    for i in range(min(len(spans.start), SPANS_MAX)):
        if spans.lane[i] >= lanes:
            break
        fill = colors.of(state.names[spans.name[i]])
        parts += _box(state, scale, spans, i, fill)
    store = state.store
    for i in range(min(len(store.start), SPANS_MAX)):
        if store.lane[i] >= lanes:
            break
        parts += _box(state, scale, store, i, STORE_COLORS[store.kind[i]])
    return parts


def _box(state: TimelineState, scale: float, spans: Spans | StoreSpans, i: int, fill: str) -> list[str]:
    left = GUTTER + (max(spans.start[i], state.start) - state.start) * scale
    right = GUTTER + (min(spans.start[i] + spans.duration_ms[i], state.end) - state.start) * scale
    if right < GUTTER:
        return []
    top, high = TOP + ROW * spans.lane[i] + 2.0, ROW - 4.0
    if spans.state[i] == FAILED:
        fill = "url(#raynb-failed)"
    elif spans.state[i] == SUBMITTED_TO_WORKER:
        fill, top, high = STATE_COLORS[SUBMITTED_TO_WORKER], top + 6, high - 12
    wide = max(0.6, right - left - (0.6 if right - left > 2 else 0))
    parts = [f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{high:.1f}" fill="{fill}"/>']
    if spans.state[i] == RUNNING:
        parts.append(f'<rect x="{right - 2:.1f}" y="{top:.1f}" width="2" height="{high:.1f}" fill="{INK}"/>')
    return parts


def _legend(state: TimelineState, colors: NameColors, y: float) -> tuple[list[str], float]:
    parts: list[str] = []
    used = sorted({state.names[name] for name in state.spans.name})
    entries = [(colors.of(name), name) for name in used[:LEGEND_MAX]]
    if FAILED in state.spans.state or FAILED in state.store.state:
        entries.append(("url(#raynb-failed)", "failed"))
    x = 16.0
    for fill, name in entries:
        words = cut(name, 24)
        wide = 26 + 7 * len(words)
        if x + wide > WIDTH - 16:
            x, y = 16.0, y + 20
        parts.append(f'<rect x="{x:.1f}" y="{y - 10:.1f}" width="11" height="11" rx="2" fill="{fill}"/>')
        parts.append(written(x + 16, y, words, size=11))
        x += wide
    return parts, y + 16


def as_text(state: TimelineState, title: str = "Timeline") -> str:
    """A line for each lane: how many tasks, and how long it was busy; of a store's how many bytes it was about."""
    count = [0] * len(state.lanes)
    busy = [0.0] * len(state.lanes)
    for row, number, ms in zip(state.spans.lane, state.spans.count, state.spans.duration_ms, strict=True):
        count[row] += number
        busy[row] += ms
    store = state.store
    moved = [0] * len(state.lanes)
    for row, number, ms, size in zip(store.lane, store.count, store.duration_ms, store.size, strict=True):
        count[row] += number
        busy[row] += ms
        moved[row] += size
    lines = [f"{title}: {headline(state)}"]
    for i, lane in enumerate(state.lanes[:LANES_MAX]):
        took = text.duration(busy[i] / 1000)
        what = f"{text.count(count[i])} tasks, busy for {took}"
        if lane.kind == "store":
            what = f"{text.count(count[i])}, of {size_text(moved[i])}, in {took}"
        lines.append(f"  {text.line(lane.label)}: {what}")
    return "\n".join(lines)
