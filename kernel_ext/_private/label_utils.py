"""What labels of nodes and selectors of them may look like, under the names of ``ray._private.label_utils``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raynb.runtime.api import labels
from raynb.runtime.api.where import label_rules
from raynb.runtime.core.strategies import meets

__all__ = [
    "match_label_selector",
    "match_label_selector_value",
    "parse_node_labels_from_yaml_file",
    "parse_node_labels_json",
    "parse_node_labels_string",
    "validate_fallback_strategy",
    "validate_label_key",
    "validate_label_selector",
    "validate_label_selector_value",
    "validate_label_value",
    "validate_node_label_syntax",
    "validate_node_labels",
]

parse_node_labels_string = labels.of_text
parse_node_labels_json = labels.of_json
parse_node_labels_from_yaml_file = labels.of_file


def validate_node_labels(labels_: Mapping[str, str] | None) -> None:
    """Refuse labels whose names only the cluster itself may use.

    Raises
    ------
    ValueError
        There is one.
    """
    if problem := labels.reserved_problem(labels_ or {}):
        raise ValueError(problem)


def validate_node_label_syntax(labels_: Mapping[str, str]) -> None:
    """Refuse what is no label.

    Raises
    ------
    ValueError
        A name or a value has other characters, or too many.
    """
    labels.checked(dict(labels_))


def validate_label_key(key: str) -> str | None:
    """What is wrong with a name; None: nothing."""
    return labels.key_problem(key) or None


def validate_label_value(value: str) -> None:
    """Refuse what is no value.

    Raises
    ------
    ValueError
        It has other characters, or too many.
    """
    if problem := labels.value_problem(value):
        raise ValueError(problem)


def validate_label_selector(label_selector: Mapping[str, str] | None) -> str | None:
    """What is wrong with it; None: nothing."""
    return labels.selector_problem(label_selector or {}) or None


def validate_label_selector_value(selector: str) -> str | None:
    """What is wrong with what is wanted of a label; None: nothing."""
    return labels.selector_problem({"label": selector}) or None


def validate_fallback_strategy(fallback_strategy: Sequence[Mapping[str, Any]] | None) -> str | None:
    """What is wrong with it; None: nothing."""
    for choice in fallback_strategy or ():
        if not choice:
            return "Empty dictionary found in `fallback_strategy`."
        for name in choice:
            if name != "label_selector":
                return f"Unsupported option found: {name!r}. A choice of a fallback_strategy has a label_selector only"
        if not isinstance(choice["label_selector"], Mapping):
            return 'The value of "label_selector" must be a dictionary.'
        if problem := validate_label_selector(choice["label_selector"]):
            return problem
    return None


def match_label_selector(node_labels: Mapping[str, str], label_selector: Mapping[str, str]) -> bool:
    """Whether a node with these labels is one that is wanted."""
    return all(meets(rule, node_labels) for rule in label_rules(label_selector))


def match_label_selector_value(node_value: str | None, selector_value: Any) -> bool:
    """Whether a label's value (None: the node has no such label) is one that is wanted."""
    if not isinstance(selector_value, str):
        return False
    return match_label_selector({} if node_value is None else {"label": node_value}, {"label": selector_value})
