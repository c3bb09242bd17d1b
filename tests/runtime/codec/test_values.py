from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, make_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import cloudpickle
import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from raynb.runtime.codec.errors import SerializationError
from raynb.runtime.codec.values import LARGE_TEXT_BYTES, Packed, pack, unpack
from raynb.runtime.messages.values import Inline

Point = namedtuple("Point", "x y")


@dataclass
class Record:
    name: str
    data: Any


def through_a_message(value: object) -> Any:
    """The value as somebody gets it who received it."""
    inline = msgspec.msgpack.decode(msgspec.msgpack.encode(pack(value).inline()), type=Inline)
    return unpack(inline.data, inline.buffers)


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=60,
)


@given(values)
@settings(deadline=None)
def test_plain_values_come_back(value: object) -> None:
    assert through_a_message(value) == value


@pytest.mark.parametrize(
    "value",
    [
        Point(1, 2),
        Record("a", [1]),
        OrderedDict(a=1),
        datetime(2024, 2, 3),
        {1, 2},
        range(5),
        b"x" * LARGE_TEXT_BYTES,
        "\xe9" * LARGE_TEXT_BYTES,
        "\udcff" * LARGE_TEXT_BYTES,
        bytearray(b"abc"),
        list(range(100_000)),
        1 << 5000,
        pytest,
    ],
    ids=lambda value: type(value).__name__,
)
def test_all_sorts_of_values_come_back(value: object) -> None:
    result = through_a_message(value)
    assert result == value
    assert type(result) is type(value)


dtypes = st.one_of(
    st_numpy.scalar_dtypes(),
    st_numpy.datetime64_dtypes(),
    st_numpy.byte_string_dtypes(),
    st_numpy.unicode_string_dtypes(),
    st_numpy.array_dtypes(),
)


@given(st.data(), dtypes, st_numpy.array_shapes(min_dims=0, min_side=0, max_side=6), st.booleans())
@settings(deadline=None)
def test_arrays_come_back(data: st.DataObject, dtype: Any, shape: tuple[int, ...], in_a_list: bool) -> None:
    array = data.draw(st_numpy.arrays(dtype, shape))
    if data.draw(st.booleans()):
        array = array.T
    if array.ndim and data.draw(st.booleans()):
        array = array[::-2]
    result = through_a_message([array])[0] if in_a_list else through_a_message(array)
    assert (result.dtype, result.shape) == (array.dtype, array.shape)
    assert result.tobytes() == array.tobytes()


@pytest.mark.parametrize("size", [3, 100_000])
@pytest.mark.parametrize(
    "wrap", [lambda a: a, lambda a: [a], lambda a: {"a": Record("r", a)}], ids=["bare", "list", "deep"]
)
def test_arrays_are_read_only_whether_they_are_small_or_large(size: int, wrap: Any) -> None:
    result = through_a_message(wrap(np.arange(size)))
    while not isinstance(result, np.ndarray):
        result = result["a"].data if isinstance(result, dict) else result[0]
    assert not result.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        result[0] = 1


@pytest.mark.parametrize(
    "array",
    [
        np.arange(60_000).reshape(200, 300),
        np.arange(60_000).reshape(200, 300).T,
        np.arange(60_000, dtype=">i4"),
        np.arange(60_000).astype("M8[s]"),
        np.full(30_000, "text"),
        np.zeros(30_000, [("a", "i4"), ("b", "f8")]),
    ],
    ids=lambda array: str(array.dtype),
)
def test_large_arrays_are_not_copied_into_the_pickle(array: Any) -> None:
    for value in (array, [array], {"a": Record("r", array)}):
        packed = pack(value)
        assert len(packed.data) < 1000
        assert packed.buffers is not None
        (buffer,) = packed.buffers
        assert np.shares_memory(np.frombuffer(buffer, np.uint8), array.view())


@pytest.mark.parametrize("dtype", ["f8", "u1", "datetime64[s]"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_some_size_lie_where_vector_instructions_want_them(dtype: str, order: Any) -> None:
    array = np.asarray(np.arange(6000).reshape(60, 100).astype(dtype), order=order)
    inline = pack(array, "it").inline()
    for padding in range(8):
        assert inline.buffers is not None
        moved = [bytes(bytearray(inline.buffers[0])) for _ in range(padding + 1)]  # at one place or another
        again = unpack(inline.data, moved[-1:])
        assert again.ctypes.data % 64 == 0
        assert (again == array).all() and again.dtype == array.dtype
        assert again.flags[f"{order}_CONTIGUOUS"] and not again.flags.writeable


def test_arrays_that_are_more_than_bytes_come_back_as_well() -> None:
    objects = np.array([1, "a", None, [2]], dtype=object)
    assert through_a_message(objects).tolist() == [1, "a", None, [2]]
    text = np.array(["a", "bcd" * 20], dtype=np.dtypes.StringDType())
    assert through_a_message(text).tolist() == text.tolist()
    masked = np.ma.array([1, 2, 3], mask=[False, True, False])
    assert through_a_message(masked).mask.tolist() == [False, True, False]
    records = np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])
    assert through_a_message(records).a.tolist() == [1]
    noted = np.zeros(2, np.dtype("f8", metadata={"unit": "m"}))
    assert through_a_message(noted).dtype.metadata == {"unit": "m"}


