from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raynb.runtime.codec.calls import pack_call, unpack_call
from raynb.runtime.codec.errors import SerializationError
from raynb.runtime.codec.references import note_reference
from raynb.runtime.messages.values import RefInfo


class Ref:
    """Stands for a reference: reports itself, and is itself again elsewhere."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        assert note_reference(bytes([self.number]) * 28, "ipc://owner", self)
        return Ref, (self.number,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and other.number == self.number

    def __hash__(self) -> int:
        return self.number


def through(args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Pack and unpack; the i-th dependency's value is ``("value of", its number)``."""
    packed, dependencies = pack_call(args, kwargs, Ref)
    return unpack_call(packed.data, packed.buffers, [("value of", ref.number) for ref in dependencies])


arguments = st.recursive(
    st.none() | st.integers() | st.text() | st.builds(Ref, st.integers(0, 255)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3) | st.just(len),
    max_leaves=5,
)


def expected(value: object) -> object:
    return ("value of", value.number) if type(value) is Ref else value


@given(st.lists(arguments, max_size=5), st.dictionaries(st.text(), arguments, max_size=4))
@settings(deadline=None)
def test_arguments_arrive_with_their_dependencies_values(args: list[Any], kwargs: dict[str, Any]) -> None:
    got_args, got_kwargs = through(tuple(args), kwargs)
    assert got_args == tuple(map(expected, args))
    assert got_kwargs == {key: expected(value) for key, value in kwargs.items()}
    assert list(got_kwargs) == list(kwargs)


def test_arrays_among_other_arguments_arrive() -> None:
    a, b, c = np.arange(5000), np.arange(4000.0).reshape(40, 100).T, np.arange(3000)
    args, kwargs = through((a, Ref(1), [b, 2], "x"), {"c": c, "r": Ref(2), "f": lambda: 7})
    np.testing.assert_array_equal(args[0], a)
    np.testing.assert_array_equal(args[2][0], b)
    np.testing.assert_array_equal(kwargs["c"], c)
    assert args[1] == ("value of", 1) and kwargs["r"] == ("value of", 2)
    assert kwargs["f"]() == 7


def test_only_references_at_the_top_are_dependencies() -> None:
    packed, dependencies = pack_call((Ref(1), [Ref(2)]), {"k": Ref(3), "d": {"x": Ref(4)}}, Ref)
    assert dependencies == [Ref(1), Ref(3)]
    assert packed.refs == [RefInfo(b"\2" * 28, "ipc://owner"), RefInfo(b"\4" * 28, "ipc://owner")]
    assert packed.holders == [Ref(2), Ref(4)]
    args, kwargs = unpack_call(packed.data, packed.buffers, ["one", "three"])
    assert (args, kwargs) == (("one", [Ref(2)]), {"k": "three", "d": {"x": Ref(4)}})


def test_a_subclass_of_a_reference_is_a_value() -> None:
    class Special(Ref):
        pass

    _, dependencies = pack_call((Special(1),), None, Ref)
    assert dependencies == []


def test_the_same_reference_twice_is_two_dependencies() -> None:
    ref = Ref(9)
    _, dependencies = pack_call((ref, ref), None, Ref)
    assert dependencies == [ref, ref]


def test_the_callers_arguments_are_not_touched() -> None:
    kwargs = {"a": Ref(1), "b": np.zeros(3)}
    before = dict(kwargs)
    pack_call((), kwargs, Ref)
    assert kwargs.keys() == before.keys() and all(kwargs[key] is before[key] for key in kwargs)


def test_missing_values_of_dependencies_are_noticed() -> None:
    packed, _ = pack_call((Ref(1), Ref(2)), None, Ref)
    with pytest.raises(ValueError, match="shorter"):
        unpack_call(packed.data, packed.buffers, ["one"])


@pytest.mark.parametrize(
    ("args", "kwargs", "name"),
    [((1, (i for i in "")), {}, "argument 1"), ((1,), {"key": (i for i in "")}, "argument 'key'")],
)
def test_an_argument_that_cannot_be_pickled_is_named(args: Any, kwargs: Any, name: str) -> None:
    with pytest.raises(SerializationError, match=f"{name}: generator cannot be pickled"):
        pack_call(args, kwargs, Ref)
