"""Messages and events as short lines: ids by their counters, fields that have their default left out.

A task id becomes ``t6@3``: the sixth of the process with the pid 3; an object ``t6@3.1``, its first return value, or
``p7@3``, which was put.
"""

from __future__ import annotations

from typing import Any

import msgspec

from raynb.runtime.messages.ids import ACTOR_ID_BYTES, OBJECT_ID_BYTES, PUT_INDEX_BASE, TASK_ID_BYTES

TEXT_MAX = 420
LEFT_OUT = ("node_id", "worker_id", "job", "raynb_version", "python_version", "protocol", "session", "store_prefix")


def name_id(value: bytes) -> str:
    """An id, short."""
    if len(value) == ACTOR_ID_BYTES and not value.startswith(bytes(8)):
        return f"a{int.from_bytes(value[:4], 'big')}@{int.from_bytes(value[4:12], 'little')}"
    if len(value) not in (TASK_ID_BYTES, OBJECT_ID_BYTES):
        return f"<{len(value)} bytes>" if value else "-"
    whose = f"{int.from_bytes(value[:8], 'big')}@{int.from_bytes(value[8:20], 'little')}"
    if len(value) == TASK_ID_BYTES:
        return f"t{whose}"
    index = int.from_bytes(value[TASK_ID_BYTES:], "little")
    return f"p{whose}" if index >= PUT_INDEX_BASE else f"t{whose}.{index}"


def short(value: Any) -> str:
    """Any part of a message."""
    if isinstance(value, memoryview):
        return f"<{value.nbytes} bytes>"
    if isinstance(value, bytes):
        return name_id(value)
    if isinstance(value, msgspec.Struct):
        defaults = {field.name: field.default for field in msgspec.structs.fields(value)}
        parts = [
            f"{name}={short(part)}"
            for name in value.__struct_fields__
            if name not in LEFT_OUT and (part := getattr(value, name)) != defaults[name] and part not in ([], {}, b"")
        ]
        return f"{type(value).__name__}({', '.join(parts)})"
    if isinstance(value, list | tuple | set | frozenset):
        return f"[{', '.join(map(short, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{short(k)}: {short(v)}' for k, v in value.items())}}}"
    if isinstance(value, float):
        return f"{value:.6g}"
    return repr(value)


def shown(about: Any) -> str:
    """One line."""
    text = about if isinstance(about, str) else short(about)
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}..."
