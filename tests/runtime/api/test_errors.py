"""What goes wrong in a task arrives where its value is asked for: as its own type, with its story."""

from __future__ import annotations

import os
import re
import threading
import traceback
from typing import Any

import pytest

from tests.support.module import Ray


def test_the_exception_of_a_task_has_its_own_type_and_is_a_task_error(ray: Ray) -> None:
    @ray.remote
    def divide(a: int, b: int) -> float:
        return a / b

    with pytest.raises(ZeroDivisionError) as caught:
        ray.get(divide.remote(1, 0))
    assert isinstance(caught.value, ray.exceptions.RayTaskError)
    assert isinstance(caught.value, ray.exceptions.RayError)


def test_the_text_of_the_exception_has_the_remote_traceback(ray: Ray) -> None:
    @ray.remote
    def outer_function() -> None:
        def inner_function() -> None:
            raise ValueError("what went wrong")

        inner_function()

    with pytest.raises(ValueError) as caught:
        ray.get(outer_function.remote())
    text = str(caught.value)
    for part in ("outer_function", "inner_function", "ValueError: what went wrong", "test_errors.py"):
        assert part in text


def test_the_original_exception_is_its_cause(ray: Ray) -> None:
    @ray.remote
    def fail() -> None:
        raise KeyError("the key")

    with pytest.raises(KeyError) as caught:
        ray.get(fail.remote())
    cause = caught.value.cause  # type: ignore[attr-defined]  # pyright: ignore
    assert type(cause) is KeyError
    assert cause.args == ("the key",)


def test_an_exception_of_the_programs_own_class_keeps_what_it_carries(ray: Ray) -> None:
    class Rejected(Exception):
        def __init__(self, code: int, reason: str) -> None:
            super().__init__(code, reason)
            self.code = code

    @ray.remote
    def reject() -> None:
        raise Rejected(7, "too late")

    with pytest.raises(Exception, match="too late") as caught:
        ray.get(reject.remote())
    assert isinstance(caught.value, ray.exceptions.RayTaskError)
    assert caught.value.code == 7  # type: ignore[attr-defined]  # pyright: ignore


def test_the_failure_of_an_argument_is_the_failure_of_the_task(ray: Ray) -> None:
    @ray.remote
    def fail() -> None:
        raise LookupError("at the root")

    ref = fail.remote()
    for _ in range(3):
        ref = ray.remote(lambda x: x).remote(ref)
    with pytest.raises(LookupError, match="at the root"):
        ray.get(ref)


def test_an_exception_passes_through_nested_tasks_with_its_type(ray: Ray) -> None:
    @ray.remote
    def inner() -> None:
        raise OverflowError("deep down")

    @ray.remote
    def outer() -> None:
        ray.get(inner.remote())

    with pytest.raises(OverflowError, match="deep down"):
        ray.get(outer.remote())


def test_a_task_may_catch_the_exception_of_another(ray: Ray) -> None:
    @ray.remote
    def inner() -> None:
        raise OverflowError

    @ray.remote
    def outer() -> str:
        try:
            ray.get(inner.remote())
        except OverflowError:
            return "caught"
        return "missed"

    assert ray.get(outer.remote()) == "caught"


def test_get_of_a_list_raises_if_one_of_its_tasks_failed(ray: Ray) -> None:
    task = ray.remote(lambda x: 1 / x)
    with pytest.raises(ZeroDivisionError):
        ray.get([task.remote(x) for x in (1, 0, 2)])


def test_an_exception_can_be_read_again_and_again(ray: Ray) -> None:
    ref = ray.remote(lambda: 1 / 0).remote()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            ray.get(ref)


def test_an_exception_may_be_a_value(ray: Ray) -> None:
    value = ray.get(ray.remote(lambda: ValueError("only returned")).remote())
    assert type(value) is ValueError


def test_a_timeout_is_a_timeout_error(errors: Any) -> None:
    assert issubclass(errors.GetTimeoutError, TimeoutError)
    assert issubclass(errors.GetTimeoutError, errors.RayError)


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("RayTaskError", "RayError"),
        ("RayActorError", "RayError"),
        ("ActorDiedError", "RayActorError"),
        ("ActorUnavailableError", "RayActorError"),
        ("WorkerCrashedError", "RayError"),
        ("TaskCancelledError", "RayError"),
        ("ObjectLostError", "RayError"),
        ("OwnerDiedError", "ObjectLostError"),
        ("ObjectFreedError", "ObjectLostError"),
        ("ObjectStoreFullError", "RayError"),
        ("OutOfMemoryError", "RayError"),
        ("RuntimeEnvSetupError", "RayError"),
        ("PendingCallsLimitExceeded", "RayError"),
    ],
)
def test_the_exceptions_have_the_family_that_programs_catch(errors: Any, name: str, base: str) -> None:
    assert issubclass(getattr(errors, name), getattr(errors, base))
    assert issubclass(getattr(errors, name), Exception)


