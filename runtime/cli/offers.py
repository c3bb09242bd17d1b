"""What a node that is started from a terminal offers: from what was typed."""

from __future__ import annotations

import json
from typing import Any, Final

from raynb.runtime.adapters.launch import ClusterOptions
from raynb.runtime.api import labels as label_texts
from raynb.runtime.api import system_config
from raynb.runtime.api.system_config import SPILLING_DIRECTORY
from raynb.runtime.messages.config import Config

KEYWORDS: Final = {"CPU": "--num-cpus", "GPU": "--num-gpus", "memory": "--memory",
                   "object_store_memory": "--object-store-memory"}  # fmt: skip
"""The options that say the amounts which are no custom resources."""


def options_of(*, memory: int | None, resources: str, labels: str, labels_file: str, **others: Any) -> ClusterOptions:
    """Of a node: the texts are read, ``others`` are taken as they are.

    Raises
    ------
    ValueError
        An option that can't be.
    OSError
        The file of labels can't be read.
    """
    return ClusterOptions(
        resources=parse_resources(resources) | ({} if memory is None else {"memory": float(memory)}),
        labels={**(label_texts.of_file(labels_file) if labels_file else {}), **parse_labels(labels)},
        lifetime="daemon",
        **others,
    )


def config_of(text: str, spilling_directory: str) -> Config:
    """The limits of a cluster: the argument of ``--system-config``, and that of an option of its own.

    Raises
    ------
    ValueError
        It is not a JSON object of names that are known.
    """
    try:
        changes = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise ValueError(f'--system-config is not JSON ({error}): write {{"name": value}}') from error
    if not isinstance(changes, dict):
        raise ValueError('--system-config must be an object: {"name": value}')
    folder = {SPILLING_DIRECTORY: spilling_directory} if spilling_directory else {}
    return system_config.config_of({**changes, **folder})


def parse_labels(text: str) -> dict[str, str]:
    """The argument of ``--labels``: ``key=value,key=value``, or JSON, which Ray took earlier.

    Raises
    ------
    ValueError
        It is neither, or there can be no such label.
    """
    try:
        if text.startswith("{"):
            return label_texts.of_json(text)
        return label_texts.of_text(text)
    except ValueError as error:
        raise ValueError(f"--labels: write key=value,key=value, not {text!r} ({error})") from error


def parse_resources(text: str) -> dict[str, float]:
    """The argument of ``--resources``.

    Raises
    ------
    ValueError
        It is not a JSON object of amounts, or one of them has an option of its own.
    """
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f'--resources is not JSON ({error}): write {{"name": amount}}') from error
    if not isinstance(found, dict):
        raise ValueError('--resources must be an object: {"name": amount}')
    for name, amount in found.items():
        if name in KEYWORDS:
            raise ValueError(f"--resources: {name!r} cannot be a custom resource: use {KEYWORDS[name]}")
        if isinstance(amount, bool) or not isinstance(amount, int | float) or amount < 0:
            raise ValueError(f"--resources: the amount of {name!r} must be a number, 0 or more, not {amount!r}")
    return {name: float(amount) for name, amount in found.items()}
