"""Details that Ray's programs rely on: what is refused and how, what handles and references are, ids."""

from __future__ import annotations

import importlib
import os
import pickle
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.support.module import NAME, Ray
from tests.support.waiting import wait_until


def add(a: int, b: int = 2, *, c: int = 3) -> int:
    return a + b + c


class Base:
    FACTOR = 3

    def __init__(self, value: int = 1) -> None:
        self.value = value

    def times(self, by: int) -> int:
        return self.value * by

    @staticmethod
    def double(value: int) -> int:
        return 2 * value

    @classmethod
    def name(cls) -> str:
        return cls.__name__


class Derived(Base):
    def times(self, by: int, *, plus: int = 0) -> int:
        return super().times(by) + plus

    def _hidden(self) -> str:
        return "hidden"

    def __call__(self, value: int) -> int:
        return self.value + value

    def __len__(self) -> int:
        return 7


# -- calls


def test_a_remote_function_says_how_it_is_called(ray: Ray) -> None:
    with pytest.raises(TypeError, match=r"Remote functions cannot be called directly.*add\.remote\(\)"):
        ray.remote(add)(1)


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((), {}, "missing a required argument: 'a'"),
        ((1, 2, 3), {}, "too many positional arguments"),
        ((1,), {"d": 1}, "got an unexpected keyword argument 'd'"),
        ((1,), {"a": 1}, "multiple values for argument 'a'"),
    ],
)
def test_a_call_that_does_not_fit_fails_where_it_is_made(
    ray: Ray, args: tuple[Any, ...], kwargs: dict[str, Any], says: str
) -> None:
    with pytest.raises(TypeError, match=says):
        ray.remote(add).remote(*args, **kwargs)


def test_arguments_go_by_position_name_and_default(ray: Ray) -> None:
    task = ray.remote(add)
    refs = [task.remote(1), task.remote(1, c=5), task.remote(a=1, b=1, c=1), task.remote(ray.put(1), c=ray.put(2))]
    assert ray.get(refs, timeout=30) == [6, 8, 3, 5]


# -- actors


def test_an_actor_has_what_its_class_has_inherited(ray: Ray) -> None:
    cls = ray.remote(Derived)
    actor = cls.remote(5)
    calls = [actor.times.remote(2, plus=1), actor.double.remote(4), actor.name.remote(), actor._hidden.remote()]
    assert ray.get(calls, timeout=30) == [11, 8, "Derived", "hidden"]
    assert ray.get([actor.__call__.remote(3), actor.__len__.remote()], timeout=30) == [8, 7]
    assert cls.FACTOR == 3
    assert cls.double(2) == 4


def test_an_actor_class_says_how_it_is_used(ray: Ray) -> None:
    cls = ray.remote(Base)
    with pytest.raises(TypeError, match=r"Actors cannot be instantiated directly.*Base\.remote\(\)"):
        cls()
    with pytest.raises(TypeError, match="Inheriting from actor classes is not currently supported"):

        class Further(cls): ...  # type: ignore[valid-type,misc]

    with pytest.raises(TypeError, match="too many positional arguments"):
        cls.remote(1, 2)
    actor = cls.remote()
    with pytest.raises(TypeError, match=r"object\.times\.remote\(\)"):
        actor.times(1)
    with pytest.raises(TypeError, match="missing a required argument: 'by'"):
        actor.times.remote()
    for missing in ("nothing", "value", "FACTOR"):
        with pytest.raises(AttributeError, match=missing):
            getattr(actor, missing)


def test_handles_to_one_actor_are_equal(ray: Ray) -> None:
    actor, other = ray.remote(Base).remote(), ray.remote(Base).remote()
    back = ray.get(ray.remote(lambda handle: handle).remote(actor), timeout=30)
    assert back == actor
    assert hash(back) == hash(actor)
    assert actor != other
    assert actor._actor_id.hex() in repr(actor)


def test_a_handle_has_what_programs_look_up_in_rays(ray: Ray) -> None:
    actor = ray.remote(max_task_retries=2)(Derived).remote()
    ids = importlib.import_module(f"{NAME}._raylet")
    for handle in (actor, ray.get(ray.remote(lambda given: given).remote(actor), timeout=30)):
        assert handle._actor_id == handle._ray_actor_id == ids.ActorID.from_hex(handle._actor_id.hex())
        assert len(handle._actor_id.binary()) == ids.ActorID.size()
        descriptor = handle._ray_actor_creation_function_descriptor
        assert (descriptor.class_name, descriptor.function_name) == ("Derived", "__init__")
        assert descriptor.module_name == Derived.__module__
        assert [each.name for each in handle._ray_method_signatures["times"]][:2] == ["by", "plus"]
        assert handle._ray_method_is_generator["times"] is False
        assert handle._ray_max_task_retries == 2
        assert not handle._ray_allow_out_of_order_execution
        assert handle._ray_enable_task_events
        assert not handle._ray_weak_ref
    named = ray.remote(Base).options(name="looked up").remote()
    assert named._actor_id == ray.get_actor("looked up")._actor_id != actor._actor_id
    assert ray.get_actor("looked up")._ray_weak_ref


