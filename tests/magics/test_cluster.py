"""`%raynb` and how the magics come into a shell and out of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from IPython.core.completer import provisionalcompleter

from raynb.magics import register, unregister
from raynb.magics.errors import OptionError
from raynb.runtime.api import session
from tests.magics.notebook import Notebook


@pytest.fixture
def no_cluster() -> Iterator[None]:
    session.shutdown()
    yield
    session.shutdown()


def test_a_cluster_is_started_shown_and_stopped(notebook: Notebook, no_cluster: None) -> None:
    assert "No cluster" in notebook.must("%raynb status").stdout
    notebook.must("n = 2")
    started = notebook.must("%raynb init --num-cpus $n --resources licence=1 --object-store-memory 100MB").stdout
    assert "2 CPU" in started and "licence" in started
    assert session.is_initialized()
    again = notebook.run("%raynb init")
    assert isinstance(again.error, OptionError) and "already" in str(again.error)
    shown = notebook.must("%raynb status").stdout
    assert "1 node" in shown and "0 of 2" in shown and "licence" in shown and "100.0 MB" in shown
    assert "Stopped" in notebook.must("%raynb stop").stdout
    assert not session.is_initialized()
    assert "No cluster" in notebook.must("%raynb stop").stdout


def test_commands_explain_themselves(notebook: Notebook) -> None:
    for line in ("%raynb", "%raynb --help"):
        listed = notebook.must(line).stdout
        assert all(f"  {command} " in listed for command in ("init", "status", "stop"))
    assert "--num-cpus" in notebook.must("%raynb init --help").stdout


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%raynb statsu", "Did you mean status"),
        ("%raynb nonsense", "%raynb COMMAND --help lists"),
        ("%raynb init --num-cpu 2", "Did you mean --num-cpus"),
        ("%raynb status now", "takes options only"),
    ],
)
def test_what_is_not_understood_is_said_in_a_line(notebook: Notebook, line: str, words: str) -> None:
    ran = notebook.run(line)
    assert isinstance(ran.error, OptionError)
    assert words in ran.stdout
    assert "Traceback" not in ran.stdout


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%raynb st", "status"),
        ("%%remote --num-c", "--num-cpus"),
        ("%raynb init --n", "--namespace"),
        ("x = %remote --lo", "--local"),
    ],
)
def test_the_shell_completes_lines_of_magics(notebook: Notebook, line: str, expected: str) -> None:
    notebook.must("one_name = another_name = 1")
    with provisionalcompleter():
        found = [completion.text for completion in notebook.shell.Completer.completions(line, len(line))]
    assert expected in found


def test_registering_can_be_taken_back(notebook: Notebook) -> None:
    shell = notebook.shell
    unregister(shell)
    try:
        assert shell.find_cell_magic("remote") is None
        assert "No cluster" not in notebook.run("%raynb status").stdout
        unregister(shell)
        register(shell)
        register(shell)
    finally:
        unregister(shell)
        register(shell, notebook._open_screen)
    assert shell.find_cell_magic("remote") is not None
    callbacks = shell.events.callbacks["pre_run_cell"]
    assert sum("IPythonSession" in repr(callback) for callback in callbacks) == 1