def test_frames_and_tables_come_back_with_their_large_columns_beside_the_pickle() -> None:
    frame = pd.DataFrame({"n": np.arange(50_000), "f": np.linspace(0, 1, 50_000), "s": ["x", "yy"] * 25_000})
    packed = pack(frame)
    assert len(packed.data) < 10_000
    assert through_a_message(frame).equals(frame)
    table = pa.table({"n": np.arange(50_000), "s": ["x", "yy"] * 25_000})
    packed = pack(table)
    assert len(packed.data) < 10_000
    assert through_a_message(table).equals(table)


def test_the_size_counts_pickle_and_buffers() -> None:
    packed = pack(np.zeros(1000))
    assert packed.nbytes == len(packed.data) + 8000
    assert pack(1).nbytes == len(pack(1).data)


def test_an_inline_value_is_what_it_was_when_it_was_packed() -> None:
    array = np.zeros(10)
    inline = pack(array).inline()
    array[:] = 1
    assert unpack(inline.data, inline.buffers).sum() == 0


def test_what_is_not_a_packed_value_is_refused() -> None:
    with pytest.raises(ValueError, match="not a packed value"):
        unpack(b"nonsense")


def test_a_value_that_cannot_be_pickled_is_an_error_that_is_a_type_error() -> None:
    class Stubborn:
        def __reduce__(self) -> Any:
            raise RuntimeError("I won't")

    with pytest.raises(SerializationError, match=r"argument 3: .*Stubborn cannot be pickled: I won't") as info:
        pack([1, Stubborn()], "argument 3")
    assert isinstance(info.value, TypeError)
    assert isinstance(info.value.__cause__, RuntimeError)


def test_a_structure_that_is_too_deep_is_an_error_and_no_crash() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(SerializationError, match="recursion"):
        pack(deep)
    while deep:
        deep = deep.pop()


def test_what_a_script_defines_goes_by_value() -> None:
    maker = """
        import sys
        from dataclasses import dataclass
        from raynb.runtime.codec.values import pack

        FACTOR = 3

        @dataclass
        class Thing:
            n: int
            def times(self):
                return triple(self.n)

        def triple(x):
            return x * FACTOR

        sys.stdout.write(pack([Thing(14), triple]).data.hex())
    """
    reader = """
        import sys
        from raynb.runtime.codec.values import unpack

        thing, triple = unpack(bytes.fromhex(sys.argv[1]))
        sys.stdout.write(f"{thing.times()} {triple(2)} {thing}")
    """
    data = run(maker)
    assert run(reader, data) == "42 6 Thing(n=14)"


@pytest.mark.parametrize("code", "?bhilqBHILQefdgFDGSUmM")
def test_scalars_of_numpy_keep_their_types(code: str) -> None:
    scalar = np.ones(1, code)[0] if code not in "SU" else np.array(["x"], code)[0]
    for result in (through_a_message(scalar), through_a_message([scalar, print])[0]):
        assert type(result) is type(scalar)
        assert result == scalar and result.dtype == scalar.dtype


def test_a_class_that_only_seems_to_be_importable_goes_by_value() -> None:
    made = make_dataclass("Made", ["x"])
    made.__module__ = "dataclasses"
    assert b"_make_skeleton_class" in pack(made(1)).data
    assert through_a_message(made(1)) == made(1)


def test_a_function_that_was_replaced_in_its_module_goes_by_value() -> None:
    def original() -> int:
        return 1

    original.__module__, original.__qualname__ = "textwrap", "dedent"
    assert through_a_message(original)() == 1
    assert through_a_message(textwrap.dedent) is textwrap.dedent


def test_modules_that_are_said_to_go_by_value_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "edited_by_hand.py").write_text("class Thing:\n    pass\n\ndef f():\n    return 5\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("edited_by_hand")
    assert b"_make_skeleton_class" not in pack(module.Thing()).data
    cloudpickle.register_pickle_by_value(module)
    try:
        assert b"_make_skeleton_class" in pack(module.Thing()).data
        assert b"_make_function" in pack(module.f).data
    finally:
        cloudpickle.unregister_pickle_by_value(module)
        del sys.modules["edited_by_hand"]


def test_the_codec_imports_numpy_only_for_those_who_have_arrays() -> None:
    script = """
        import sys
        from raynb.runtime.codec import calls, culprit, functions, layout, values

        packed = values.pack([(1, "a"), {"b": [lambda: 1]}])
        values.unpack(packed.data, packed.buffers)
        calls.pack_call((1, [2]), {"k": print}, int)
        sys.stdout.write(repr([name for name in ("numpy", "pyarrow", "pandas", "zmq") if name in sys.modules]))
    """
    assert run(script) == "[]"


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_packed_values_have_no_refs_unless_some_were_noted() -> None:
    packed = pack({"a": np.zeros(3)})
    assert isinstance(packed, Packed)
    assert (packed.refs, packed.holders) == (None, None)
