from __future__ import annotations

import ctypes
import gc
import pickle
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raynb.runtime.codec.pinned import address_of, pinned_view


class Pin:
    """Something whose end can be seen."""


@pytest.fixture(autouse=True)
def without_the_cycle_collector() -> Iterator[None]:
    """Pins must go by counts alone: at once, not some time later."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def memory() -> Any:
    buffer = ctypes.create_string_buffer(bytes(range(256)) * 4096, 1 << 20)
    return buffer


def test_a_view_shows_the_memory_and_cannot_change_it(memory: Any) -> None:
    view = pinned_view(ctypes.addressof(memory) + 3, 100)
    assert (view.nbytes, view.format, view.readonly) == (100, "B", True)
    assert view.tobytes() == memory.raw[3:103]
    memory[3] = b"\xff"
    assert view[0] == 255


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 4096, 1 << 20])
def test_a_view_has_the_size_that_was_asked_for(memory: Any, size: int) -> None:
    assert pinned_view(ctypes.addressof(memory), size).nbytes == size


def test_a_pin_lives_as_long_as_anything_that_views_the_memory(memory: Any) -> None:
    makers = {
        "slice": lambda view: view[5:50],
        "slice of a slice": lambda view: view[5:50][1:2],
        "array": lambda view: np.frombuffer(view, np.uint8),
        "slice of an array": lambda view: np.frombuffer(view, np.float64)[3:].reshape(-1, 1)[::2],
        "arrow buffer": pa.py_buffer,
        "arrow array": lambda view: pa.Array.from_buffers(pa.int64(), 4, [None, pa.py_buffer(view)]).slice(1),
        "pickle buffer": pickle.PickleBuffer,
    }
    for name, make in makers.items():
        pin = Pin()
        alive = weakref.ref(pin)
        view = pinned_view(ctypes.addressof(memory), 1024, pin)
        del pin
        made = make(view)
        del view
        assert alive() is not None, name
        del made
        assert alive() is None, name


def test_all_pins_live(memory: Any) -> None:
    pins = [Pin(), Pin()]
    alive = [weakref.ref(pin) for pin in pins]
    view = pinned_view(ctypes.addressof(memory), 1, *pins)
    del pins
    assert all(ref() is not None for ref in alive)
    del view
    assert all(ref() is None for ref in alive)


def test_the_address_of_any_contiguous_buffer_is_known(memory: Any) -> None:
    array = np.arange(10)
    assert address_of(array) == array.__array_interface__["data"][0]
    assert address_of(memory) == ctypes.addressof(memory)
    data = b"some bytes"
    assert ctypes.string_at(address_of(data), len(data)) == data
    with pytest.raises(BufferError):
        address_of(memoryview(data)[::2])
