from __future__ import annotations

import hashlib
import importlib
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raynb.runtime.codec.errors import SerializationError
from raynb.runtime.codec.functions import pack_function, unpack_function
from raynb.runtime.codec.references import note_reference
from raynb.runtime.messages.ids import FUNCTION_ID_BYTES


def defined_in_main(source: str) -> Any:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(source, namespace)
    return namespace["f"]


def test_a_function_goes_with_its_globals_and_closure() -> None:
    n = 4
    table = np.arange(10_000)
    function_id, blob = pack_function(lambda x: x + n + table[-1])
    assert unpack_function(blob, "It")(1) == 5 + 9999
    assert function_id == hashlib.sha256(blob).digest()[:FUNCTION_ID_BYTES]


def test_a_class_goes_by_value() -> None:
    class Counter:
        def __init__(self) -> None:
            self.n = 0

        def increment(self) -> int:
            self.n += 1
            return self.n

    _, blob = pack_function(Counter)
    assert unpack_function(blob, "It")().increment() == 1


def test_what_can_not_be_unpacked_says_what_it_is_and_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "only_for_now.py").write_text("def f(): ...")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        module = importlib.import_module("only_for_now")
        _, blob = pack_function(lambda: module.f())
    del sys.modules["only_for_now"]
    with pytest.raises(RuntimeError, match=r"The thing failed to import on the worker.*No module named 'only_for_now'"):
        unpack_function(blob, "The thing")


def test_the_same_function_has_the_same_address() -> None:
    f = defined_in_main("def f(x):\n    return x + 1")
    assert pack_function(f) == pack_function(f)


def test_an_edited_function_has_another_address() -> None:
    before = defined_in_main("def f(x):\n    return x + 1")
    after = defined_in_main("def f(x):\n    return x + 2")
    assert pack_function(before)[0] != pack_function(after)[0]


def test_a_changed_global_makes_another_address() -> None:
    f = defined_in_main("N = 1\ndef f(x):\n    return x + N")
    before = pack_function(f)[0]
    f.__globals__["N"] = 2
    assert pack_function(f)[0] != before


def test_the_variable_that_cannot_be_pickled_is_named() -> None:
    conn = threading.Lock()

    def work() -> None:
        conn.acquire()

    with pytest.raises(SerializationError, match=r"function .*work: closure variable 'conn' of function .*work -> "):
        pack_function(work)
    source = "import threading\nLOCK = threading.Lock()\ndef f():\n    return LOCK"
    with pytest.raises(SerializationError, match=r"function f: global variable 'LOCK' of function f -> _thread.lock"):
        pack_function(defined_in_main(source))


def test_references_among_a_functions_variables_can_be_held() -> None:
    class Ref:
        def __reduce__(self) -> Any:
            assert note_reference(b"r" * 28, "ipc://o", self)
            return int, ()

    ref = Ref()
    held: list[object] = []
    pack_function(lambda: ref, held)
    assert held == [ref]
