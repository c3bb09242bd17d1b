"""Options of the magics: parsed into values with types, refused with a sentence, completed."""

from __future__ import annotations

import dataclasses

import pytest

from raynb.magics.arguments import (
    ExpressionOptions,
    HelpRequested,
    Mapped,
    Options,
    RemoteOptions,
    expanded,
    flags,
    parse,
    split_expression,
)
from raynb.magics.commands import COMMANDS, listing
from raynb.magics.commands.lifetime import InitOptions
from raynb.magics.completion import candidates
from raynb.magics.errors import OptionError
from raynb.magics.words import split


def remote(line: str) -> RemoteOptions:
    return parse(RemoteOptions, split(line))


def given(line: str) -> dict[str, object]:
    """The fields that the line sets."""
    options = remote(line)
    return {
        f.name: getattr(options, f.name) for f in dataclasses.fields(options) if getattr(options, f.name) != f.default
    }


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("", {}),
        ("--num-cpus 2 --num-gpus=0.5", {"num_cpus": 2, "num_gpus": 0.5}),
        ("--memory 500MB", {"memory": 500_000_000}),
        ("--memory 1.5GiB", {"memory": 3 << 29}),
        ("--memory 2g", {"memory": 2_000_000_000}),
        ("--memory 1e6", {"memory": 1_000_000}),
        ("--memory '20 kB'", {"memory": 20_000}),
        ("--resources licence=1,disk=.5", {"resources": {"licence": 1, "disk": 0.5}}),
        ("""--resources '{"licence": 1}'""", {"resources": {"licence": 1}}),
        ("""--resources "{'licence': 2}" """, {"resources": {"licence": 2}}),
        ("--max-retries -1 --name 'my task'", {"max_retries": -1, "name": "my task"}),
        ("--block", {"block": True}),
        ("--block --noblock", {}),
        ("--local --no-stream", {"local": True, "stream": False}),
        ("--out result", {"out": "result"}),
        ("--inputs a,b --outputs x", {"inputs": ("a", "b"), "outputs": ("x",)}),
        ("--inputs= --outputs ''", {"inputs": (), "outputs": ()}),
        ("--map x=items[:3]", {"map": Mapped("x", "items[:3]")}),
        ("--map 'x=[a == b for a in c]'", {"map": Mapped("x", "[a == b for a in c]")}),
        ("--map x=[1, 2] --block", {"map": Mapped("x", "[1, 2]"), "block": True}),
        ("--map w=['a b', \"c]\"]", {"map": Mapped("w", "['a b', \"c]\"]")}),
        ("--map x='a b'", {"map": Mapped("x", "'a b'")}),
        ("--map=x=f( g )", {"map": Mapped("x", "f( g )")}),
        ('--resources {"a": 1, "b": 2}', {"resources": {"a": 1, "b": 2}}),
        ('--name="a \\"b\\" c"', {"name": 'a "b" c'}),
        ("--name it's' --local", {"name": "it's'", "local": True}),
    ],
)
def test_options_become_values_with_types(line: str, fields: dict[str, object]) -> None:
    assert given(line) == fields


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--num-cpu 2", "no option --num-cpu. Did you mean --num-cpus"),
        ("--num_gpus 2", "Did you mean --num-gpus"),
        ("--blok", "Did you mean --block"),
        ("--quux=3", "no option --quux"),
        ("--num-cpus two", "--num-cpus: expects a number.* not 'two'"),
        ("--num-cpus -1", "negative"),
        ("--num-cpus inf", "endless"),
        ("--num-cpus nan", "negative or endless"),
        ("--num-cpus", "--num-cpus: expected one argument"),
        ("--memory 5XB", "--memory: expects bytes"),
        ("--memory -5", "expects bytes|expected one argument"),
        ("--resources a", "--resources: expects name=amount"),
        ("--resources a=b", "--resources"),
        ("--resources {1}", "--resources: expects"),
        ("--max-retries 1.5", "whole number"),
        ("--out 3", "--out: expects a variable"),
        ("--out class", "--out: expects a variable"),
        ("--outputs a,b.c", "--outputs: expects a variable"),
        ("--map x", "--map: expects name=items"),
        ("--map 1=x", "--map"),
        ("x", "takes options only, not 'x'"),
        ("--name 'x", "the quote ' isn't closed"),
        ("--map x=[1, (2]", "the bracket . isn't closed"),
        ("--block=1", "--block"),
    ],
)
def test_what_cannot_be_read_is_said(line: str, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        remote(line)


@pytest.mark.parametrize(
    "options", [RemoteOptions, ExpressionOptions, *(command.options for command in COMMANDS.values())]
)
def test_help_lists_every_option_and_exits_nothing(options: type[Options]) -> None:
    with pytest.raises(HelpRequested) as help:
        parse(options, ["--help"])
    text = str(help.value)
    assert text.startswith(f"usage: {options.usage}")
    for flag in flags(options):
        assert flag in text


def test_the_options_of_a_remote_call_are_those_given() -> None:
    assert remote("--num-cpus 2 --block --name n").remote_options() == {"num_cpus": 2, "name": "n"}


def test_names_of_the_notebook_stand_in_options() -> None:
    namespace = {"n": 3, "needs": {"a": 1}}
    words = expanded(split("--num-cpus $n --num-gpus={n} --resources $needs --name '{n} of $n'"), namespace)
    options = parse(RemoteOptions, words)
    assert (options.num_cpus, options.num_gpus, options.resources, options.name) == (3, 3, {"a": 1}, "{n} of $n")
    with pytest.raises(OptionError, match="`m`"):
        expanded(["$m"], namespace)


@pytest.mark.parametrize(
    ("line", "words", "expression"),
    [
        ("f(x) + 1", [], "f(x) + 1"),
        ("--num-cpus 2 f('a  b')", ["--num-cpus", "2"], "f('a  b')"),
        ("--name='a b' --local  {1: 2}", ["--name=a b", "--local"], "{1: 2}"),
        ("-x", [], "-x"),
        ("-- --x", [], "--x"),
        ("--num-cpus", ["--num-cpus", ""], ""),
        ("", [], ""),
    ],
)
def test_the_options_of_a_line_end_where_the_expression_begins(line: str, words: list[str], expression: str) -> None:
    assert split_expression(line) == (words, expression)


def test_the_commands_are_listed_with_a_line_of_help() -> None:
    lines = listing().splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == list(COMMANDS)


def test_init_takes_what_init_takes() -> None:
    options = parse(InitOptions, split("--num-cpus 4 --object-store-memory 1GB --resources a=1"))
    assert (options.num_cpus, options.object_store_memory, options.resources) == (4, 10**9, {"a": 1})


@pytest.mark.parametrize(
    ("line", "some", "none"),
    [
        ("%%remote --n", ["--num-cpus", "--name", "--noblock", "--no-stream"], ["--block", "--help"]),
        ("%%remote --block --", ["--map"], ["--block"]),
        ("%%remote --inputs al", ["alpha"], ["beta", "--inputs"]),
        ("%%remote --inputs beta,a", ["alpha"], ["beta"]),
        ("ref = %remote --nam", ["--name"], ["alpha"]),
        ("%%remote --out ", ["alpha", "beta"], ["_private"]),
        ("%remote --lo", ["--local"], ["--block"]),
        ("%remote al", ["alpha"], ["beta"]),
        ("%raynb ", ["init", "status", "stop", "--help"], ["--num-cpus"]),
        ("%raynb st", ["status", "stop"], ["init"]),
        ("%raynb init --num", ["--num-cpus", "--num-gpus"], ["init"]),
        ("%raynb nonsense ", [], ["init"]),
    ],
)
def test_lines_of_magics_are_completed(line: str, some: list[str], none: list[str]) -> None:
    found = candidates(line, ["alpha", "beta", "_private"])
    assert set(some) <= set(found)
    assert not set(none) & set(found)
