"""A cluster's card, as text and as HTML that needs no program: for saved notebooks, and where there are no widgets."""

from __future__ import annotations

from functools import cache
from typing import Any

from raynb.runtime.messages.sizes import size_text
from raynb.widgets import text
from raynb.widgets.output import STATIC

TEXT_BAR_CHARS = 20


def gauges_of(facts: dict[str, Any]) -> list[tuple[str, float, str]]:
    """What has a bar: its name, the part that is used (0 to 1), and that in words."""
    cpus, memory, store = facts["cpus"], facts["memory"], facts["store"]
    return [
        (
            "CPU slots",
            part(cpus["used"], cpus["total"]),
            f"{text.amount(cpus['used'])} of {text.amount(cpus['total'])} in use",
        ),
        ("CPU", facts["cpu_percent"] / 100, f"{facts['cpu_percent']:.0f} % busy"),
        ("Memory", part(memory["used_bytes"], memory["total_bytes"]), _of(memory["used_bytes"], memory["total_bytes"])),
        (
            "Object store",
            part(store["used_bytes"], store["capacity_bytes"]),
            f"{_of(store['used_bytes'], store['capacity_bytes'])}, {text.count(store['objects'])} objects",
        ),
    ]


def part(used: float, total: float) -> float:
    return min(1.0, max(0.0, used / total)) if total else 0.0


def _of(used: float, total: float) -> str:
    return f"{size_text(used)} of {size_text(total)}"


def tasks_in_words(facts: dict[str, Any]) -> str:
    """``2 running, 10 waiting, 30 done``; failed ones only where there are any."""
    tasks = facts["tasks"]
    names = (("running", "running"), ("waiting", "waiting"), ("finished", "done"), ("failed", "failed"))
    return ", ".join(f"{text.count(tasks[key])} {word}" for key, word in names if key != "failed" or tasks[key])


def actors_in_words(facts: dict[str, Any]) -> str:
    """``3 alive, 1 restarting``."""
    actors = facts["actors"]
    return ", ".join(
        f"{text.count(actors[key])} {key}"
        for key in ("alive", "starting", "restarting")
        if key == "alive" or actors[key]
    )


def title(facts: dict[str, Any]) -> str:
    """What stands above it."""
    if facts["kind"] == "none":
        return "No cluster"
    return f"Cluster {text.line(facts['name'])}"


def subtitle(facts: dict[str, Any]) -> str:
    """Since when, from where."""
    if facts["kind"] == "none":
        return "The first remote call starts one."
    state = "ended after" if facts["ended"] else "up"
    return f"{state} {text.duration(facts['up_s'])}, {text.line(facts['place'], 200)}"


def lines_of(facts: dict[str, Any]) -> list[tuple[str, float | None, str]]:
    """Name, part used (None: no bar) and words of each line."""
    if facts.get("cpus") is None:
        return []
    lines: list[tuple[str, float | None, str]] = [*gauges_of(facts)]
    lines.append(("Tasks", None, tasks_in_words(facts)))
    lines.append(("Actors", None, actors_in_words(facts)))
    return lines


def as_text(facts: dict[str, Any]) -> str:
    """Lines for terminals, printed pages and screen readers."""
    lines = [f"{title(facts)}: {subtitle(facts)}"]
    for name, used, words in lines_of(facts):
        bar = f"{text_bar(used)}  " if used is not None else ""
        lines.append(f"  {name:<12}  {bar}{words}")
    if facts["error"]:
        lines.append(f"  {text.line(facts['error'], 500)}")
    return "\n".join(lines)


def text_bar(used: float) -> str:
    filled = round(TEXT_BAR_CHARS * used)
    return "█" * filled + "·" * (TEXT_BAR_CHARS - filled)


@cache
def style() -> str:
    """The look of the live widget, for its picture."""
    return (STATIC / "cluster.css").read_text().strip()


def as_html(facts: dict[str, Any]) -> str:
    """The widget's picture. Where a site strips styles, a table with bars of characters is left."""
    rows = "".join(_row(*line) for line in lines_of(facts))
    error = f"<p>{text.escaped(text.line(facts['error'], 500))}</p>" if facts["error"] else ""
    return (
        f'<div class="raynb-card raynb-cluster"><style>{style()}</style>'
        f'<p class="raynb-head"><strong class="raynb-word">{text.escaped(title(facts))}</strong> '
        f"<span>{text.escaped(subtitle(facts))}</span></p>"
        f'<table class="raynb-rows"><tbody>{rows}</tbody></table>{error}</div>'
    )


def _row(name: str, used: float | None, words: str) -> str:
    head, said = f'<th scope="row" class="raynb-name">{name}</th>', text.escaped(words)
    if used is None:
        return f'<tr class="raynb-plain">{head}<td class="raynb-count" colspan="2">{said}</td></tr>'
    bar = (
        f'<span class="raynb-characters" aria-hidden="true">{text_bar(used)}</span>'
        f'<span class="raynb-track" aria-hidden="true">'
        f'<span class="raynb-part raynb-done" style="width:{100 * used:.2f}%"></span></span>'
    )
    return f'<tr>{head}<td class="raynb-bar-cell">{bar}</td><td class="raynb-count">{said}</td></tr>'
