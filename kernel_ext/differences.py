"""What Ray has and raynb has not, and why: asked for by name, the answer says so."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final, NoReturn

from raynb.own_workings import NAMES

_LIBRARY = "raynb is Ray's core for notebooks; this library of Ray's is not part of it"
_PYTHON = "raynb is for Python only"
_CLIENT = "there are no client connections (ray://): raynb.init(address=...) joins a cluster on this machine"
_MEASURES = "measurements are those of the command `raynb microbenchmark`"
_VIEWS = "the views of a cluster are in JupyterLab"
_GRAPHS = "there are no graphs that are compiled before they run; tasks that use one another's references are one"
OWN_WORKINGS = "that is part of Ray's own workings"
_GPU = "raynb counts accelerators as resources, and knows no more of them"

REFUSED: Final = {
    "ClientBuilder": _CLIENT,
    "Language": _PYTHON,
    "air": _LIBRARY,
    "client": _CLIENT,
    "cpp_actor_class": _PYTHON,
    "cpp_function": _PYTHON,
    "dag": _GRAPHS,
    "data": _LIBRARY,
    "java_actor_class": _PYTHON,
    "java_function": _PYTHON,
    "llm": _LIBRARY,
    "rllib": _LIBRARY,
    "serve": _LIBRARY,
    "show_in_dashboard": _VIEWS,
    "train": _LIBRARY,
    "tune": _LIBRARY,
    "workflow": "Ray itself has given workflows up",
    "experimental.channel": _GRAPHS,
    "experimental.compiled_dag_ref": _GRAPHS,
    "util.collective": "there are no collective operations: exchange arrays by references, or use torch.distributed",
    "util.connect": "there are no client connections (ray://): use raynb.init(address=...)",
    "util.dask": "Dask has a scheduler of its own",
    "util.debugpy": "a task at breakpoint() is reached by %raynb debug",
    "util.disconnect": "there are no client connections (ray://): use raynb.shutdown()",
    "util.horovod": _LIBRARY,
    "util.lightgbm": _LIBRARY,
    "util.rpdb": "a task at breakpoint() is reached by %raynb debug",
    "util.sgd": _LIBRARY,
    "util.spark": "raynb does not run on Spark",
    "util.tpu": _GPU,
    "util.tracing": "raynb.timeline() has when everything ran",
    "util.xgboost": _LIBRARY,
}
"""By Ray's name, without ``ray.``: what can't be imported."""

ABSENT: Final = {
    "_private.accelerators": _GPU,
    "_private.arrow_serialization": OWN_WORKINGS,
    "_private.authentication": OWN_WORKINGS,
    "_private.authentication_test_utils": OWN_WORKINGS,
    "_private.conftest_utils": OWN_WORKINGS,
    "_private.auto_init_hook": OWN_WORKINGS,
    "_private.custom_types": OWN_WORKINGS,
    "_private.event": OWN_WORKINGS,
    "_private.external_storage": OWN_WORKINGS,
    "_private.function_manager": OWN_WORKINGS,
    "_private.gcs_pubsub": OWN_WORKINGS,
    "_private.gc_collect_manager": OWN_WORKINGS,
    "_private.grpc_utils": OWN_WORKINGS,
    "_private.inspect_util": OWN_WORKINGS,
    "_private.log": OWN_WORKINGS,
    "_private.log_monitor": OWN_WORKINGS,
    "_private.logging_utils": OWN_WORKINGS,
    "_private.memory_monitor": OWN_WORKINGS,
    "_private.metrics_agent": OWN_WORKINGS,
    "_private.node": OWN_WORKINGS,
    "_private.parameter": OWN_WORKINGS,
    "_private.path_utils": OWN_WORKINGS,
    "_private.process_watcher": OWN_WORKINGS,
    "_private.prometheus_exporter": OWN_WORKINGS,
    "_private.ray_client_microbenchmark": _MEASURES,
    "_private.ray_logging": OWN_WORKINGS,
    "_private.ray_microbenchmark_helpers": _MEASURES,
    "_private.ray_perf": _MEASURES,
    "_private.resource_and_label_spec": OWN_WORKINGS,
    "_private.resource_spec": OWN_WORKINGS,
    "_private.resource_isolation_config": OWN_WORKINGS,
    "_private.runtime_env": OWN_WORKINGS,
    "_private.serialization": OWN_WORKINGS,
    "_private.signature": OWN_WORKINGS,
    "_private.telemetry": "raynb tells nobody how it is used",
    "_private.usage": "raynb tells nobody how it is used",
    "_common.deprecation": OWN_WORKINGS,
    "_common.logging_constants": OWN_WORKINGS,
    "_common.observability": OWN_WORKINGS,
    "_common.pydantic_compat": OWN_WORKINGS,
    "_common.ray_option_utils": OWN_WORKINGS,
    "_common.retry": OWN_WORKINGS,
    "_common.runtime_env_package": OWN_WORKINGS,
    "_common.runtime_env_uri": OWN_WORKINGS,
    "_common.serialization": OWN_WORKINGS,
    "_common.signature": OWN_WORKINGS,
    "_common.tls_utils": OWN_WORKINGS,
    "_common.usage": "raynb tells nobody how it is used",
    "_private.dict": OWN_WORKINGS,
    "_private.thirdparty": OWN_WORKINGS,
    "autoscaler": "raynb's clusters are scaled by hand (%raynb scale)",
    "client_builder": _CLIENT,
    "core": OWN_WORKINGS,
    "cross_language": _PYTHON,
    "dashboard": _VIEWS,
    "experimental.shuffle": "Ray's own example of a program; tasks that return several objects do the same",
    "job_submission": "there is no server that takes jobs: start the program with raynb.init(address=...)",
    "scripts": "the commands are those of the program raynb",
    "runtime_env.runtime_env": OWN_WORKINGS,
    "util.check_open_ports": "raynb opens no ports",
    "util.client": _CLIENT,
    "util.state.state_cli": "the commands are those of the program raynb",
    "util.state.state_manager": OWN_WORKINGS,
    "util.state.util": OWN_WORKINGS,
    "util.timer": OWN_WORKINGS,
}
"""By Ray's name, without ``ray.``: modules that can be imported, as all below them, and are told to be missing when a
name in them is used (`Absent`)."""


DIFFERENCES: Final = {
    "runtime_env.RuntimeEnv": "Folders (`working_dir`, `py_modules`) may be given for a task or an actor too, "
    "not only for a job. Packages that a worker itself has loaded (numpy, pyarrow, pyzmq, msgspec, psutil, "
    "cloudpickle) can't be replaced by `pip`. An unknown field is an error. A failing hook is a "
    "`RuntimeEnvSetupError`, not a crash. An environment is set up when it is first needed, whatever "
    "`eager_install` says.",
    "exceptions.RayTaskError": "`args` of an error that is an instance of its cause are the cause's own. A task whose "
    "input failed with an error of the user's has that very error, without a header of its own: it did not run.",
    "exceptions.OwnerDiedError": "A large value whose owner has died is given as long as it lies in a store that the "
    "reader's node reaches; in Ray it is lost with its owner.",
    "exceptions.UnserializableException": "Such an error is a `RayTaskError`, too: it says which task failed, and why "
    "the exception can't be made again.",
    "util.state.list_actors": "A filter with a value that there is not, or of a field that Ray does not filter by, is "
    "no error, in any list: it gives what fits.",
    "util.state.get_log": "Of an actor's task, too, it is what the task has written. Logs have raynb's names "
    "(`gcs.log`, `node_manager.log`, `worker-w1.out`).",
    "util.state.list_nodes": "`node_name` is the machine's name, unless the node was given one; `nodes()` has "
    "its address.",
    "util.state.list_jobs": "`entrypoint` is the program's name alone; a driver that was killed has FAILED. Ids of "
    "jobs are random, not counted.",
    "util.state.summarize_tasks": "Tasks that were given a name are counted under that.",
    "wait": "A reference of an earlier connection is an error, also among others.",
    "exceptions.DeadlockError": "Tasks that wait for one another in a circle fail with it within five seconds; in Ray "
    "they wait for ever.",
    "init": "Starts no dashboard and opens no port, except for Prometheus where `_metrics_export_port` asks for that. "
    "Other options of Ray's that ask for those have no effect; who gives them is told. "
    "Without an address, it starts a cluster in notebooks, and where options say what a new one is to have, though "
    "another runs; in Ray these are an error then. "
    "A worker may run tasks of several drivers, one after another: what they leave in modules is there for the next.",
    "remote": "What is tried again is tried at once; Ray waits a second or so. An actor that waits in `get` lends its "
    "CPU, as a task does. An actor that asks for no CPU needs none to be placed. That a task is tried again is printed "
    "with why in one line, in a notebook below the cell that called it; of many tasks of one name once in five "
    "seconds. That an actor's process has died is told by its calls, and where actors are listed, not printed besides.",
    "timeline": "There are more events: of the object stores, and arrows from tasks to those that use their results. "
    "Arguments, execution and results of a task are timed by themselves only with RAY_PROFILING in the environment "
    "of the cluster.",
    "util.placement_group.placement_group": "Groups are in `available_resources()` and `cluster_resources()` by what "
    "they have taken, not by names of their own.",
    "experimental.tqdm_ray.tqdm": "Drawn by the task itself, with what tqdm it has. In a terminal each step is a line.",
    "util.RayExecutor": "A `concurrent.futures.Executor`; Ray has none.",
    "util.multiprocessing.Pool": "`chunksize` below 1 is a ValueError. An initializer that is no function is refused "
    "at once. As in Ray, and unlike in the standard library, `imap` gives an error in the place of an item that "
    "failed.",
}
"""What behaves otherwise than in Ray, by name."""


def refusal(name: str) -> str:
    """What is said of a name of Ray's that raynb has not; empty for one that nobody knows."""
    why = REFUSED.get(name) or ABSENT.get(name)
    return "" if why is None else absence(name, why)


