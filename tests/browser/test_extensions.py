"""The JupyterLab extension and the server extension are on wherever raynb is installed."""

from __future__ import annotations

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, expect

import raynb
from tests.browser.conftest import Lab


def version_request(lab: Lab, **headers: str) -> Request:
    return Request(f"{lab.url}raynb/api/version", headers=headers)


def test_the_command_palette_shows_which_version_the_server_has(page: Page) -> None:
    page.keyboard.press("Control+Shift+C")
    page.locator(".lm-CommandPalette-input").fill("About raynb")
    page.locator(".lm-CommandPalette-item[data-command='raynb:about']").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"raynb {raynb.__version__}")


def test_the_plugin_is_active_and_its_command_registered(page: Page) -> None:
    assert page.evaluate("jupyterapp.isPluginActivated('raynb:plugin')")
    assert page.evaluate("jupyterapp.commands.hasCommand('raynb:about')")


def test_a_server_without_the_extension_is_said_aloud(page: Page) -> None:
    page.route("**/raynb/api/version*", lambda route: route.fulfill(status=404, body="{}"))
    page.evaluate("void jupyterapp.commands.execute('raynb:about')")
    expect(page.get_by_role("dialog")).to_contain_text("server extension does not answer")


def test_the_server_tells_its_version_to_who_has_the_token(lab: Lab) -> None:
    with urlopen(version_request(lab, Authorization=f"token {lab.token}")) as answer:
        assert answer.headers.get_content_type() == "application/json"
        assert json.load(answer) == {"version": raynb.__version__}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "token wrong"}])
def test_the_server_tells_nothing_to_who_has_no_token(lab: Lab, headers: dict[str, str]) -> None:
    with pytest.raises(HTTPError) as refusal:
        urlopen(version_request(lab, **headers))
    with refusal.value as answer:
        assert answer.code == 403
        assert raynb.__version__.encode() not in answer.read()