def test_a_method_without_options_can_be_marked_too(ray: Ray) -> None:
    class Marked:
        @ray.method  # pyright: ignore[reportCallIssue]
        def one(self) -> int:  # type: ignore[misc]
            return 1

        @ray.method(num_returns=2)
        def two(self) -> tuple[int, int]:
            return 1, 2

    actor = ray.remote(Marked).remote()
    assert ray.get(actor.one.remote(), timeout=30) == 1
    assert ray.get(actor.two.remote(), timeout=30) == [1, 2]
    assert ray.get(actor.two.options(num_returns=1).remote(), timeout=30) == (1, 2)
    with pytest.raises(AssertionError, match="num_cpus"):
        ray.method(num_cpus=1)


@pytest.mark.parametrize("bad", [(), (1,), ("text",), (1, 2)])
def test_remote_is_for_functions_and_classes(ray: Ray, bad: tuple[Any, ...]) -> None:
    with pytest.raises(AssertionError, match=r"@ray\.remote"):
        ray.remote(*bad)


# -- get and wait


def test_get_says_what_it_takes(ray: Ray) -> None:
    ref = ray.put(1)
    for bad in (3, (ref,), {ref}, None):
        with pytest.raises(ValueError, match="Invalid type of object refs"):
            ray.get(bad)
    with pytest.raises(TypeError, match="which is not an"):
        ray.get([ref, 3])
    assert ray.get([]) == []
    assert ray.get(ref, timeout=0) == ray.get(ref, timeout=-1) == 1


def test_a_negative_timeout_of_a_get_is_an_error(ray: Ray, raynb_only: None) -> None:
    for bad in (-2, -0.5):
        with pytest.raises(ValueError, match="must be nonnegative"):
            ray.get(ray.put(1), timeout=bad)


def test_wait_says_what_it_takes(ray: Ray) -> None:
    ref = ray.put(1)
    for bad in (ref, (ref,), [1], 3):
        with pytest.raises(TypeError, match=r"wait\(\) expected a list"):
            ray.wait(bad)
    for few in (0, -1, 2):
        with pytest.raises(ValueError):
            ray.wait([ref], num_returns=few)
    with pytest.raises(ValueError, match="unique"):
        ray.wait([ref, ref])
    with pytest.raises(ValueError, match="timeout"):
        ray.wait([ref], timeout=-1)
    assert ray.wait([]) == ([], [])
    assert ray.wait([ref], fetch_local=False, timeout=0) == ([ref], [])


# -- references


def test_a_reference_can_be_pickled_by_hand(ray: Ray) -> None:
    cloudpickle = importlib.import_module(f"{NAME}.cloudpickle")

    @ray.remote
    def read(blob: bytes) -> Any:
        return ray.get(pickle.loads(blob))

    @ray.remote
    def make() -> bytes:
        return cloudpickle.dumps(ray.put("made in a task"))  # type: ignore[no-any-return]

    ref = ray.put([1, 2])
    for dumps in (pickle.dumps, cloudpickle.dumps):
        blob = dumps(ref)
        assert ray.get(pickle.loads(blob)) == [1, 2]
        assert ray.get(read.remote(blob), timeout=30) == [1, 2]
    assert ray.get(cloudpickle.loads(ray.get(make.remote(), timeout=30)), timeout=30) == "made in a task"


def test_an_object_stays_for_the_copies_that_were_pickled_by_hand(ray: Ray) -> None:
    blob = pickle.dumps(ray.put(np.ones(200_000)))
    assert ray.get(pickle.loads(blob)).sum() == 200_000


def test_pickling_a_reference_by_hand_can_be_forbidden(
    ray: Ray, monkeypatch: pytest.MonkeyPatch, raynb_only: None
) -> None:
    monkeypatch.setenv("RAY_allow_out_of_band_object_ref_serialization", "0")
    with pytest.raises(ray.exceptions.OufOfBandObjectRefSerializationException):
        pickle.dumps(ray.put(1))
    assert ray.get(ray.remote(lambda refs: ray.get(refs[0])).remote([ray.put(1)]), timeout=30) == 1


