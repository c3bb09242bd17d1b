"""The exceptions as a program meets them: their kinds, what they are made of, and that they survive a pickle."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from tests.support import module

# Which `except` catches what.
BASES = {
    "ActorAlreadyExistsError": (ValueError, "RayError"),
    "ActorDiedError": ("RayActorError",),
    "ActorHandleNotFoundError": (ValueError, "RayError"),
    "ActorPlacementGroupRemoved": ("RayError",),
    "ActorUnavailableError": ("RayActorError",),
    "ActorUnschedulableError": ("RayError",),
    "AsyncioActorExit": ("RayError",),
    "AuthenticationError": ("RayError",),
    "CrossLanguageError": ("RayError",),
    "GetTimeoutError": ("RayError", TimeoutError),
    "LocalRayletDiedError": ("RayError",),
    "NodeDiedError": ("RayError",),
    "ObjectFetchTimedOutError": ("ObjectLostError",),
    "ObjectFreedError": ("ObjectLostError",),
    "ObjectLostError": ("RayError",),
    "ObjectReconstructionFailedError": ("ObjectLostError",),
    "ObjectRefStreamEndOfStreamError": ("RayError",),
    "ObjectStoreFullError": ("RayError",),
    "OufOfBandObjectRefSerializationException": ("RayError",),
    "OutOfDiskError": ("RayError",),
    "OutOfMemoryError": ("RayError",),
    "OwnerDiedError": ("ObjectLostError",),
    "PendingCallsLimitExceeded": ("RayError",),
    "PlasmaObjectNotAvailable": ("RayError",),
    "RayActorError": ("RayError",),
    "RayCgraphCapacityExceeded": ("RaySystemError",),
    "RayChannelError": ("RaySystemError",),
    "RayChannelTimeoutError": ("RayChannelError", TimeoutError),
    "RayDirectTransportError": ("RaySystemError",),
    "RayError": (Exception,),
    "RaySystemError": ("RayError",),
    "RayTaskError": ("RayError",),
    "ReferenceCountingAssertionError": ("ObjectLostError", AssertionError),
    "RpcError": ("RayError",),
    "RuntimeEnvSetupError": ("RayError",),
    "StreamingGeneratorReplayInconsistentError": ("RaySystemError",),
    "TaskCancelledError": ("RayError",),
    "TaskPlacementGroupRemoved": ("RayError",),
    "TaskUnschedulableError": ("RayError",),
    "UnserializableException": ("RayError",),
    "UserCodeException": ("RayError",),
    "WorkerCrashedError": ("RayError",),
}

# (class, arguments, attributes that it then has)
MADE: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("ActorAlreadyExistsError", {"error_message": "taken"}, {"error_message": "taken"}),
    ("ActorDiedError", {}, {"actor_id": None, "actor_init_failed": False, "preempted": False}),
    ("ActorHandleNotFoundError", {"error_message": "another cluster's"}, {"error_message": "another cluster's"}),
    ("ActorUnavailableError", {"error_message": "gone", "actor_id": b"\x01\xab"}, {"actor_id": "01ab"}),
    ("ActorUnschedulableError", {"error_message": "no node"}, {"error_message": "no node"}),
    ("AuthenticationError", {"message": "wrong key"}, {"message": "wrong key"}),
    ("NodeDiedError", {"message": "unplugged"}, {"message": "unplugged"}),
    (
        "ObjectLostError",
        {"object_ref_hex": "c0ffee", "owner_address": None, "call_site": "here.py:3"},
        {"object_ref_hex": "c0ffee", "owner_address": None, "call_site": "here.py:3"},
    ),
    (
        "OwnerDiedError",
        {"object_ref_hex": "c0ffee", "owner_address": None, "call_site": ""},
        {"object_ref_hex": "c0ffee", "call_site": ""},
    ),
    (
        "ObjectReconstructionFailedError",
        {"object_ref_hex": "c0ffee", "reason_message": "tried thrice"},
        {"object_ref_hex": "c0ffee", "reason": None, "reason_message": "tried thrice", "call_site": ""},
    ),
    ("OutOfMemoryError", {"message": "3 GiB"}, {"message": "3 GiB"}),
    ("RayActorError", {}, {"actor_id": None, "actor_init_failed": False, "preempted": False}),
    (
        "RayActorError",
        {"actor_id": "ab", "error_msg": "it left", "actor_init_failed": True, "preempted": True},
        {"actor_id": "ab", "error_msg": "it left", "actor_init_failed": True, "preempted": True},
    ),
    ("RaySystemError", {"client_exc": "broken"}, {"client_exc": "broken", "traceback_str": None}),
    ("RaySystemError", {"client_exc": "broken", "traceback_str": "line 1"}, {"traceback_str": "line 1"}),
    (
        "RayTaskError",
        {"function_name": "f", "traceback_str": "line 1", "cause": ValueError("x"), "pid": 7, "ip": "10.0.0.1"},
        {"function_name": "f", "traceback_str": "line 1", "pid": 7, "ip": "10.0.0.1"},
    ),
    ("RpcError", {"message": "silence"}, {"message": "silence", "rpc_code": None}),
    ("RuntimeEnvSetupError", {"error_message": "no such package"}, {"error_message": "no such package"}),
    ("RuntimeEnvSetupError", {}, {"error_message": None}),
    ("TaskCancelledError", {}, {"task_id": None, "error_message": None}),
    ("TaskCancelledError", {"error_message": "as asked"}, {"task_id": None, "error_message": "as asked"}),
    ("TaskUnschedulableError", {"error_message": "no node"}, {"error_message": "no node"}),
    ("UnserializableException", {"original_stack_trace": "line 1"}, {}),
]
WORDLESS = ["LocalRayletDiedError", "TaskPlacementGroupRemoved", "ActorPlacementGroupRemoved", "WorkerCrashedError"]
BY_SENTENCE = [
    "CrossLanguageError",
    "GetTimeoutError",
    "ObjectRefStreamEndOfStreamError",
    "ObjectStoreFullError",
    "OutOfDiskError",
    "PendingCallsLimitExceeded",
    "RayChannelTimeoutError",
    "RayError",
    "UserCodeException",
]


@pytest.mark.parametrize("name", BASES)
def test_an_exception_is_caught_by_the_classes_that_it_stands_under(errors: Any, name: str) -> None:
    for base in BASES[name]:
        assert issubclass(getattr(errors, name), getattr(errors, base) if isinstance(base, str) else base)


@pytest.mark.parametrize(("name", "arguments", "attributes"), MADE)
def test_an_exception_carries_what_it_was_made_with(
    errors: Any, name: str, arguments: dict[str, Any], attributes: dict[str, Any]
) -> None:
    error = getattr(errors, name)(**arguments)
    assert {field: getattr(error, field) for field in attributes} == attributes
    for said in arguments.values():
        if isinstance(said, str) and name != "RayTaskError" and "actor_init_failed" not in arguments:
            assert said in str(error)


@pytest.mark.usefixtures("raynb_only")  # several of Ray's can't be unpickled
@pytest.mark.parametrize(("name", "arguments", "attributes"), MADE)
def test_an_exception_survives_a_pickle_and_a_copy(
    errors: Any, name: str, arguments: dict[str, Any], attributes: dict[str, Any]
) -> None:
    error = getattr(errors, name)(**arguments)
    error.note = "set by the program"
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert str(again) == str(error)
        assert {field: getattr(again, field) for field in attributes} == attributes
        if name != "RayTaskError":
            assert type(again) is type(error)
            assert again.note == "set by the program"


@pytest.mark.parametrize("name", BY_SENTENCE)
def test_an_exception_says_the_sentence_that_it_was_made_with(errors: Any, name: str) -> None:
    assert "the sentence" in str(getattr(errors, name)("the sentence"))


@pytest.mark.parametrize("name", WORDLESS)
def test_an_exception_made_without_a_word_still_says_something(errors: Any, name: str) -> None:
    assert len(str(getattr(errors, name)())) > 20


def test_the_error_of_a_task_is_of_its_causes_type_too(errors: Any) -> None:
    error: Any = errors.RayTaskError("f", "line 1", KeyError("missing"), pid=7, ip="10.0.0.1").as_instanceof_cause()
    assert isinstance(error, KeyError)
    assert isinstance(error, errors.RayTaskError)
    assert error.args == ("missing",)
    assert isinstance(error.cause, KeyError)  # pyright: ignore[reportAttributeAccessIssue]


def test_an_actors_death_in_its_constructor_tells_what_the_constructor_raised(errors: Any) -> None:
    error = errors.ActorDiedError(errors.RayTaskError("A.__init__", "ValueError: too small", ValueError("too small")))
    assert error.actor_init_failed
    assert "ValueError: too small" in str(error)


class LimitReached(module.module().exceptions.RayError):
    """A program's own, whose constructor has other arguments than its base's."""

    def __init__(self, limit: int, *, unit: str) -> None:
        super().__init__(f"at most {limit} {unit}")
        self.limit = limit


@pytest.mark.usefixtures("raynb_only")
def test_a_programs_own_subclass_survives_a_pickle() -> None:
    error = pickle.loads(pickle.dumps(LimitReached(3, unit="cows")))
    assert (error.limit, str(error)) == (3, "at most 3 cows")
