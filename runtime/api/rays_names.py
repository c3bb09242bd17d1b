"""What programs for Ray look up in a handle under the names that Ray's own has: ``handle._actor_id``,
``handle._ray_actor_creation_function_descriptor.class_name``. Read only, and made when it is asked for."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from raynb.runtime.client.ids import ActorID

if TYPE_CHECKING:
    from raynb.runtime.api.handles import ClassInfo
    from raynb.runtime.api.signatures import CallSignature
    from raynb.runtime.client.refs import ObjectRef

SOME_DEFAULT: Final = ...
"""In the place of a parameter's default: a handle knows that there is one, and not which."""


class FunctionDescriptor(Struct, frozen=True):
    """Where a function, or a method of a class, was defined.

    Attributes
    ----------
    class_name
        Qualified; empty for a function.
    """

    module_name: str
    function_name: str
    class_name: str = ""


class RaysNames:
    """The names; a part of `ActorHandle`."""

    if TYPE_CHECKING:
        _id: bytes
        _class_name: str
        _info: ClassInfo
        _ref: ObjectRef[Any] | None
        _max_task_retries: int

    @property
    def _actor_id(self) -> ActorID:
        return ActorID(self._id)

    @property
    def _ray_actor_id(self) -> ActorID:
        return ActorID(self._id)

    @property
    def _actor_id_hex(self) -> str:
        return self._id.hex()

    @property
    def _actor_method_names(self) -> list[str]:
        return list(self._info.methods)

    @property
    def _ray_actor_creation_function_descriptor(self) -> FunctionDescriptor:
        return FunctionDescriptor(self._info.module, "__init__", self._class_name)

    @property
    def _ray_function_descriptor(self) -> dict[str, FunctionDescriptor]:
        module, cls = self._info.module, self._class_name
        return {name: FunctionDescriptor(module, name, cls) for name in self._info.methods}

    @property
    def _ray_method_signatures(self) -> dict[str, list[inspect.Parameter]]:
        return {name: parameters(info.signature) for name, info in self._info.methods.items()}

    @property
    def _ray_method_num_returns(self) -> dict[str, int]:
        return {name: info.num_returns for name, info in self._info.methods.items()}

    @property
    def _ray_method_is_generator(self) -> dict[str, bool]:
        return {name: info.generator for name, info in self._info.methods.items()}

    @property
    def _ray_method_max_task_retries(self) -> dict[str, int]:
        """Of the methods that say it."""
        methods = self._info.methods.items()
        return {name: info.max_task_retries for name, info in methods if info.max_task_retries is not None}

    @property
    def _ray_method_enable_task_events(self) -> dict[str, bool]:
        """Of the methods that say it."""
        return {name: info.events for name, info in self._info.methods.items() if info.events is not None}

    @property
    def _ray_max_task_retries(self) -> int:
        return self._max_task_retries

    @property
    def _ray_enable_task_events(self) -> bool:
        return self._info.events

    @property
    def _ray_allow_out_of_order_execution(self) -> bool:
        return not self._info.in_order

    @property
    def _ray_weak_ref(self) -> bool:
        """Whether the actor may end while this handle is there."""
        return self._ref is None


def parameters(signature: CallSignature | None) -> list[inspect.Parameter]:
    """A signature in Python's words; empty where it isn't known."""
    if signature is None:
        return []
    kinds = inspect.Parameter
    found = [
        kinds(
            name,
            kinds.POSITIONAL_ONLY if index < signature.positional_only else kinds.POSITIONAL_OR_KEYWORD,
            default=kinds.empty if index < signature.required else SOME_DEFAULT,
        )
        for index, name in enumerate(signature.positional)
    ]
    if signature.var_positional:
        found.append(kinds("args", kinds.VAR_POSITIONAL))
    for name, needed in signature.keyword_only.items():
        found.append(kinds(name, kinds.KEYWORD_ONLY, default=kinds.empty if needed else SOME_DEFAULT))
    if signature.var_keyword:
        found.append(kinds("kwargs", kinds.VAR_KEYWORD))
    return found