def test_then_no_function_and_no_class_takes_a_reference_along(
    ray: Ray, monkeypatch: pytest.MonkeyPatch, raynb_only: None
) -> None:
    ref, actor = ray.put(1), ray.remote(Base).remote(3)

    class Holder:
        def held(self) -> Any:
            return ray.get(ref)

    assert ray.get(ray.remote(lambda: ray.get(ref)).remote(), timeout=30) == 1
    monkeypatch.setenv("RAY_allow_out_of_band_object_ref_serialization", "0")
    for made in (ray.remote(lambda: [ref]), ray.remote(Holder)):
        with pytest.raises(ray.exceptions.OufOfBandObjectRefSerializationException, match="taken along"):
            made.remote()
    assert ray.get(ray.remote(lambda: ray.get(actor.times.remote(2))).remote(), timeout=30) == 6, "a handle may go"
    assert ray.get(pickle.loads(pickle.dumps(actor)).times.remote(1), timeout=30) == 3


def test_ids_are_objects_of_their_kind(ray: Ray) -> None:
    ref = ray.remote(add).remote(1)
    task, job = ref.task_id(), ref.job_id()
    assert isinstance(task, ray.TaskID)
    assert isinstance(job, ray.JobID)
    assert task == ray.TaskID.from_hex(task.hex()) == pickle.loads(pickle.dumps(task))
    assert len({task, ray.TaskID(task.binary())}) == 1
    assert task.job_id() == job
    assert ray.NodeID.nil().is_nil()
    assert not ray.WorkerID.from_random().is_nil()
    assert task != job
    with pytest.raises(ValueError):
        ray.ActorID(b"short")
    assert ray.ObjectRef.nil().is_nil()
    assert ray.ObjectRef.size() == len(ref.binary()) == 28
    assert ray.ObjectRef.from_random() != ray.ObjectRef.from_random()
    assert len(ray.ObjectRef.from_random().binary()) == 28
    assert isinstance(ref, ray.ObjectID)
    ray.get(ref)


def test_where_objects_are_can_be_asked(ray: Ray) -> None:
    locations = importlib.import_module(f"{NAME}.experimental").get_object_locations
    here = ray.get_runtime_context().get_node_id()
    large = ray.put(np.zeros(1_000_000))
    found = locations([large])
    assert found[large]["node_ids"] == [here]
    assert found[large]["object_size"] >= 8_000_000
    assert found[large]["did_spill"] is False
    result = ray.remote(lambda: np.zeros(500_000)).remote()
    ray.wait([result])
    assert locations([result])[result]["node_ids"] == [here]


# -- serializers


class Guarded:
    def __init__(self, value: int) -> None:
        self.value = value
        self.lock = threading.Lock()


@pytest.fixture
def serializer(ray: Ray) -> Iterator[None]:
    util = importlib.import_module(f"{NAME}.util")
    util.register_serializer(
        Guarded, serializer=lambda guarded: guarded.value, deserializer=lambda value: Guarded(value)
    )
    yield
    util.deregister_serializer(Guarded)


def test_a_class_travels_by_a_serializer_of_its_own(ray: Ray, serializer: None) -> None:
    assert ray.get(ray.put(Guarded(5))).value == 5
    assert ray.get(ray.remote(lambda guarded: guarded.value).remote(Guarded(6)), timeout=30) == 6
    assert [guarded.value for guarded in ray.get(ray.put([Guarded(1), Guarded(2)]))] == [1, 2]


def test_without_its_serializer_a_class_travels_no_more(ray: Ray) -> None:
    util = importlib.import_module(f"{NAME}.util")
    util.register_serializer(Guarded, serializer=lambda guarded: guarded.value, deserializer=int)
    util.deregister_serializer(Guarded)
    util.deregister_serializer(Guarded)  # nothing is there to be taken back
    with pytest.raises(TypeError):
        ray.put(Guarded(1))


# -- the context


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # see test_context
def test_a_driver_has_no_task_and_no_actor(ray: Ray) -> None:
    context = ray.get_runtime_context()
    assert context.get_task_id() is context.get_actor_id() is context.get_actor_name() is None
    for name in ("task_id", "actor_id", "was_current_actor_reconstructed"):
        with pytest.raises(AssertionError, match="worker"):
            getattr(context, name)
    with pytest.raises(AssertionError, match="worker"):
        context.get_assigned_resources()
    with pytest.raises(RuntimeError, match="actor"):
        context.current_actor  # noqa: B018
    assert context.current_placement_group_id.is_nil()
    assert context.get_placement_group_id() is None
    assert not context.should_capture_child_tasks_in_placement_group
    assert set(context.get()) == {"job_id", "node_id", "namespace"}
    assert context.job_id.hex() == context.get_job_id()
    assert context.node_id.hex() == context.get_node_id()


