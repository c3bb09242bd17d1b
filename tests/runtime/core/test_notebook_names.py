"""Which names of a notebook hold an object: what its kernel tells, and what the hub keeps of it."""

from __future__ import annotations

import pytest

from raynb.runtime.core.inbox import HeldBy
from raynb.runtime.core.notebook_names import NAMES_MAX, OBJECTS_MAX, NotebookNames, ToldNames
from raynb.runtime.messages.events import ObjectNames

X, Y = b"x" * 28, b"y" * 28


@pytest.fixture
def told() -> ToldNames:
    return ToldNames()


def take(told: ToldNames) -> ObjectNames:
    message = told.take()
    assert message is not None
    return message


def test_only_what_has_changed_is_told(told: ToldNames) -> None:
    assert not told.pending and told.take() is None
    told.set(HeldBy({X: ["df"], Y: ["parts[0]"]}))
    assert told.pending
    assert take(told) == ObjectNames([(X, ["df"]), (Y, ["parts[0]"])])
    told.set(HeldBy({X: ["df"], Y: ["parts[0]"]}))
    assert told.take() is None and not told.pending
    told.set(HeldBy({X: ["df", "Out[7]"]}))
    assert take(told) == ObjectNames([(X, ["df", "Out[7]"]), (Y, [])])


def test_a_hub_that_was_restarted_is_told_everything(told: ToldNames) -> None:
    told.set(HeldBy({X: ["df"]}))
    take(told)
    told.again()
    assert told.pending
    assert take(told) == ObjectNames([(X, ["df"])], reset=True)
    told.set(HeldBy({X: ["df"], Y: ["y"]}, "clean.ipynb"))
    assert take(told) == ObjectNames([(Y, ["y"])], notebook="clean.ipynb")
    assert told.take() is None


def test_it_is_bounded(told: ToldNames) -> None:
    many = [f"parts[{n}]" for n in range(NAMES_MAX + 3)]
    told.set(HeldBy({n.to_bytes(28, "big"): many for n in range(OBJECTS_MAX + 1)}))
    message = take(told)
    assert len(message.changed) == OBJECTS_MAX
    assert message.changed[0][1] == [*many[:NAMES_MAX], "3 more"]
    told.set(HeldBy({X: ["v" * 1000]}))
    ((_, (name,)),) = [each for each in take(told).changed if each[1]]
    assert len(name) <= 100


def test_the_hub_knows_names_of_all_notebooks_until_they_end() -> None:
    names = NotebookNames()
    names.take("one", ObjectNames([(X, ["df"]), (Y, ["other"])]), 1.0)
    names.take("two", ObjectNames([(X, ["mine"])]), 1.0)
    assert names.of(X) == ["df", "mine"]
    names.take("one", ObjectNames([(X, ["df", "Out[1]"]), (Y, [])]), 2.0)
    assert names.of(X) == ["df", "Out[1]", "mine"] and names.of(Y) == []
    names.client_died("one", 3.0)
    assert names.of(X) == ["mine"]
    names.take("two", ObjectNames([(Y, ["new"])], reset=True), 4.0)
    assert names.of(X) == [] and names.of(Y) == ["new"]
    names.take("two", ObjectNames([(Y, [])]), 5.0)
    assert names.statistics() == {"notebooks": 0, "named": 0}


def test_the_hub_knows_which_names_there_were_at_a_moment() -> None:
    names = NotebookNames()
    names.take("one", ObjectNames([(X, ["df"])]), 10.0)
    names.take("one", ObjectNames([(X, ["df", "copy"]), (Y, ["y"])]), 20.0)
    names.take("one", ObjectNames([(X, [])]), 30.0)
    names.client_died("one", 40.0)
    assert names.at(9.0) == {}
    assert names.at(10.0) == {X: ["df"]}
    assert names.at(25.0) == {X: ["df", "copy"], Y: ["y"]}
    assert names.at(35.0) == {Y: ["y"]}
    assert names.at(40.0) == {}


def test_a_name_is_said_with_its_notebook_where_there_are_several() -> None:
    names = NotebookNames()
    names.take("one", ObjectNames([(X, ["df"])], notebook="clean.ipynb"), 1.0)
    assert names.of(X) == ["df"]
    names.take("two", ObjectNames([(X, ["df", "Out[2]"])], notebook="plot.ipynb"), 2.0)
    assert names.of(X) == ["df in clean.ipynb", "df in plot.ipynb", "Out[2] in plot.ipynb"]
    assert names.at(1.5) == {X: ["df"]}
    assert names.at(2.5)[X] == names.of(X)
    names.take("two", ObjectNames([(X, [])], notebook="plot.ipynb"), 3.0)
    assert names.of(X) == ["df in clean.ipynb"], "there are still two: whose it is matters"
    names.client_died("two", 4.0)
    assert names.of(X) == ["df"]
    assert sorted(names.at(2.5)[X]) == ["Out[2] in plot.ipynb", "df in clean.ipynb", "df in plot.ipynb"]
