"""What Tab offers on a line of `%raynb`, in a real IPython."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter

from raynb.magics.commands import HOMES
from raynb.magics.completion import candidates
from raynb.runtime.api import session
from raynb.runtime.api.remote import make_remote
from tests.magics.notebook import Notebook

SETUP = """
import raynb as ray

@ray.remote
def load(n):
    return n

counter = ray.get_actor("the_counter")
ready = ray.get(counter.add.remote())
ref = load.remote(1)
refs = [ref]
by_name = {"a": ref}
number, text, _hidden = 1, "x", ref
ray.get(ref)
"""


def completed(notebook: Notebook, line: str) -> list[str]:
    """What the shell offers at the end of a line, as whole words."""
    with provisionalcompleter():
        found = list(notebook.shell.Completer.completions(line, len(line)))
    return [line[: completion.start].split(" ")[-1] + completion.text for completion in found]


class Counter:
    def add(self) -> int:
        return 1


@pytest.fixture(scope="module")
def counter(cluster: None) -> Any:
    """An actor with a name."""
    return make_remote(Counter, {}).options(name="the_counter").remote()


@pytest.fixture
def filled(notebook: Notebook, counter: Any) -> Notebook:
    """A notebook with references, an actor, and other things."""
    notebook.must(SETUP)
    return notebook


@pytest.mark.parametrize(
    ("line", "some", "none"),
    [
        ("%raynb ", [*HOMES], ["--num-cpus"]),
        ("%raynb s", ["status", "scale", "stop"], ["why"]),
        ("%raynb why ", ["ref", "refs", "by_name", "counter", "the_counter"], ["number", "text", "_hidden", "load"]),
        ("%raynb why re", ["ref", "refs"], ["ready", "counter"]),
        ("%raynb cancel ", ["ref", "--cell", "--all"], ["number"]),
        ("%raynb cancel ref ", ["--force"], ["refs"]),
        ("%raynb logs g", ["gcs"], ["ref"]),
        ("%raynb logs the", ["the_counter"], ["gcs"]),
        ("%raynb tasks --st", ["--state"], ["--name"]),
        ("%raynb tasks --state ", ["RUNNING", "FINISHED", "FAILED"], ["--name", "ALIVE"]),
        ("%raynb tasks --state fi", ["finished"], ["failed"]),
        ("%raynb tasks --name ", ["load", "Counter.add"], ["ref"]),
        ("%raynb tasks --state RUNNING ", ["--name", "--cell"], ["--state"]),
        ("%raynb actors --state ", ["ALIVE", "DEAD"], ["RUNNING"]),
        ("%raynb actors --name ", ["the_counter"], ["ref"]),
        ("%raynb graph --by ", ["function", "cell"], ["ref"]),
        ("%raynb init --address ", ["auto"], ["ref"]),
        ("%raynb scale ", ["--help"], ["ref"]),
        ("%raynb tasks --limit ", [], ["ref", "--state"]),
    ],
)
def test_what_may_follow_is_offered(filled: Notebook, line: str, some: list[str], none: list[str]) -> None:
    found = candidates(line, filled.namespace())
    if line.endswith("--by "):
        found = [word.lower() for word in found]
    assert set(some) <= set(found), found
    assert not set(none) & set(found), found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%raynb why re", "ref"),
        ("%raynb why the_c", "the_counter"),
        ("%raynb tasks --state RUN", "RUNNING"),
        ("%raynb tasks --na", "--name"),
        ("%raynb obj", "objects"),
    ],
)
def test_the_shell_offers_it(filled: Notebook, line: str, expected: str) -> None:
    assert expected in completed(filled, line)


def test_files_are_offered_for_the_timeline(filled: Notebook, tmp_path: Path) -> None:
    (tmp_path / "trace.json").touch()
    assert candidates(f"%raynb timeline {tmp_path}/tr", {}) == [f"{tmp_path}/trace.json"]


def test_without_a_cluster_none_is_started_for_it(notebook: Notebook) -> None:
    session.shutdown()
    notebook.must("number = 1")
    for line in ("%raynb why ", "%raynb tasks --name ", "%raynb logs ", "%raynb tasks --cell "):
        assert all(word.startswith("--") for word in candidates(line, notebook.namespace()))
    assert not session.is_initialized()
