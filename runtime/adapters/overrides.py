"""What the environment says of a node that is started, whatever its starter says: Ray's ``RAY_OVERRIDE_RESOURCES``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from raynb.runtime.adapters.launch import ClusterOptions

RESOURCES: Final = "RAY_OVERRIDE_RESOURCES"


def overridden(options: ClusterOptions, environment: Mapping[str, str] = os.environ) -> ClusterOptions:
    """With the amounts that the variable (JSON, ``{"CPU": 4, "special": 1}``) names; the others stay as they are.

    Raises
    ------
    ValueError
        It is no such JSON.
    """
    text = environment.get(RESOURCES)
    if not text:
        return options
    try:
        amounts = msgspec.convert(json.loads(text), dict[str, float], strict=False)
    except (ValueError, msgspec.ValidationError) as error:
        raise ValueError(f'{RESOURCES} must be JSON like {{"CPU": 4, "special": 1}}, not {text!r} ({error})') from None
    store = amounts.pop("object_store_memory", None)
    return msgspec.structs.replace(
        options,
        num_cpus=amounts.pop("CPU", options.num_cpus),
        num_gpus=amounts.pop("GPU", options.num_gpus),
        object_store_memory=options.object_store_memory if store is None else int(store),
        resources={**options.resources, **amounts},
    )
