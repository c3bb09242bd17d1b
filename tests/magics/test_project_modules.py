"""In a real kernel: modules beside the notebook that are edited reach the workers that have imported them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.magics.kernel import Kernel, notebook_kernel


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the notebook is."""
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def kernel(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel in that folder, with one worker at a time. Python caches what it has compiled, as for a user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("cache")))
        pid = "import importlib, sys\n@ray.remote\ndef pid():\n    return os.getpid()"
        with notebook_kernel(pid, cwd=folder, num_cpus=1) as made:
            yield made


@pytest.fixture
def same_worker(kernel: Kernel) -> Iterator[None]:
    """All of a test's tasks run in one process, else it would show nothing."""
    before = says(kernel, "ray.get(pid.remote())")
    yield
    assert says(kernel, "ray.get(pid.remote())") == before


def says(kernel: Kernel, expression: str) -> str:
    """What a cell gives, as text."""
    request = kernel.run(expression)
    assert not kernel.errors(request), kernel.errors(request)
    [text] = kernel.shown(request)
    return text


def must(kernel: Kernel, cell: str) -> None:
    request = kernel.run(cell)
    assert not kernel.errors(request), kernel.errors(request)


def version(number: int) -> str:
    """A module that says which one it is; each as long as the others."""
    return f"def f():\n    return {number}\n\nclass C:\n    def m(self):\n        return {number}\n"


@pytest.mark.usefixtures("same_worker")
def test_a_module_that_was_reloaded_is_the_new_one_in_the_next_task(kernel: Kernel, folder: Path) -> None:
    (folder / "helper.py").write_text(version(1))
    must(kernel, "import helper\n@ray.remote\ndef g():\n    return helper.f(), helper.C().m()")
    assert says(kernel, "ray.get(g.remote())") == "(1, 1)"
    (folder / "helper.py").write_text(version(22))
    must(kernel, "importlib.reload(helper)")
    assert says(kernel, "helper.f(), ray.get(g.remote())") == "(22, (22, 22))"


@pytest.mark.usefixtures("same_worker")
def test_a_reload_in_the_middle_of_a_cell_counts_from_then_on(kernel: Kernel, folder: Path) -> None:
    (folder / "inside.py").write_text(version(1))
    must(kernel, "import inside\n@ray.remote\ndef inner():\n    return inside.f()")
    edit = f"open({str(folder / 'inside.py')!r}, 'w').write({version(4444)!r})"
    cell = (
        f"a = ray.get(inner.remote())\n{edit}\nb = importlib.reload(inside)\n(a, inside.f(), ray.get(inner.remote()))"
    )
    assert says(kernel, cell) == "(1, 4444, 4444)"


@pytest.mark.usefixtures("same_worker")
def test_a_file_edited_to_the_same_size_in_the_same_second_is_read_anew(kernel: Kernel, folder: Path) -> None:
    (folder / "quick.py").write_text(version(1))
    must(kernel, "@ray.remote\ndef only_there():\n    import quick\n    return quick.f()")
    found = []
    for number in range(2, 6):
        found.append(says(kernel, "ray.get(only_there.remote())"))
        (folder / "quick.py").write_text(version(number))
    found.append(says(kernel, "ray.get(only_there.remote())"))
    assert found == ["1", "2", "3", "4", "5"]


@pytest.mark.usefixtures("same_worker")
def test_submodules_and_what_was_imported_from_them(kernel: Kernel, folder: Path) -> None:
    package = folder / "package"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").write_text("from package.sub import f\n")
    (package / "sub.py").write_text(version(1))
    (package / "deep" / "leaf.py").write_text(version(1))  # in a folder without an __init__
    must(
        kernel,
        "import package.sub\nfrom package.deep import leaf\n@ray.remote\ndef h():\n"
        "    return package.f(), package.sub.C().m(), leaf.f()",
    )
    must(
        kernel,
        "@ray.remote\ndef late():\n    from package.deep import leaf\n    from package import f\n"
        "    return f(), leaf.f()",
    )
    assert says(kernel, "ray.get([h.remote(), late.remote()])") == "[(1, 1, 1), (1, 1)]"
    (package / "sub.py").write_text(version(22))
    assert says(kernel, "ray.get([h.remote(), late.remote()])") == "[(22, 22, 1), (22, 1)]"
    (package / "deep" / "leaf.py").write_text(version(333))
    assert says(kernel, "ray.get([h.remote(), late.remote()])") == "[(22, 22, 333), (22, 333)]"


@pytest.mark.usefixtures("same_worker")
def test_names_imported_from_a_module(kernel: Kernel, folder: Path) -> None:
    (folder / "names.py").write_text(version(1))
    must(
        kernel,
        "import names\nfrom names import f, C\n@ray.remote\ndef k(x=None):\n    return f(), C().m(), x and x.m()",
    )
    must(kernel, "rf = ray.remote(f)")
    assert says(kernel, "ray.get([k.remote(C()), rf.remote()])") == "[(1, 1, 1), 1]"
    (folder / "names.py").write_text(version(22))
    must(kernel, "importlib.reload(names)\nfrom names import f, C")
    assert says(kernel, "ray.get([k.remote(C()), rf.remote()])") == "[(22, 22, 22), 22]"
    must(kernel, "%%remote\nfrom_a_cell = f(), C().m()")
    assert says(kernel, "ray.get(from_a_cell)") == "(22, 22)"


