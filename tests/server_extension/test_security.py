"""Who may not: nobody without the token, no other origin, no page without the XSRF token; and what hostile input
does."""

from __future__ import annotations

import http.cookiejar
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import websocket

from raynb.runtime.messages import screen
from tests.server_extension.conftest import CPUS, Driven
from tests.server_extension.jupyter import BASE, TOKEN, Server

OBJECT = "ab" * 28


def paths_of(cluster: str) -> Iterator[tuple[str, str]]:
    yield from [("GET", "version"), ("GET", "clusters"), ("POST", "clusters")]
    yield from [
        ("GET", f"clusters/{cluster}"),
        ("DELETE", f"clusters/{cluster}"),
        ("POST", f"clusters/{cluster}/scale"),
    ]
    for rest in ("tasks", "actors", "objects", "nodes", "workers", "jobs", "timeline", "logs", "views"):
        yield "GET", f"clusters/{cluster}/{rest}"
    yield "GET", f"clusters/{cluster}/objects/{OBJECT}/preview"


def test_without_the_token_nothing_is_told_and_nothing_is_done(server: Server, cluster: Driven) -> None:
    for method, path in paths_of(cluster.id):
        for token in (None, "wrong", ""):
            answer = server.request(method, path, b"{}" if method == "POST" else None, token=token)
            assert answer.status == 403, (method, path, token, answer)
            assert cluster.id not in answer.body.decode() and cluster.session not in answer.body.decode()
    assert [found["id"] for found in server.clusters()] == [cluster.id]


def refused(server: Server, cluster: str, **options: Any) -> int:
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        server.screen(cluster, **options)
    return int(caught.value.status_code)


def test_a_websocket_without_the_token_or_from_another_origin_is_refused(server: Server, cluster: Driven) -> None:
    assert refused(server, cluster.id, token=None) == 403
    assert refused(server, cluster.id, token="wrong") == 403
    for origin in ("http://evil.example", "null", f"http://127.0.0.1:{server.port + 1}", "https://127.0.0.1"):
        assert refused(server, cluster.id, origin=origin, token=None) == 403
    assert refused(server, cluster.id, origin="http://evil.example", token=None, cookie=session_cookie(server)) == 403


