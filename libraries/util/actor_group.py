"""``raynb.util.actor_group``: the same method called on several actors at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raynb.runtime.api.actors import ActorHandle
from raynb.runtime.api.deprecation import deprecated
from raynb.runtime.api.objects import get, kill, wait
from raynb.runtime.api.remote import make_remote
from raynb.runtime.client.refs import ObjectRef


@dataclass
class ActorWrapper:
    """One actor of a group. Its methods are those of the actor."""

    actor: ActorHandle
    metadata: Any = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.actor, name)


class ActorGroupMethod:
    """A method of all actors of a group: call it with ``.remote(...)``."""

    def __init__(self, group: ActorGroup, name: str) -> None:
        self._group = group
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            f"ActorGroup methods cannot be called directly. Instead of running 'object.{self._name}()', try "
            f"'object.{self._name}.remote()'."
        )

    def remote(self, *args: Any, **kwargs: Any) -> list[ObjectRef[Any]]:
        """Call it on each actor; a reference for each, in their order."""
        return [getattr(each.actor, self._name).remote(*args, **kwargs) for each in self._group.actors]


class ActorGroup:
    """Several actors of one class. A method called on the group is called on all of them. Ray deprecates it.

    What a method ``get_actor_metadata`` of the class returns, if there is one, is kept of each actor: `actor_metadata`.

    Parameters
    ----------
    actor_cls
        A class, not made remote.
    num_actors
        How many.
    num_cpus_per_actor, num_gpus_per_actor, resources_per_actor
        What each holds.
    init_args, init_kwargs
        For each constructor.

    Raises
    ------
    ValueError
        A number that makes no sense.
    """

    @deprecated(
        "For stateless/task processing, use ray.util.multiprocessing. For stateful/actor processing, use "
        "ray.util.ActorPool."
    )
    def __init__(
        self,
        actor_cls: type,
        num_actors: int = 1,
        num_cpus_per_actor: float = 1,
        num_gpus_per_actor: float = 0,
        resources_per_actor: Mapping[str, float] | None = None,
        init_args: Sequence[Any] | None = None,
        init_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if num_actors <= 0:
            raise ValueError(
                f"The provided `num_actors` must be greater than 0. Received num_actors={num_actors} instead."
            )
        if num_cpus_per_actor < 0 or num_gpus_per_actor < 0:
            raise ValueError(
                "The number of CPUs and GPUs per actor must not be negative. Received "
                f"num_cpus_per_actor={num_cpus_per_actor} and num_gpus_per_actor={num_gpus_per_actor}."
            )
        options: dict[str, Any] = {"num_cpus": num_cpus_per_actor, "num_gpus": num_gpus_per_actor}
        if resources_per_actor:
            options["resources"] = dict(resources_per_actor)
        self._tells = hasattr(actor_cls, "get_actor_metadata")
        self._class = make_remote(actor_cls, options)
        self._size = num_actors
        self._args, self._kwargs = tuple(init_args or ()), dict(init_kwargs or {})
        self.actors: list[ActorWrapper] = []
        self.start()

    def start(self) -> None:
        """Start as many actors as were asked for, after a `shutdown`.

        Raises
        ------
        RuntimeError
            There are some.
        """
        if self.actors:
            raise RuntimeError(
                "The actors have already been started. Please call `shutdown` first if you want to restart them."
            )
        self.add_actors(self._size)

    def add_actors(self, num_actors: int) -> None:
        """Start some more, and wait for what they say about themselves, if they do."""
        started = [self._class.remote(*self._args, **self._kwargs) for _ in range(num_actors)]
        metadata: list[Any] = [None] * num_actors
        if self._tells:
            metadata = get([actor.get_actor_metadata.remote() for actor in started])
        self.actors += map(ActorWrapper, started, metadata)

    def remove_actors(self, actor_indexes: Iterable[int]) -> None:
        """End those at these places."""
        removed = set(actor_indexes)
        unknown = sorted(index for index in removed if not 0 <= index < len(self.actors))
        if unknown:
            raise ValueError(f"no actors at {unknown}: the group has {len(self.actors)}")
        for index in removed:
            kill(self.actors[index].actor)
        self.actors = [each for index, each in enumerate(self.actors) if index not in removed]

    def shutdown(self, patience_s: float = 5) -> None:
        """End all actors: after what they do, or ``patience_s`` seconds; 0: at once. `start` begins again."""
        ended, self.actors = self.actors, []
        if patience_s > 0 and ended:
            refs = [each.actor.__ray_terminate__.remote() for each in ended]
            _, running = wait(refs, num_returns=len(refs), timeout=patience_s)
            if not running:
                return
        for each in ended:
            kill(each.actor)

    @property
    def actor_metadata(self) -> list[Any]:
        """What each actor's ``get_actor_metadata`` returned when it started; None without such a method."""
        return [each.metadata for each in self.actors]

    def __getattr__(self, name: str) -> ActorGroupMethod:
        if name.startswith("_") or name == "actors":
            raise AttributeError(name)
        if not self.actors:
            raise RuntimeError("This ActorGroup has been shutdown. Please start it again.")
        return ActorGroupMethod(self, name)

    def __len__(self) -> int:
        return len(self.actors)

    def __getitem__(self, index: int) -> ActorWrapper:
        return self.actors[index]

    def __iter__(self) -> Iterator[ActorWrapper]:
        return iter(self.actors)