def test_a_notebook_that_has_the_old_code_is_told_once_when_its_tasks_have_the_new(
    kernel: Kernel, folder: Path
) -> None:
    (folder / "stale.py").write_text(version(1))
    must(kernel, "import stale\n@ray.remote\ndef s():\n    return stale.f()")
    assert says(kernel, "ray.get(s.remote())") == "1"
    (folder / "stale.py").write_text(version(22))
    assert kernel.printed(kernel.run("stale.f()")) == "", "without a task there is nothing to tell"
    told = kernel.run("stale.f(), ray.get(s.remote())")
    assert kernel.shown(told) == ["(1, 22)"]
    assert "stale.py has changed since the notebook imported it" in kernel.printed(told)
    assert "importlib.reload(stale)" in kernel.printed(told)
    assert kernel.printed(kernel.run("x = ray.get(s.remote())")) == ""
    (folder / "stale.py").write_text(version(333))
    reloaded = kernel.run("_ = importlib.reload(stale); x = stale.f(), ray.get(s.remote())")
    assert kernel.printed(reloaded) == "", "it was loaded again before the task"


@pytest.mark.usefixtures("same_worker")
def test_autoreload(kernel: Kernel, folder: Path) -> None:
    (folder / "auto.py").write_text(version(1))
    must(kernel, "%load_ext autoreload\n%autoreload 2\nimport auto\nfrom auto import f, C")
    must(kernel, "@ray.remote\ndef a():\n    return auto.f(), f(), C().m()")
    try:
        assert says(kernel, "ray.get(a.remote())") == "(1, 1, 1)"
        (folder / "auto.py").write_text(version(22))
        assert says(kernel, "(auto.f(), f(), C().m()), ray.get(a.remote())") == "((22, 22, 22), (22, 22, 22))"
        must(kernel, "%%remote\ncell = auto.f(), f(), C().m()")
        assert says(kernel, "ray.get(cell)") == "(22, 22, 22)"
        (folder / "auto.py").write_text(version(333))
        must(kernel, "@ray.remote\ndef again():\n    return auto.f(), f(), C().m()")
        assert says(kernel, "ray.get(again.remote())") == "(333, 333, 333)"
    finally:
        kernel.run("%autoreload 0")


@pytest.mark.usefixtures("same_worker")
def test_a_module_that_holds_what_it_took_from_the_edited_one_is_new_too(kernel: Kernel, folder: Path) -> None:
    (folder / "constants.py").write_text("N = 1\n")
    (folder / "model.py").write_text("from constants import N\ndef n():\n    return N\n")
    must(kernel, "import model\n@ray.remote\ndef n():\n    return model.n()")
    assert says(kernel, "ray.get(n.remote())") == "1"
    (folder / "constants.py").write_text("N = 2\n")
    assert says(kernel, "ray.get(n.remote())") == "2"


@pytest.mark.usefixtures("same_worker")
def test_nothing_is_imported_again_where_nothing_has_changed(kernel: Kernel, folder: Path) -> None:
    (folder / "state.py").write_text("calls = 0\ndef count():\n    global calls\n    calls += 1\n    return calls\n")
    must(kernel, "@ray.remote\ndef count():\n    import state\n    return state.count()")
    assert [says(kernel, "ray.get(count.remote())") for _ in range(3)] == ["1", "2", "3"]


def test_a_new_actor_has_the_new_code_and_an_old_one_keeps_its_own(kernel: Kernel, folder: Path) -> None:
    (folder / "actors.py").write_text(version(1))
    must(kernel, "import actors\n@ray.remote(num_cpus=0)\nclass A:\n    def m(self):\n        return actors.C().m()")
    assert says(kernel, "old = A.remote()\nray.get(old.m.remote())") == "1"
    (folder / "actors.py").write_text(version(22))
    must(kernel, "importlib.reload(actors)")
    assert says(kernel, "new = A.remote()\nray.get([old.m.remote(), new.m.remote()])") == "[1, 22]"


# Two workers take part, for one waits: which of them stays is not said, so neither may have the old code.
def test_a_nested_task_runs_the_new_code_too(kernel: Kernel, folder: Path) -> None:
    (folder / "nested.py").write_text(version(1))
    must(kernel, "import nested\n@ray.remote\ndef leaf():\n    return nested.f()")
    must(kernel, "@ray.remote\ndef root():\n    return ray.get(leaf.remote())")
    assert says(kernel, "ray.get(root.remote())") == "1"
    (folder / "nested.py").write_text(version(22))
    assert says(kernel, "ray.get(root.remote())") == "22"


def test_a_folder_that_the_notebook_enters_and_a_path_that_it_adds_hold_from_the_next_cell_on(
    kernel: Kernel, folder: Path
) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "data.txt").write_text("found")
    (folder / "library").mkdir()
    (folder / "library" / "added.py").write_text(version(7))
    must(kernel, "@ray.remote\ndef here():\n    import added\n    return open('data.txt').read(), added.f()")
    must(kernel, f"os.chdir('elsewhere'); sys.path.append({str(folder / 'library')!r})")
    try:
        assert says(kernel, "ray.get(here.remote())") == "('found', 7)"
    finally:
        must(kernel, "os.chdir('..')")
    assert says(kernel, "ray.get(ray.remote(os.getcwd).remote())") == repr(str(folder))