def test_a_task_and_an_actor_know_who_they_are(ray: Ray) -> None:
    class Asking:
        def ask(self) -> dict[str, Any]:
            context = ray.get_runtime_context()
            return {
                "actor": context.get_actor_id(),
                "same": context.current_actor._actor_id.hex() == context.actor_id.hex() == context.get_actor_id(),
                "restarted": context.was_current_actor_reconstructed,
                "resources": context.get_assigned_resources(),
                "task": (context.task_id.hex() == context.get_task_id(), context.get_task_name()),
                "keys": sorted(context.get()),
            }

    actor = ray.remote(num_cpus=0.5)(Asking).options(name="asking").remote()
    answer = ray.get(actor.ask.remote(), timeout=30)
    assert answer == {
        "actor": actor._actor_id.hex(),
        "same": True,
        "restarted": False,
        "resources": {"CPU": 0.5},
        "task": (True, "Asking.ask"),
        "keys": ["actor_id", "job_id", "namespace", "node_id", "task_id"],
    }

    def ask() -> tuple[Any, ...]:
        context = ray.get_runtime_context()
        return context.actor_id, context.get_assigned_resources(), sorted(context.get()), os.getpid() > 0

    task = ray.remote(num_cpus=2, resources={"special": 0.5})(ask)
    keys = ["job_id", "namespace", "node_id", "task_id"]
    assert ray.get(task.remote(), timeout=30) == (None, {"CPU": 2.0, "special": 0.5}, keys, True)
    wait_until(lambda: ray.available_resources().get("special") == 2)


# -- Ray's older forms, and where things are imported from


def test_a_call_may_be_made_with_arguments_and_options_at_once(ray: Ray) -> None:
    assert ray.get(ray.remote(add)._remote(args=[1], kwargs={"c": 5})) == 8
    assert ray.get(ray.remote(lambda: (1, 2))._remote(num_returns=2)) == [1, 2]
    actor = ray.remote(Derived)._remote(args=[2], num_cpus=0)
    assert ray.get(actor.times._remote(args=[3], kwargs={"plus": 1})) == 7
    assert ray.get(actor.times._remote([3], num_returns=1)) == 6


def test_actors_are_imported_from_a_module_of_their_own(ray: Ray) -> None:
    module = importlib.import_module(f"{NAME}.actor")
    assert isinstance(ray.remote(Derived), module.ActorClass)
    assert isinstance(ray.remote(Derived).remote(), module.ActorHandle)
    assert callable(module.exit_actor)


def test_a_reference_is_made_of_an_id(ray: Ray) -> None:
    ref = ray.put(1)
    assert ray.ObjectRef(ref.binary()) == ref
    assert ray.get(ray.ObjectRef(ref.binary())) == 1
    with pytest.raises(ValueError, match="needs to have length 28"):
        ray.ObjectRef(b"short")
    with pytest.raises(TypeError, match="Unsupported type"):
        ray.ObjectRef("text")


def test_a_job_s_number_is_written_as_in_ray(ray: Ray) -> None:
    assert ray.JobID.from_int(1).hex() == "01000000"
    assert ray.JobID.from_int(1).int() == 1


def test_an_actor_s_class_may_name_itself(ray: Ray) -> None:
    @ray.remote(num_cpus=0)
    class Node:
        def __init__(self, depth: int = 0) -> None:
            self.depth = depth

        def child(self) -> Any:
            self.kept = Node.remote(self.depth + 1)
            return self.kept

        def level(self) -> int:
            return self.depth

    first = Node.remote()
    second = ray.get(first.child.remote(), timeout=30)
    third = ray.get(second.child.remote(), timeout=30)
    assert ray.get([second.level.remote(), third.level.remote()], timeout=30) == [1, 2]


def test_a_function_may_have_its_calls_changed_where_they_are_made(ray: Ray) -> None:
    def twice(call: Any) -> Any:
        return lambda args, kwargs: (call([*args, *args], {}), kwargs)

    def add(a: int, b: int) -> int:
        return a + b

    class Adder:
        def add(self, a: int, b: int) -> int:
            return a + b

    add.__ray_invocation_decorator__ = Adder.add.__ray_invocation_decorator__ = twice  # type: ignore[attr-defined]
    adder = ray.remote(Adder).remote()
    for call in (ray.remote(add), ray.remote(add).options(name="sum"), adder.add, adder.add.options(name="sum")):
        ref, rest = call.remote(3, more=4)
        assert (ray.get(ref), rest) == (6, {"more": 4})
    assert ray.get(ray.remote(lambda it: ray.get(it.add.remote(2)[0])).remote(adder)) == 4
