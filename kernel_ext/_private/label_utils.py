"""What labels of nodes and selectors of them may look like, under the names of ``ray._private.label_utils``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from raynb.runtime.api.labels import NAMES_RULE, key_problem, selector_problem
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

RESERVED: Final = "ray.io/"
_VALUE: Final = re.compile(r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?)?")


def parse_node_labels_string(labels_str: str) -> dict[str, str]:
    """From ``key=value,key=value``.

    Raises
    ------
    ValueError
        It is no such text, or there can be no such label.
    """
    labels: dict[str, str] = {}
    for pair in labels_str.split(",") if labels_str else ():
        parts = [part.strip() for part in pair.split("=")]
        if len(parts) != 2:
            raise ValueError(f"Label string is not a key-value pair: {pair!r}")
        labels[parts[0]] = parts[1]
    validate_node_label_syntax(labels)
    return labels


def parse_node_labels_json(labels_json: str) -> dict[str, str]:
    """From JSON.

    Raises
    ------
    ValueError
        It is no map of texts, or a label is Ray's own.
    """
    labels = _texts(json.loads(labels_json))
    validate_node_labels(labels)
    return labels


def parse_node_labels_from_yaml_file(path: str) -> dict[str, str]:
    """From a file in YAML.

    Raises
    ------
    ValueError
        There is no map of texts in it, or there can be no such label.
    """
    import yaml  # type: ignore[import-untyped]

    with open(path) as file:
        labels = _texts(yaml.safe_load(file))
    validate_node_label_syntax(labels)
    return labels


def _texts(found: object) -> dict[str, str]:
    if not isinstance(found, dict):
        raise ValueError(f"what was read is not a key-value pair map, but of type {type(found).__name__}")
    for key, value in found.items():
        if not isinstance(key, str):
            raise ValueError(f"The key is not string type. It is {key!r}")
        if not isinstance(value, str):
            raise ValueError(f'The value of "{key}" is not string type: it is {value!r}')
    return found


def validate_node_labels(labels: Mapping[str, str] | None) -> None:
    """Refuse labels whose names only the cluster itself may use.

    Raises
    ------
    ValueError
        There is one.
    """
    for key in labels or {}:
        if key.startswith(RESERVED):
            raise ValueError(
                f"A label may not begin with {RESERVED}, as {key!r} does. This is reserved for Ray defined labels."
            )


def validate_node_label_syntax(labels: Mapping[str, str]) -> None:
    """Refuse what is no label.

    Raises
    ------
    ValueError
        A name or a value has other characters, or too many.
    """
    for key, value in labels.items():
        if problem := validate_label_key(key):
            raise ValueError(problem)
        validate_label_value(value)


def validate_label_key(key: str) -> str | None:
    """What is wrong with a name; None: nothing."""
    return key_problem(key) or None


def validate_label_value(value: str) -> None:
    """Refuse what is no value.

    Raises
    ------
    ValueError
        It has other characters, or too many.
    """
    if not _VALUE.fullmatch(value):
        raise ValueError(f"Invalid label key value `{value}`: it must be {NAMES_RULE}")


def validate_label_selector(label_selector: Mapping[str, str] | None) -> str | None:
    """What is wrong with it; None: nothing."""
    return selector_problem(label_selector or {}) or None


def validate_label_selector_value(selector: str) -> str | None:
    """What is wrong with what is wanted of a label; None: nothing."""
    return selector_problem({"label": selector}) or None


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