def absence(name: str, why: str) -> str:
    """What is said of a name that can be imported only."""
    return f"raynb has no ray.{name}: {why} (docs/ray-compatibility.md)"


class RefusedModules:
    """A finder that says by name that a module is not there; asked last. (Not of `importlib.abc`: that loads long.)"""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, name = fullname.partition(".")
        if package != "raynb" or name not in REFUSED:
            return None
        # Under Ray's name: `from raynb import serve` swallows the error of a module of just that name.
        raise ModuleNotFoundError(refusal(name), name=f"ray.{name}")


# -- what can be imported only: a file often imports more of Ray than that part of it needs that runs

_FOUND_IN: Final = {
    "raynb.core.generated.common_pb2": "raynb._private.protocol_enums",
    "raynb.core.generated.gcs_pb2": "raynb._private.gcs_utils",
    "raynb.runtime_env.runtime_env": "raynb.runtime_env",
    "raynb.util.client.ray_client_helpers": "raynb._private.client_mode_hook",
}
"""What raynb does have of such a module is in another one."""


class Absent(type):
    """The class of each of those names: a class itself, so that it may be in an annotation, a base or `isinstance`."""

    words: str

    def __call__(cls, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise NotImplementedError(cls.words)

    def __getattr__(cls, name: str) -> NoReturn:
        raise AttributeError(cls.words if not name.startswith("__") else name)

    def __repr__(cls) -> str:
        return f"<{cls.words}>"


def absent(name: str, why: str) -> Absent:
    """What stands in the place of a name of Ray's (without ``ray.``)."""
    return Absent(name.rpartition(".")[2], (), {"words": absence(name, why), "__module__": __name__})


def absent_names(module: str, names: Mapping[str, str] | None = None) -> Callable[[str], Any]:
    """A module's ``__getattr__`` for those names of Ray's, each with the reason, that it has in this way only; and for
    those that `own_workings` has of it."""
    made: dict[str, Absent] = {}
    names = {**dict.fromkeys(NAMES.get(module, ()), OWN_WORKINGS), **(names or {})}

    def find(name: str) -> Absent:
        if name not in names:
            raise AttributeError(f"module 'raynb.{module}' has no attribute {name!r} (docs/ray-compatibility.md)")
        return made.setdefault(name, absent(f"{module}.{name}", names[name]))

    return find


class AbsentModule(ModuleType):
    """A module that has any name, each of them absent."""

    why = ""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if f"{self.__name__}.{name}" in _FOUND_IN:
            return importlib.import_module(f"{self.__name__}.{name}")
        home = _FOUND_IN.get(self.__name__)
        made = vars(importlib.import_module(home)).get(name) if home else None
        made = made or absent(f"{self.__name__.partition('.')[2]}.{name}", self.why)
        setattr(self, name, made)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        # Functions are pickled with modules that are called as an attribute they use.
        return importlib.import_module, (self.__name__,)


class AbsentModules:
    """A finder and loader for them; asked last. (Not of `importlib.abc`: that loads long.)"""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not _why(fullname):
            return None
        return ModuleSpec(fullname, self, is_package=True)  # type: ignore[arg-type]  # it has a loader's methods

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = AbsentModule(spec.name)
        module.why = _why(spec.name)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is in it."""


def _why(fullname: str) -> str:
    """The reason that is given for a module or for one that it is in; empty if there is none."""
    package, _, name = fullname.partition(".")
    while package == "raynb" and name:
        if name in ABSENT:
            return ABSENT[name]
        name = name.rpartition(".")[0]
    return ""


def install() -> None:
    """Idempotent."""
    for finder in (RefusedModules, AbsentModules):
        if not any(isinstance(there, finder) for there in sys.meta_path):
            sys.meta_path.append(finder())
