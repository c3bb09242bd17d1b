"""`%raynb logs` in a cluster of several nodes, whose processes' logs have the same names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.magics.notebook import Notebook
from tests.magics.test_commands import show
from tests.support.nodes import Nodes, several_nodes

SAY = """
import os
import raynb as ray
say = ray.remote(lambda words: print(words, flush=True) or os.getpid())
near = say.remote('near words')
far = say.options(num_cpus=0, resources={'far': 1}).remote('far words')
pids = ray.get([near, far])
"""


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with several_nodes() as nodes:
        nodes.add(resources={"far": 1})
        yield nodes


def test_a_log_is_looked_for_on_the_node_that_has_it(nodes: Nodes, notebook: Notebook) -> None:
    notebook.must(SAY)
    for number, words in enumerate(("near words", "far words")):
        assert words in show(notebook, f"%raynb logs {words.split()[0]}")
        assert words in show(notebook, f"%raynb logs {notebook.value(f'pids[{number}]')}")
    listed = show(notebook, "%raynb logs")
    assert "near words" in listed and "far words" in listed and "gcs.log" in listed
    notebook.must("del near, far, say")
