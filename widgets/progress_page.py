"""How far tasks are, as text and as HTML that needs no program: for saved notebooks, and where there are no widgets."""

from __future__ import annotations

from functools import cache

from raynb.widgets import text
from raynb.widgets.output import STATIC
from raynb.widgets.tally import Bar, Counts, Snapshot

RUNNING, DONE, FAILED, STOPPED = "running", "done", "failed", "stopped"

WORDS = {RUNNING: "Running", DONE: "Done", FAILED: "Done, with failures", STOPPED: "Stopped waiting"}

TEXT_BAR_CHARS = 20


def headline(snapshot: Snapshot, status: str) -> str:
    """``Running: 37 of 100 tasks in 4.2 s, 12/s, about 5.1 s left``."""
    total = snapshot.total
    says = f"{WORDS[status]}: {text.count(total.settled)} of {text.count(total.total)} in "
    says += text.duration(snapshot.elapsed_s)
    if snapshot.rate:
        says += f", {text.amount(snapshot.rate)}/s"
    if status == RUNNING and snapshot.eta_s is not None:
        says += f", about {text.duration(snapshot.eta_s)} left"
    return says


def rows_of(snapshot: Snapshot) -> list[tuple[str, Counts]]:
    """The bars, and the sum of the functions that have none."""
    rows: list[tuple[str, Counts]] = [(bar.name, bar) for bar in snapshot.bars]
    if snapshot.others_count:
        rows.append((f"{snapshot.others_count} more functions", snapshot.others))
    return rows


def as_text(snapshot: Snapshot, status: str) -> str:
    """Lines for terminals, printed pages and screen readers."""
    rows = [(name, counts) for name, counts in rows_of(snapshot)]
    width = max((len(name) for name, _ in rows), default=0)
    lines = [headline(snapshot, status)]
    lines += [f"  {name:<{width}}  {text_bar(counts)}  {counts.words()}" for name, counts in rows]
    lines += [f"  {failure.name}: {failure.error}{_times(failure.count)}" for failure in snapshot.failures]
    if snapshot.failures_more:
        lines.append(f"  and {text.count(snapshot.failures_more)} more failures")
    return "\n".join(lines)


def text_bar(counts: Counts) -> str:
    """``█████▒▒···``: settled, running, waiting."""
    if not counts.total:
        return "·" * TEXT_BAR_CHARS
    settled = TEXT_BAR_CHARS * counts.settled // counts.total
    running = min(TEXT_BAR_CHARS - settled, -(-TEXT_BAR_CHARS * counts.running // counts.total))
    return "█" * settled + "▒" * running + "·" * (TEXT_BAR_CHARS - settled - running)


def _times(count: int) -> str:
    return f" (\N{MULTIPLICATION SIGN}{text.count(count)})" if count > 1 else ""


@cache
def style() -> str:
    """The look of the live widget, for its picture."""
    return (STATIC / "progress.css").read_text().strip()


def as_html(snapshot: Snapshot, status: str) -> str:
    """The widget's picture. Where a site strips styles, a table with bars of characters is left."""
    escaped = text.escaped
    rows = "".join(_row(name, counts) for name, counts in rows_of(snapshot))
    failures = "".join(
        f'<details class="raynb-failure"><summary>{escaped(failure.name)}: {escaped(failure.error)}'
        f"{_times(failure.count)}</summary><pre>{escaped(text.lines(failure.text))}</pre></details>"
        for failure in snapshot.failures
    )
    if snapshot.failures_more:
        failures += f"<p>and {text.count(snapshot.failures_more)} more failures</p>"
    word, _, rest = headline(snapshot, status).partition(": ")
    return (
        f'<div class="raynb-card raynb-progress" data-status="{status}"><style>{style()}</style>'
        f'<p class="raynb-head"><strong class="raynb-word">{word}</strong> <span>{rest}</span></p>'
        f'<table class="raynb-rows"><tbody>{rows}</tbody></table>{failures}</div>'
    )


def _row(name: str, counts: Counts) -> str:
    said = counts.words()
    return (
        f'<tr><th scope="row" class="raynb-name">{text.escaped(name)}</th>'
        f'<td class="raynb-bar-cell">{_bar(counts)}</td><td class="raynb-count">{said}</td></tr>'
    )


def _bar(counts: Counts) -> str:
    total = max(1, counts.total)
    parts = "".join(
        f'<span class="raynb-part raynb-{kind}" style="width:{100 * n / total:.2f}%"></span>'
        for kind, n in (("done", counts.done), ("failed", counts.failed), ("running", counts.running))
        if n
    )
    return (
        f'<span class="raynb-characters" aria-hidden="true">{text_bar(counts)}</span>'
        f'<span class="raynb-track" aria-hidden="true">{parts}</span>'
    )


def state_of(snapshot: Snapshot, status: str) -> dict[str, object]:
    """What the live widget is told: bounded, whatever the tasks are."""
    return {
        "status": status,
        "bars": [_counts(bar) | {"name": bar.name} for bar in snapshot.bars if isinstance(bar, Bar)],
        "others": _counts(snapshot.others) | {"functions": snapshot.others_count} if snapshot.others_count else None,
        "total": _counts(snapshot.total),
        "elapsed_s": round(snapshot.elapsed_s, 1),
        "rate": snapshot.rate,
        "eta_s": snapshot.eta_s,
        "failed": [failure.count for failure in snapshot.failures],
        "failed_more": snapshot.failures_more,
    }


def failures_of(snapshot: Snapshot) -> list[dict[str, object]]:
    """What the live widget is told about each kind of failure, once; how often it happened is part of the state."""
    return [
        {"name": failure.name, "error": failure.error, "text": text.lines(failure.text)}
        for failure in snapshot.failures
    ]


def _counts(counts: Counts) -> dict[str, int]:
    return {"done": counts.done, "failed": counts.failed, "running": counts.running, "waiting": counts.waiting}
