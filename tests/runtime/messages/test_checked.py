"""Messages with what a program has given are checked before they are sent."""

from __future__ import annotations

from typing import Any

import pytest

from raynb.runtime.messages import checked
from raynb.runtime.messages.gcs import KvPut, NamedActor


def test_a_message_that_its_receiver_can_read_is_given_back() -> None:
    message = NamedActor(0, "a", "here")
    assert checked(message) is message


@pytest.mark.parametrize("given", [5, b"a", object(), "\ud800"])
def test_one_that_it_could_not_read_is_an_error_that_names_the_message(given: Any) -> None:
    with pytest.raises(TypeError, match="NamedActor"):
        checked(NamedActor(0, given, "here"))
    with pytest.raises(TypeError, match="KvPut"):
        checked(KvPut(0, given if type(given) is not bytes else 1, b"value", False))  # type: ignore[arg-type]
