"""What labels of nodes, and selectors of them, may look like: Kubernetes' rules, as in Ray.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_NAME: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?"
_PREFIX: Final = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*")
_KEY: Final = re.compile(_NAME)
_SELECTOR: Final = re.compile(rf"!?(?:{_NAME}|in\({_NAME}(?:, ?{_NAME})*\))?")
PREFIX_LENGTH_MAX: Final = 253
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
