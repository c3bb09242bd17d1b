"""What is said to somebody who asks why a value is not there: one sentence with the cause, and what to do.

A question is followed from what was asked about to the root of it: a task that waits for another's value, that waits
for a worker. Each link of that chain is a `Step`; `said` makes one sentence of them all.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

SPELT_OUT = 3
"""A chain of so many links is said in full."""

THROUGH_SHOWN = 3


@dataclass(frozen=True, repr=False)
class Why:
    """Why a value is not there (or that it is).

    Attributes
    ----------
    kind
        finished | failed | cancelled | running | input | resources | infeasible | worker | behind | order | store |
        placement group | creating | restarting | actor dead | alive | deadlock | node | lost | unknown; a node manager
        may have more.
        Of a chain it is that of its end, or of what waits for something that merely runs.
    sentence
        The cause.
    fix
        What to do; empty where there is nothing to be done.
    chain
        From what was asked about to the cause, a phrase for each link.
    """

    kind: str
    sentence: str
    fix: str = ""
    chain: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(filter(None, (self.sentence, self.fix)))

    def __repr__(self) -> str:
        lines = [self.sentence]
        if len(self.chain) > 2:
            lines += [f"{'  ' * depth}- {link}" for depth, link in enumerate(self.chain, 1)]
        return "\n".join([*lines, *([self.fix] if self.fix else [])])

    def _repr_html_(self) -> str:
        parts = [f"<strong>{html.escape(self.sentence)}</strong>"]
        if len(self.chain) > 2:
            links = "".join(f"<li>{html.escape(link)}</li>" for link in self.chain)
            parts.append(f"<ol style='margin:.3em 0 .3em 1.6em;padding:0'>{links}</ol>")
        elif self.fix:
            parts.append("<br>")
        return f"<div>{''.join(parts)}{html.escape(self.fix)}</div>"


@dataclass(frozen=True)
class Step:
    """One link of the chain.

    Attributes
    ----------
    subject
        A task, an object or an actor, for people.
    words
        What is to be said of it, without a full stop. Where another step follows: the words that lead to that one's
        subject (``waits for its input``).
    follow
        The next object to ask about, and its owner; None: this is the root, or the next step is known already. Of a
        root that is a deadlock: the object to which the chain has come back.
    """

    kind: str
    subject: str
    words: str
    fix: str = ""
    follow: tuple[bytes, str] | None = None


def said(steps: Sequence[Step]) -> Why:
    """One sentence for a whole chain; the last step is the root."""
    root = steps[-1]
    chain = (
        *(f"{step.subject} {step.words} {after.subject}" for step, after in pairwise(steps)),
        f"{root.subject} {root.words}",
    )
    sentence = ", which ".join(
        [chain[0], *(link.removeprefix(f"{step.subject} ") for step, link in zip(steps[1:], chain[1:], strict=True))]
    )
    if len(steps) > SPELT_OUT:
        through = [step.subject for step in steps[2:-1]]
        shown = through if len(through) <= THROUGH_SHOWN else [through[0], f"{len(through) - 2} more", through[-1]]
        sentence = (
            f"{chain[0]}, which in the end (through {', '.join(shown)}) waits for {root.subject}, which {root.words}"
        )
    # What merely runs is no reason: what waits behind it is.
    before = steps[-2] if len(steps) > 1 and root.kind == "running" else root
    return Why(before.kind, f"{sentence}.", before.fix or root.fix, chain)


def span(seconds: float) -> str:
    """A time for people: ``27 ms``, ``0.4 s``, ``12 s``, ``3 min``."""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= size * 1.5:
            return f"{seconds / size:.1f} {unit}"
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
