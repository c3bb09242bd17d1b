"""What axe-core, an engine that looks for barriers to people with disabilities, finds on a page."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator

AXE = Path("labextension", "node_modules", "axe-core", "axe.min.js").absolute()
RUN = """async element => (await axe.run(element)).violations.map(
    found => `${found.id}: ${found.help}: ${found.nodes.map(node => node.html.slice(0, 200)).join(' | ')}`)"""


def barriers(place: Locator) -> list[str]:
    """Each rule that something inside of `place` breaks, and where; empty: there are none."""
    page = place.page
    if not page.evaluate("!!window.axe"):
        page.add_script_tag(path=AXE)
    found: list[str] = place.evaluate(RUN)
    return found
