"""One sentence for a chain of causes."""

from __future__ import annotations

from raynb.runtime.client.why import Step, said, span


def waits(name: str) -> Step:
    return Step("input", name, "waits for its input")


RUNS = Step("running", "load", "has been running for 3.0 s (pid 7)", "Wait.")
LACKS = Step("resources", "load", "waits for 1 CPU", "Scale up.")


def test_a_cause_of_its_own_is_said_at_once() -> None:
    found = said([LACKS])
    assert (found.kind, found.sentence, found.fix) == ("resources", "load waits for 1 CPU.", "Scale up.")
    assert repr(found) == "load waits for 1 CPU.\nScale up."


def test_a_short_chain_is_said_in_full() -> None:
    found = said([waits("fit"), waits("clean"), LACKS])
    assert found.sentence == "fit waits for its input clean, which waits for its input load, which waits for 1 CPU."
    assert found.kind == "resources" and found.fix == "Scale up."
    assert found.chain == ("fit waits for its input clean", "clean waits for its input load", "load waits for 1 CPU")


def test_a_long_chain_names_its_ends_and_some_between() -> None:
    names = [waits(name) for name in "abcdefgh"]
    found = said([*names, RUNS])
    assert found.sentence == (
        "a waits for its input b, which in the end (through c, 4 more, h) waits for load, which has been running for "
        "3.0 s (pid 7)."
    )
    assert len(found.chain) == 9 and len(repr(found).splitlines()) == 11


def test_what_merely_runs_is_no_cause_but_what_waits_behind_it_is() -> None:
    assert said([RUNS]).kind == "running"
    assert said([waits("fit"), RUNS]).kind == "input"
    turn = Step("order", "Counter.read", "waits for its turn (1 call is ahead of it) behind", "Another actor.")
    assert said([turn, RUNS]).fix == "Another actor."
    assert said([waits("fit"), RUNS]).fix == "Wait."


def test_names_are_escaped_in_html() -> None:
    found = said([waits("<b>"), waits("<i>"), RUNS])
    assert "&lt;b&gt; waits" in found._repr_html_() and "<b>" not in found._repr_html_()


def test_times_are_for_people() -> None:
    assert [span(s) for s in (0.04, 3, 42, 200, 9000, 300_000)] == [
        "40 ms",
        "3.0 s",
        "42 s",
        "3.3 min",
        "2.5 h",
        "3.5 d",
    ]