def test_an_argument_that_can_not_be_pickled_is_named_at_submission(ray: Ray) -> None:
    task = ray.remote(lambda value: None)
    with pytest.raises(TypeError, match="lock"):
        task.remote(threading.Lock())
    with pytest.raises(TypeError, match="lock"):
        task.remote({"deep": [threading.Lock()]})


def test_a_captured_variable_that_can_not_be_pickled_is_named_at_submission(ray: Ray) -> None:
    my_lock = threading.Lock()

    @ray.remote
    def guarded() -> bool:
        return my_lock.locked()

    with pytest.raises(TypeError, match="my_lock"):
        guarded.remote()


def test_an_actor_class_that_can_not_be_pickled_is_called_one(ray: Ray) -> None:
    my_lock = threading.Lock()

    @ray.remote
    class Guarded:
        def locked(self) -> bool:
            return my_lock.locked()

    with pytest.raises(TypeError, match=r"Could not serialize the actor class .*Guarded.*my_lock"):
        Guarded.remote()


def test_a_value_that_can_not_be_pickled_is_refused_by_put(ray: Ray) -> None:
    with pytest.raises(TypeError, match="lock"):
        ray.put(threading.Lock())


def test_a_result_that_can_not_be_pickled_is_an_error_of_its_ref_and_the_worker_lives(ray: Ray) -> None:
    @ray.remote
    class Maker:
        def lock(self) -> object:
            return threading.Lock()

        def pid(self) -> int:
            return os.getpid()

    maker = Maker.remote()
    pid = ray.get(maker.pid.remote())
    with pytest.raises(TypeError, match="lock") as caught:
        ray.get(maker.lock.remote())
    assert isinstance(caught.value, ray.exceptions.RayTaskError)
    assert "Traceback" not in str(caught.value), "raynb's own frames help nobody"
    assert ray.get(maker.pid.remote()) == pid


def test_an_exception_that_can_not_be_pickled_arrives_as_text_and_the_worker_lives(ray: Ray) -> None:
    class Holds(Exception):
        def __init__(self) -> None:
            super().__init__("cannot travel")
            self.lock = threading.Lock()

    @ray.remote
    class Maker:
        def fail(self) -> None:
            raise Holds

        def pid(self) -> int:
            return os.getpid()

    maker = Maker.remote()
    pid = ray.get(maker.pid.remote())
    with pytest.raises(ray.exceptions.RayError, match="cannot travel"):
        ray.get(maker.fail.remote())
    assert ray.get(maker.pid.remote()) == pid


def test_in_the_place_of_an_exception_that_can_not_travel_there_is_one_that_says_so(ray: Ray, errors: Any) -> None:
    class AskingForTwo(Exception):
        def __init__(self, left: int, right: int) -> None:
            super().__init__(f"{left} and {right}")

    class Locked(Exception):
        def __init__(self) -> None:
            super().__init__("locked")
            self.lock = threading.Lock()

    @ray.remote
    def fail(how: str) -> None:
        raise AskingForTwo(1, 2) if how == "two" else Locked()

    @ray.remote
    def ask(how: str) -> None:
        ray.get(fail.remote(how))

    for task in (fail, ask):
        with pytest.raises(errors.UnserializableException) as caught:
            ray.get(task.remote("two"))
        assert "AskingForTwo: 1 and 2" in str(caught.value)
        with pytest.raises(errors.RayTaskError) as locked:
            ray.get(task.remote("lock"))
        assert "Locked: locked" in str(locked.value)
        assert type(locked.value.cause) is errors.RayError
        assert "isn't serializable" in str(locked.value.cause) and "Locked: locked" in str(locked.value.cause)


def test_a_value_that_can_not_be_unpickled_is_an_error_that_says_so(ray: Ray) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return refuse, ()

    def refuse() -> None:
        raise RuntimeError("not here")

    with pytest.raises(ray.exceptions.RayError, match="not here"):
        ray.get(ray.put(Trap()))
    with pytest.raises(Exception, match="not here"):
        ray.get(ray.remote(lambda value: None).remote(Trap()))
    assert ray.get(ray.put("still works")) == "still works"


def test_an_actor_whose_input_has_failed_is_dead_as_if_its_constructor_had_raised(ray: Ray, errors: Any) -> None:
    def fail() -> None:
        raise ValueError("in the input")

    class Holds:
        def __init__(self, value: object) -> None:
            self.value = value

        def read(self) -> object:
            return self.value

    actor = ray.remote(Holds).remote(ray.remote(fail).remote())
    with pytest.raises(errors.ActorDiedError, match=r"error raised in its creation task[\s\S]*in the input") as raised:
        ray.get(actor.read.remote(), timeout=30)
    assert raised.value.actor_init_failed
    assert raised.value.actor_id == actor._actor_id.hex()


