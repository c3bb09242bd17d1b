"""The template that workers are forked from: ``... forkserver MAIN PARENT_PID SESSION``.

It imports once what every worker needs, and then forks a worker for each order that it reads from
its standard input. A fork is only sound in a process of one thread, so the template keeps to these
rules:

* It starts no thread and never makes a ZeroMQ context. BLAS libraries are held to one thread, which is no pool; a
  worker sets its own number.
* Its memory is frozen out of the garbage collector, so that a worker's first collection doesn't
  copy all of it.
* A worker is forked *twice*: the process in between ends at once, and so the node manager, as the
  nearest subreaper, becomes the worker's parent. The worker dies with the node manager (not with
  the template, which may be killed and replaced while its workers go on), and the node manager
  learns its exit status from the kernel.
* Each worker leads a session of its own, so that what its tasks start ends with it; has log files
  for its output; starts with default signal handlers; and reseeds what the template had seeded,
  else a Monte Carlo would be wrong.

``MAIN`` is ``module:function``, called in each worker with its `WorkerSettings`; it never returns.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from raynb.runtime.adapters.processes import Process, die_with_parent
from raynb.runtime.adapters.spawn_channel import Forked, OrderSource
from raynb.runtime.adapters.title import set_title
from raynb.runtime.messages.node import WorkerSettings
from raynb.runtime.worker.numeric_threads import VARIABLES

OOM_SCORE: Final = 500
MANAGER_VARIABLE: Final = "RAY_RAYLET_PID"
"""Tells programs the pid of their node manager, under Ray's name."""
IDLE_S: Final = 0.5
"""Without an order for so long, the template has leisure."""
_HANDOVER_PATIENCE_S: Final = 10.0


def main() -> None:
    """Serve until the node manager is gone; in a forked worker, run it."""
    main_name, parent, session = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    set_title(f"raynb forkserver {session}")
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()  # no holes in the heap: what is freed now would be written to in every worker
    os.environ.update(dict.fromkeys(VARIABLES, "1"))  # the template must not have threads: what it loads starts none
    os.environ[MANAGER_VARIABLE] = str(parent)
    worker_main = load(main_name)
    gc.freeze()
    settings = serve(OrderSource(socket.socket(fileno=0)), manager=parent)
    if settings is not None:
        run_worker(worker_main, settings)


def load(name: str) -> Callable[[WorkerSettings], Any]:
    """Import ``module:function``, and with it all that a worker needs."""
    module, _, attribute = name.partition(":")
    function: Callable[[WorkerSettings], Any] = getattr(importlib.import_module(module), attribute)
    return function


def serve(orders: OrderSource, manager: int) -> WorkerSettings | None:
    """Fork on order. Returns None in the template (the node manager is gone), and its settings in each worker."""
    if not orders.wait(IDLE_S):
        load_at_leisure()
    while (settings := orders.next()) is not None:
        try:
            pid = fork_twice()
        except OSError as error:
            orders.report(Forked(settings.token, 0, f"could not fork a worker: {error}"))
            continue
        if pid == 0:
            orders.detach()
            become_worker(settings, manager)
            return settings
        orders.report(Forked(settings.token, pid))
        if not orders.wait(IDLE_S):
            load_at_leisure()
    return None


def load_at_leisure() -> None:
    """Import what most tasks use. Not at the start, since the first workers would wait for it; it comes with the later
    ones for nothing.
    """
    if "numpy" in sys.modules:
        return
    with suppress(Exception):  # whatever is wrong with it, a task that uses it will say so
        importlib.import_module("numpy")
        gc.freeze()


def fork_twice() -> int:
    """Fork a grandchild whose parent has ended. Its pid; 0 in the grandchild.

    Raises
    ------
    OSError
        The system has no room for another process.
    """
    source, sink = os.pipe()
    between = os.fork()
    if between == 0:
        os.close(source)
        own_pid = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            os.write(sink, f"{error}".encode())
            os._exit(1)
        if pid == 0:
            os.close(sink)
            await_handover(own_pid)
            return 0
        os.write(sink, b"%d" % pid)
        os._exit(0)
    os.close(sink)
    try:
        # Also when the grandchild dies at once: it has been handed over before its pid is reported.
        _, status = os.waitpid(between, 0)
        answer = os.read(source, 4096)
    finally:
        os.close(source)
    if status != 0 or not answer:
        raise OSError(answer.decode(errors="replace") or "the process in between was killed")
    return int(answer)


def await_handover(between: int) -> None:
    """Wait until the process in between has ended. Whoever is the parent then is the node manager, or that is dead."""
    if os.getppid() != between:
        return
    with suppress(ProcessLookupError):  # it may have ended just now
        process = Process(between, is_child=False)
        process.wait(_HANDOVER_PATIENCE_S)
        process.close()


def become_worker(settings: WorkerSettings, manager: int) -> None:
    """Turn a fresh copy of the template into a process of its own."""
    os.setsid()
    set_title(f"raynb worker {settings.token} {Path(settings.session_dir).name}")
    die_with_parent(manager)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    out, err = (os.open(path, flags, 0o600) for path in settings.logs)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (out, 1), (err, 2)):
        os.dup2(source, target)
    os.closerange(3, 65536)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # The random module reseeds itself after a fork; numpy's global generator does not.
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()
    with suppress(OSError):
        # Where memory runs out, rather a task than the node's daemons or the user's notebook.
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))
    gc.enable()


def run_worker(worker_main: Callable[[WorkerSettings], Any], settings: WorkerSettings) -> None:
    """Run it; whatever it raises goes to its log, and the process ends without the template's exit
    handlers.
    """
    code = 1
    try:
        worker_main(settings)
        code = 0
    except SystemExit as exit_request:
        code = exit_request.code if isinstance(exit_request.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
