"""What labels of nodes, and selectors of them, may look like: Kubernetes' rules, as in Ray.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

_NAME: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?"
_PREFIX: Final = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*")
_KEY: Final = re.compile(_NAME)
_VALUE: Final = re.compile(rf"(?:{_NAME})?")
_SELECTOR: Final = re.compile(rf"!?(?:{_NAME}|in\({_NAME}(?:, ?{_NAME})*\))?")
PREFIX_LENGTH_MAX: Final = 253
RESERVED: Final = "ray.io/"
"""How the names begin that are the cluster's own."""
NAMES_RULE: Final = (
    "63 characters at most, letters, digits, '-', '_' and '.', of which the first and the last is a letter or a digit"
)


def key_problem(key: str) -> str:
    """What is wrong with a label's name; empty: nothing."""
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > PREFIX_LENGTH_MAX or not _PREFIX.fullmatch(prefix)):
        return (
            f"Invalid label key prefix `{prefix}`: it must be names separated by dots, {PREFIX_LENGTH_MAX} characters "
            "at most"
        )
    return "" if _KEY.fullmatch(name) else f"Invalid label key name `{name}`: it must be {NAMES_RULE}"


def value_problem(value: str) -> str:
    """What is wrong with a label's value; empty: nothing."""
    return "" if _VALUE.fullmatch(value) else f"Invalid label key value `{value}`: it must be {NAMES_RULE}"


def reserved_problem(labels: Mapping[str, str]) -> str:
    """Which of them is the cluster's own; empty: none."""
    own = next((key for key in labels if key.startswith(RESERVED)), None)
    if own is None:
        return ""
    return (
        f"Custom label keys `{own}` cannot start with the prefix `{RESERVED}`. This is reserved for Ray defined labels."
    )


def checked(labels: dict[str, str]) -> dict[str, str]:
    """What may be labels.

    Raises
    ------
    ValueError
        A name or a value has other characters, or too many.
    """
    for key, value in labels.items():
        if problem := key_problem(key) or value_problem(value):
            raise ValueError(problem)
    return labels


def of_text(text: str) -> dict[str, str]:
    """From ``key=value,key=value``, which may be in double quotes.

    Raises
    ------
    ValueError
        It is no such text, or there can be no such label.
    """
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    labels: dict[str, str] = {}
    for pair in text.split(",") if text else ():
        parts = [part.strip() for part in pair.split("=")]
        if len(parts) != 2:
            raise ValueError(f"Label string is not a key-value pair: {pair!r}")
        labels[parts[0]] = parts[1]
    return checked(labels)


def of_json(text: str) -> dict[str, str]:
    """From JSON.

    Raises
    ------
    ValueError
        It is no map of texts, or a label is Ray's own.
    """
    labels = _texts(json.loads(text))
    if problem := reserved_problem(labels):
        raise ValueError(problem)
    return labels


def of_file(path: str) -> dict[str, str]:
    """From a file in YAML.

    Raises
    ------
    ValueError
        It is no YAML, there is no map of texts in it, or there can be no such label.
    """
    import yaml  # type: ignore[import-untyped]  # here: it takes longer to load than all the rest

    with open(path) as file:
        try:
            found = yaml.safe_load(file)
        except yaml.YAMLError as error:
            raise ValueError(f"{path} is not a valid YAML file: {error}") from error
    return checked(_texts(found))


def _texts(found: object) -> dict[str, str]:
    if not isinstance(found, dict):
        raise ValueError(f"what was read is not a key-value pair map, but of type {type(found).__name__}")
    for key, value in found.items():
        if not isinstance(key, str):
            raise ValueError(f"The key is not string type. It is {key!r}")
        if not isinstance(value, str):
            raise ValueError(f'The value of "{key}" is not string type: it is {value!r}')
    return found


def selector_problem(selector: Mapping[Any, Any]) -> str:
    """What is wrong with a ``label_selector``; empty: nothing.

    Raises
    ------
    TypeError
        There is something else than texts in it.
    """
    for key, wanted in selector.items():
        if not isinstance(key, str) or not isinstance(wanted, str):
            raise TypeError(f"a label_selector has texts by name of the label, not {key!r}: {wanted!r}")
        if problem := key_problem(key):
            return problem
        if not _SELECTOR.fullmatch(wanted):
            return (
                f"Invalid label selector value `{wanted}`. The label selector value should contain optional operators "
                f"and a label value. Supported operators are: ! and in(), as in 'v', '!v', 'in(v, w)'. A value is "
                f"{NAMES_RULE}"
            )
    return ""
