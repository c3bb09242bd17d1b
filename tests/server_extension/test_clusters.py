"""Clusters over HTTP: found wherever they were started, and started, scaled and stopped."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from raynb.runtime.adapters import registry
from raynb.runtime.adapters.registry import ClusterEntry
from raynb.runtime.adapters.session_dir import create_session
from raynb.runtime.messages import screen
from raynb.runtime.messages.config import PROTOCOL_VERSION
from tests.server_extension.conftest import CPUS, Driven
from tests.server_extension.jupyter import Server
from tests.support.leaks import processes_of
from tests.support.waiting import wait_until


def add_kernel(server: Server, name: str, *argv: str) -> None:
    folder = server.home / "data" / "kernels" / name
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": name, "language": "python"}))


def test_a_cluster_that_a_program_has_started_is_listed_and_described(server: Server, cluster: Driven) -> None:
    (listed,) = [found for found in server.clusters() if found["id"] == cluster.id]
    assert listed["python"] == sys.executable
    assert (listed["alive"], listed["problem"], listed["notebook"]) == (True, "", "")
    assert server.get(f"clusters/{cluster.id}") == listed


def test_a_cluster_that_is_not_there_is_a_404_in_words(server: Server) -> None:
    for method, path in [("GET", ""), ("DELETE", ""), ("GET", "/tasks"), ("POST", "/scale")]:
        answer = server.request(method, f"clusters/none{path}", {"num_cpus": 1} if method == "POST" else None)
        assert answer.status == 404, (method, path, answer)
        assert "there is no cluster none" in answer.words


def test_a_cluster_is_started_with_a_kernels_interpreter_scaled_and_stopped(server: Server) -> None:
    add_kernel(server, "own", sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}")
    answer = server.request("POST", "clusters", {"kernel": "own", "num_cpus": 1, "name": "from-the-panel"})
    assert answer.status == 201, answer
    started = answer.json
    try:
        assert (started["name"], started["python"], started["alive"]) == ("from-the-panel", sys.executable, True)
        window = server.screen(started["id"])
        assert window.subscribe(screen.SummaryView()).cpus_total == 1
        scaled = server.request("POST", f"clusters/{started['id']}/scale", {"num_cpus": 3})
        assert scaled.status == 200 and scaled.json["num_cpus"] == 3, scaled
        window.until(lambda: window.states[1].cpus_total == 3)
        window.close()
    finally:
        answer = server.request("DELETE", f"clusters/{started['id']}")
    assert answer.status == 204, answer
    assert server.request("GET", f"clusters/{started['id']}").status == 404
    wait_until(lambda: not processes_of(started["id"]), what="its processes are gone")


def test_a_cluster_that_a_program_has_started_can_be_stopped_from_the_panel(server: Server, cluster: Driven) -> None:
    assert server.request("DELETE", f"clusters/{cluster.id}").status == 204
    assert cluster.id not in [found["id"] for found in server.clusters()]


@pytest.mark.parametrize(
    ("kernel", "argv", "status", "words"),
    [
        ("no-python", ("/bin/sleep", "1"), 400, "not run by Python itself"),
        ("gone", ("/nowhere/python3", "-m", "ipykernel_launcher"), 404, "/nowhere/python3"),
        ("not-installed", (), 404, "not-installed"),
    ],
)
def test_a_kernel_that_can_not_start_a_cluster_is_told_in_words(
    server: Server, kernel: str, argv: tuple[str, ...], status: int, words: str
) -> None:
    if argv:
        add_kernel(server, kernel, *argv)
    answer = server.request("POST", "clusters", {"kernel": kernel})
    assert answer.status == status and words in answer.words, answer


def test_a_kernel_without_raynb_says_that_it_has_to_be_installed_there(server: Server, tmp_path: Path) -> None:
    bare = tmp_path / "python3"
    bare.write_text(f'#!/bin/sh\nexec {os.path.realpath(sys.executable)} -I -S "$@"\n')
    bare.chmod(0o700)
    add_kernel(server, "bare", str(bare))
    answer = server.request("POST", "clusters", {"kernel": "bare"})
    assert answer.status == 502 and "raynb is not installed for" in answer.words, answer


@pytest.mark.parametrize(
    "body", [b"no json", b"[]", {"num_cpus": "many"}, {"num_cpus": -1}, {"name": "a b/../c"}, {"nmae": "x"}]
)
def test_a_request_that_can_not_be_is_a_400_that_starts_nothing(server: Server, body: object) -> None:
    answer = server.request("POST", "clusters", body)
    assert answer.status == 400 and answer.words, answer
    assert server.clusters() == []


@pytest.fixture
def other_version(server: Server, tmp_path: Path) -> Iterator[ClusterEntry]:
    """A cluster of another raynb, as the registry tells of it."""
    directory = server.home / "runtime" / "raynb" / "clusters"
    held = create_session()
    entry = ClusterEntry(
        cluster_id="fromthefuture",
        name="newer",
        session_dir=str(held.path),
        address="ipc:///nowhere",
        gcs_address="ipc:///nowhere",
        pid=os.getpid(),
        python=sys.executable,
        raynb_version="99.0.0",
        protocol_version=PROTOCOL_VERSION + 1,
        started_at=1.0,
    )
    registry.register(entry, directory=directory)
    yield entry
    registry.unregister(entry.cluster_id, directory=directory)
    held.remove()


def test_a_cluster_of_another_protocol_is_listed_with_what_to_do(server: Server, other_version: ClusterEntry) -> None:
    (listed,) = server.clusters()
    assert not listed["alive"]
    for words in ("99.0.0", f"protocol {PROTOCOL_VERSION + 1}", f"protocol {PROTOCOL_VERSION}", "install the same"):
        assert words in listed["problem"]
    answer = server.request("GET", f"clusters/{other_version.cluster_id}/tasks")
    assert answer.status == 409 and "99.0.0" in answer.words, answer


def test_scaling_is_refused_where_the_number_makes_no_sense(server: Server, cluster: Driven) -> None:
    for body in ({"num_cpus": -1}, {"num_cpus": 1e9}, {}, {"num_cpus": "two"}, {"num_cpus": 1, "more": 2}):
        answer = server.request("POST", f"clusters/{cluster.id}/scale", body)
        assert answer.status == 400 and answer.words, (body, answer)
    assert cluster.get("nodes?detail=1")["rows"][0]["resources_total"]["CPU"] == CPUS
