"""What a notebook shows of references, actors and remote functions: cards, which follow what they are about.

A card that may still change is shown as a display of its own, which a thread brings up to date twice a second until its
state is final: the saved notebook then holds the end. Only the last `LIVE_MAX` are followed. Nothing is imported before
the first card is shown.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from raynb.cards import Card

LIVE_MAX: Final = 20
INTERVAL_S: Final = 0.5
SELDOM_S: Final = 2.0
"""What is well and merely might end is looked at so often."""


def card_of(value: Any) -> Card:
    """See `raynb.cards.card_of`."""
    from raynb import cards

    return cards.card_of(value)


@dataclass
class _Followed:
    value: Any
    token: str
    shown: dict[str, str]
    look_at: float


class LiveCards:
    """Shows cards in the cells of a kernel, and keeps those up to date that may change.

    Parameters
    ----------
    send
        Takes (token of a cell's run, kind of message, content), in any thread.
    token
        Gives that of the cell that runs.
    """

    def __init__(self, send: Callable[[str, str, dict[str, Any]], None], token: Callable[[], str]) -> None:
        self._send = send
        self._token = token
        self._lock = threading.Lock()
        self._followed: OrderedDict[str, _Followed] = OrderedDict()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def show(self, value: Any) -> None:
        """Display a card that may change.

        Raises
        ------
        NotImplementedError
            It is final: IPython then shows it as any other value.
        """
        card = card_of(value)
        if card.final:
            raise NotImplementedError
        display_id, token = f"raynb-{uuid.uuid4().hex}", self._token()
        bundle = card.bundle()
        self._tell(token, "display_data", display_id, bundle)
        with self._lock:
            self._followed[display_id] = _Followed(value, token, bundle, time.monotonic() + INTERVAL_S)
            if len(self._followed) > LIVE_MAX:
                self._followed.popitem(last=False)
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow, name="raynb-cards", daemon=True)
                self._thread.start()

    def _tell(self, token: str, kind: str, display_id: str, bundle: dict[str, str]) -> None:
        self._send(token, kind, {"data": bundle, "metadata": {}, "transient": {"display_id": display_id}})

    def _follow(self) -> None:
        while not self._closed.wait(INTERVAL_S):
            with self._lock:
                items = list(self._followed.items())
                if not items:
                    self._thread = None
                    return
            now = time.monotonic()
            for display_id, followed in items:
                if now >= followed.look_at:
                    self._look(display_id, followed)

    def _look(self, display_id: str, followed: _Followed) -> None:
        try:
            card = card_of(followed.value)
        except Exception:  # the cluster ends while it is asked: the next look says so
            followed.look_at = time.monotonic() + INTERVAL_S
            return
        bundle = card.bundle()
        if bundle != followed.shown:
            followed.shown = bundle
            self._tell(followed.token, "update_display_data", display_id, bundle)
        followed.look_at = time.monotonic() + (SELDOM_S if card.look == "ready" else INTERVAL_S)
        if card.final:
            with self._lock:
                self._followed.pop(display_id, None)

    def close(self) -> None:
        """Follow nothing any more."""
        self._closed.set()
        with self._lock:
            self._followed.clear()


_REF = ("raynb.runtime.client.refs", "ObjectRef")
_ACTOR = ("raynb.runtime.api.handles", "ActorHandle")
_KINDS: Final = (
    _REF,
    _ACTOR,
    ("raynb.runtime.api.actors", "ActorClass"),
    ("raynb.runtime.api.functions", "RemoteFunction"),
)


def install(formatter: Any, live: LiveCards | None) -> None:
    """Have IPython show our objects as cards; without ``live`` (in a terminal) as they are at that moment."""
    for kind in _KINDS:
        formatter.formatters["text/html"].for_type_by_name(*kind, lambda value: card_of(value).html())
        formatter.formatters["text/plain"].for_type_by_name(*kind, _print)
    if live is not None:
        for kind in (_REF, _ACTOR):
            formatter.ipython_display_formatter.for_type_by_name(*kind, live.show)


def uninstall(formatter: Any) -> None:
    """Leave IPython as it was."""
    every = (*formatter.formatters.values(), formatter.ipython_display_formatter)
    for module, name in _KINDS:
        for each in every:
            each.pop(f"{module}.{name}", None)


def _print(value: Any, printer: Any, cycle: bool) -> None:
    # In a list or a dict: the short form, which asks nobody.
    printer.text(repr(value) if len(printer.stack) > 1 else card_of(value).text())