def _frames(text: str) -> str:
    """Without what differs from run to run and from Python to Python."""
    text = re.sub(r"\x1b\[\d+m", "", text)
    text = re.sub(r'File ".*", line \d+', "File", re.sub(r"\n\s*[~^]+$", "", text, flags=re.M))
    text = re.sub(r"pid=\d+, ip=[\d.]+", "HERE", re.sub(r"actor_id=\w+, repr=.*\)", "WHO)", text))
    return text.replace("raynb.exceptions", "ray.exceptions")


def test_the_text_of_an_error_has_one_header_for_each_task_and_its_frames(ray: Ray) -> None:
    @ray.remote
    def inner() -> float:
        return 1 / 0

    @ray.remote
    def outer() -> float:
        return ray.get(inner.remote())

    with pytest.raises(ZeroDivisionError) as caught:
        ray.get(outer.remote(), timeout=30)
    assert _frames(str(caught.value)) == (
        "ray::outer() (HERE)\n"
        "  File, in outer\n"
        "    return ray.get(inner.remote())\n"
        "ray.exceptions.RayTaskError(ZeroDivisionError): ray::inner() (HERE)\n"
        "  File, in inner\n"
        "    return 1 / 0\n"
        "ZeroDivisionError: division by zero"
    )


def test_the_text_of_an_actors_error_says_which_actor_and_where(ray: Ray) -> None:
    class Fails:
        def __init__(self, how: str) -> None:
            if how == "at once":
                raise ValueError(how)

        def call(self) -> None:
            raise ValueError("called")

    with pytest.raises(ValueError) as caught:
        ray.get(ray.remote(Fails).remote("").call.remote(), timeout=30)
    assert _frames(str(caught.value)) == (
        'ray::Fails.call() (HERE, WHO)\n  File, in call\n    raise ValueError("called")\nValueError: called'
    )
    with pytest.raises(ray.exceptions.ActorDiedError) as died:
        ray.get(ray.remote(Fails).remote("at once").call.remote(), timeout=30)
    assert _frames(str(died.value)) == (
        "The actor died because of an error raised in its creation task, ray::Fails.__init__() (HERE, WHO)\n"
        "  File, in __init__\n    raise ValueError(how)\nValueError: at once"
    )


def test_a_dead_actors_error_says_which_it_was(ray: Ray) -> None:
    class Mortal:
        def pid(self) -> int:
            return os.getpid()

        def die(self) -> None:
            os._exit(1)

    actor = ray.remote(Mortal).options(name="mortal one").remote()
    pid = ray.get(actor.pid.remote(), timeout=30)
    actor.die.remote()
    with pytest.raises(ray.exceptions.ActorDiedError) as died:
        ray.get(actor.pid.remote(), timeout=30)
    lines = str(died.value).split("\n")
    assert [line.strip() for line in lines[1:7]] == [
        f"class_name: {Mortal.__qualname__}",
        f"actor_id: {actor._actor_id.hex()}",
        f"pid: {pid}",
        "name: mortal one",
        f"namespace: {ray.get_runtime_context().namespace}",
        f"ip: {ray.nodes()[0]['NodeManagerAddress']}",
    ]
    assert "The actor is dead because" in lines[7]


def test_the_call_that_ends_an_actor_says_which_it_was(ray: Ray) -> None:
    class Leaves:
        def pid(self) -> int:
            return os.getpid()

        def leave(self) -> None:
            raise SystemExit(0)

    actor = ray.remote(Leaves).options(name="leaving one").remote()
    pid = ray.get(actor.pid.remote(), timeout=30)
    with pytest.raises(ray.exceptions.ActorDiedError) as died:
        ray.get(actor.leave.remote(), timeout=30)
    lines = [line.strip() for line in str(died.value).split("\n")]
    assert lines[1].startswith("class_name: ") and lines[1].endswith("Leaves")
    for line in (f"actor_id: {actor._actor_id.hex()}", f"pid: {pid}", "name: leaving one"):
        assert line in lines


def test_the_notes_of_an_error_are_told_once(ray: Ray, raynb_only: None) -> None:
    def fail() -> None:
        error = ValueError("wrong")
        error.add_note("try it in another way")
        raise error

    with pytest.raises(ValueError) as caught:
        ray.get(ray.remote(fail).remote(), timeout=30)
    assert "".join(traceback.format_exception_only(caught.value)).count("try it in another way") == 1
