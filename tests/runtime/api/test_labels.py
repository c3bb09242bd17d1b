"""What a ``label_selector`` may look like."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.module import Ray


@pytest.mark.parametrize("selector", [{"zone": "in(v"}, {"zone": "in()"}, {"zone": "!!x"}, {"zone": "v$"}, {"k b": "v"},
                                      {"-zone": "v"}, {"under_score/zone": "v"}, {"zone": "v" * 64}])  # fmt: skip
def test_one_that_no_label_can_pass_is_refused(ray: Ray, selector: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="Invalid label"):
        ray.remote(label_selector=selector)(lambda: None).remote()


@pytest.mark.parametrize("selector", [{"zone": 1}, {1: "v"}])
def test_one_of_something_else_than_texts_is_refused(ray: Ray, selector: Any) -> None:
    with pytest.raises(TypeError):
        ray.remote(label_selector=selector)(lambda: None).remote()


@pytest.mark.parametrize("value", ["!a", "!in(a, b-c)", "!in(a,b)"])
def test_what_the_node_has_not_is_passed(ray: Ray, value: str) -> None:
    task = ray.remote(label_selector={"ray.io/zone": value})(lambda: "ran")
    assert ray.get(task.remote(), timeout=30) == "ran"