class Browser:
    """One that has logged in: it has a cookie, and pages of other origins may make it send requests."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        for page in ("login", f"login?token={TOKEN}&next={BASE}api"):
            with self.opener.open(f"{server.origin}{BASE}{page}") as answer:
                answer.read()

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> int:
        url = f"{self.server.origin}{BASE}raynb/api/{path}"
        try:
            with self.opener.open(urllib.request.Request(url, body, headers, method=method)) as answer:
                answer.read()
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    @property
    def xsrf(self) -> str:
        return next(str(cookie.value) for cookie in self.cookies if cookie.name == "_xsrf")


def session_cookie(server: Server) -> str:
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in Browser(server).cookies)


def test_a_change_needs_the_xsrf_token_where_a_cookie_says_who_asks(server: Server, cluster: Driven) -> None:
    browser = Browser(server)
    assert browser.request("GET", "clusters") == 200
    body = json.dumps({"num_cpus": 9}).encode()
    for method, path in (
        ("POST", "clusters"),
        ("DELETE", f"clusters/{cluster.id}"),
        ("POST", f"clusters/{cluster.id}/scale"),
    ):
        assert browser.request(method, path, body if method == "POST" else None) == 403
        assert browser.request(method, path, body if method == "POST" else None, **{"X-XSRFToken": "guessed"}) == 403
    assert cluster.get("nodes?detail=1")["rows"][0]["resources_total"]["CPU"] == CPUS
    ours = {"X-XSRFToken": browser.xsrf, "Content-Type": "application/json"}
    assert browser.request("POST", f"clusters/{cluster.id}/scale", body, **ours) == 200


def test_another_origins_page_is_told_nothing(server: Server, cluster: Driven) -> None:
    # Whoever has the token itself is no page that was led astray: Jupyter answers that from anywhere.
    browser = Browser(server)
    for origin in ("http://evil.example", "null"):
        assert browser.request("GET", f"clusters/{cluster.id}/tasks", Origin=origin) in (403, 404)


HOSTILE = [
    "..",
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%00",
    "a%0d%0aSet-Cookie:x=1",
    "<script>alert(1)</script>",
    "'; DROP TABLE tasks; --",
    "a" * 65,
    "a" * 5000,
    "%u002e",
    "\u202eid",
    "clusters",
    "*",
    "{cluster}",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_id_is_no_cluster_no_object_and_no_table(server: Server, cluster: Driven, name: str) -> None:
    shown = quote(name, safe="%./")
    for path in (
        f"clusters/{shown}",
        f"clusters/{cluster.id}/{shown}",
        f"clusters/{cluster.id}/objects/{shown}/preview",
    ):
        answer = server.request("GET", path)
        assert answer.status in (400, 403, 404), (path, answer)
        assert b"<script>" not in answer.body or "json" in answer.headers["Content-Type"]
        assert "Set-Cookie" not in answer.headers or "x=1" not in answer.headers["Set-Cookie"]
    for query in (f"filter={shown}", f"filter=state={shown}", f"id={shown}", f"search={shown}", f"limit={shown}"):
        answer = server.request("GET", f"clusters/{cluster.id}/tasks?{query}")
        assert answer.status in (200, 400), (query, answer)
    assert server.process.poll() is None


def test_a_flood_and_an_oversized_message_cost_only_their_own_window(cluster: Driven) -> None:
    honest, hostile = cluster.screen(), cluster.screen()
    honest.subscribe(screen.SummaryView(), 1)
    for _ in range(500):
        hostile.send(
            '{"type":"subscribe","id":1,"view":{"view":"table","table":"tasks","search":"' + "x" * 1000 + '"}}'
        )
    hostile.socket.send_binary(os.urandom(1000))
    hostile.until(lambda: hostile.told_of(screen.Refused))
    hostile.send("x" * 100_000)
    with pytest.raises((AssertionError, websocket.WebSocketException, OSError)):
        hostile.until(lambda: False, 10)
    cluster.run("ray.get(square.remote(2))")
    honest.until(lambda: honest.states[1].tasks_finished == 1)


def test_more_views_than_a_window_may_have_are_refused_and_the_others_go_on(cluster: Driven) -> None:
    window = cluster.screen()
    for number in range(40):
        window.send(screen.Subscribe(number, screen.TableView("tasks", offset=number)))
    window.until(lambda: len(window.told_of(screen.Refused)) == 8)
    cluster.run("ray.get(square.remote(2))")
    window.until(lambda: all(window.states[number].total == 1 for number in range(32)))


def test_markup_in_names_and_errors_arrives_as_the_text_that_it_is(server: Server, cluster: Driven) -> None:
    name = "<img src=x onerror=alert(1)>"
    cluster.run(f"ref = square.options(name={name!r}).remote('</script><b>'); ray.wait([ref])")
    window = cluster.screen()
    window.subscribe(screen.TableView("tasks"), 1)
    window.until(lambda: window.states[1].rows and window.states[1].rows[0]["state"] == "FAILED")
    row = window.states[1].rows[0]
    assert row["name"] == name and "TypeError" in row["error_message"]
    answer = server.request("GET", f"clusters/{cluster.id}/tasks?detail=1")
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.json["rows"][0]["name"] == name


def test_nothing_was_unpickled_in_the_server(server: Server, cluster: Driven) -> None:
    window = cluster.screen()
    cluster.run("kept = [ray.put({'a': object}), ray.put(Exception('x'))]; answer = ray.get(square.remote(3))")
    for oid in cluster.run("answer = [ref.hex() for ref in kept]"):
        cluster.get(f"objects/{oid}/preview")
    for number, view in enumerate((screen.TableView("objects"), screen.GraphView(by="task"), screen.TimelineView())):
        window.subscribe(view, number)
    cluster.get("timeline")
    cluster.get("logs")
    assert server.unpickled == ""
