"""What Ray has and raynb has not, and why: asked for by name, the answer says so."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

_LIBRARY = "raynb is Ray's core for notebooks; this library of Ray's is not part of it"
_PYTHON = "raynb is for Python only"
_CLIENT = "there are no client connections (ray://): raynb.init(address=...) joins a cluster on this machine"
_VIEWS = "the views of a cluster are in JupyterLab"
_GRAPHS = "there are no graphs that are compiled before they run; tasks that use one another's references are one"
_OWN = "that is part of Ray's own workings"
_GPU = "raynb counts accelerators as resources, and knows no more of them"

REFUSED: Final = {
    "ClientBuilder": _CLIENT,
    "Language": _PYTHON,
    "LoggingConfig": "there are no logs of that kind; Python's logging works in tasks",
    "_private.external_storage": _OWN,
    "_private.gcs_pubsub": _OWN,
    "_private.gcs_utils": _OWN,
    "_private.metrics_agent": _OWN,
    "_private.parameter": _OWN,
    "_private.profiling": _OWN,
    "_private.prometheus_exporter": _OWN,
    "_private.runtime_env": _OWN,
    "_private.serialization": _OWN,
    "air": _LIBRARY,
    "autoscaler": "raynb's clusters are scaled by hand (%raynb scale)",
    "client": _CLIENT,
    "client_builder": _CLIENT,
    "core": _OWN,
    "cpp_actor_class": _PYTHON,
    "cpp_function": _PYTHON,
    "cross_language": _PYTHON,
    "dag": _GRAPHS,
    "dashboard": _VIEWS,
    "data": _LIBRARY,
    "java_actor_class": _PYTHON,
    "java_function": _PYTHON,
    "job_submission": "there is no server that takes jobs: start the program with raynb.init(address=...)",
    "llm": _LIBRARY,
    "rllib": _LIBRARY,
    "serve": _LIBRARY,
    "show_in_dashboard": _VIEWS,
    "train": _LIBRARY,
    "tune": _LIBRARY,
    "workflow": "Ray itself has given workflows up",
    "experimental.channel": _GRAPHS,
    "experimental.compiled_dag_ref": _GRAPHS,
    "experimental.tqdm_ray": "what tasks print, progress bars too, appears in the cell",
    "util.client": _CLIENT,
    "util.collective": "there are no collective operations: exchange arrays by references, or use torch.distributed",
    "util.connect": "there are no client connections (ray://): use raynb.init(address=...)",
    "util.dask": "Dask has a scheduler of its own",
    "util.debugpy": "a task at breakpoint() is reached by %raynb debug",
    "util.disconnect": "there are no client connections (ray://): use raynb.shutdown()",
    "util.horovod": _LIBRARY,
    "util.iter": "use generators, or as_completed",
    "util.iter_metrics": "use raynb.util.metrics",
    "util.lightgbm": _LIBRARY,
    "util.rpdb": "a task at breakpoint() is reached by %raynb debug",
    "util.sgd": _LIBRARY,
    "util.spark": "raynb does not run on Spark",
    "util.tpu": _GPU,
    "util.tracing": "raynb.timeline() has when everything ran",
    "util.xgboost": _LIBRARY,
}
"""By Ray's name, without ``ray.``."""


DIFFERENCES: Final = {
    "runtime_env.RuntimeEnv": "Folders (`working_dir`, `py_modules`) may be given for a task or an actor too, "
    "not only for a job. Packages that a worker itself has loaded (numpy, pyarrow, pyzmq, msgspec, psutil, "
    "cloudpickle) can't be replaced by `pip`. An unknown field is an error. A failing hook is a "
    "`RuntimeEnvSetupError`, not a crash.",
    "exceptions.RayTaskError": "`args` of an error that is an instance of its cause are the cause's own.",
    "exceptions.DeadlockError": "Tasks that wait for one another in a circle fail with it within five seconds; in Ray "
    "they wait for ever.",
    "init": "Starts no dashboard and opens no port. Options of Ray's that say where those are have no effect.",
    "remote": "What is tried again is tried at once; Ray waits a second or so. An actor that waits in `get` lends its "
    "CPU, as a task does. An actor that asks for no CPU needs none to be placed.",
    "timeline": "The events have categories of raynb's own: `task`, `actor`, `store` and others.",
    "util.placement_group.placement_group": "Groups are in `available_resources()` and `cluster_resources()` by what "
    "they have taken, not by names of their own. A group that an actor has made ends with the job.",
    "util.RayExecutor": "A `concurrent.futures.Executor`; Ray has none.",
    "util.multiprocessing.Pool": "`chunksize` below 1 is a ValueError. An initializer that is no function is refused "
    "at once. As in Ray, and unlike in the standard library, `imap` gives an error in the place of an item that "
    "failed.",
    "util.queue.Queue": "Empty and Full that come after a wait are not also a RayTaskError.",
}
"""What behaves otherwise than in Ray, by name."""


def refusal(name: str) -> str:
    """What is said of a name of Ray's that raynb has not; empty for one that nobody knows."""
    why = REFUSED.get(name)
    return "" if why is None else f"raynb has no ray.{name}: {why} (docs/ray-compatibility.md)"


class RefusedModules:
    """A finder that says by name that a module is not there; asked last. (Not of `importlib.abc`: that loads long.)"""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, name = fullname.partition(".")
        if package != "raynb" or not (words := refusal(name)):
            return None
        # Under Ray's name: `from raynb import serve` swallows the error of a module of just that name.
        raise ModuleNotFoundError(words, name=f"ray.{name}")


def install() -> None:
    """Idempotent."""
    if not any(isinstance(finder, RefusedModules) for finder in sys.meta_path):
        sys.meta_path.append(RefusedModules())
