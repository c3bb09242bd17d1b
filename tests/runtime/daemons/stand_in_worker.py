"""A worker of a few lines, for tests of the node manager: it does what the names of pushed tasks say.

``hang``: never ends. ``exit``: exit code 3. ``child``: starts a process that sleeps. ``random``: answers with numbers
of Python's and numpy's global generators. ``where``: answers with its environment. All but the last two answer
nothing.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

from raynb.runtime.adapters.transport import Transport
from raynb.runtime.adapters.worker_page import WorkerPage
from raynb.runtime.client.join import join
from raynb.runtime.messages.gcs import ActorStarted
from raynb.runtime.messages.node import ExitWorker, LeaveNode, StartActor, WorkerSettings
from raynb.runtime.messages.tasks import PushTasks, Result, TasksDone, TaskSpec
from raynb.runtime.messages.values import Inline


def run(settings: WorkerSettings) -> None:
    """Be a worker until told to leave."""
    page = WorkerPage.create(settings.page_path)
    transport = Transport(settings.address)
    joined, early = join(transport, settings.node_manager, "worker", settings.token)
    if joined.error:
        sys.exit(f"refused: {joined.error}")
    print("stand-in worker", settings.token, "is here", flush=True)
    received = early
    while True:
        for sender, message in received:
            if isinstance(message, PushTasks):
                for spec in message.tasks:
                    page.mark(message.lease, spec.seq, spec.task_id, spec.attempt)
                    answer = obey(spec)
                    if answer is not None:
                        value = Inline(json.dumps(answer).encode())
                        transport.send(sender, TasksDone([Result(spec.seq, 0.0, 0.0, [value])]))
            elif isinstance(message, StartActor):
                started = ActorStarted(
                    message.actor_id, message.incarnation, settings.address, os.getpid(), joined.node_id
                )
                transport.send(joined.gcs, started)
            elif isinstance(message, ExitWorker):
                transport.send(settings.node_manager, LeaveNode())
                transport.close()
                page.close()
                return
        received = transport.receive(None)


def fail(settings: WorkerSettings) -> None:
    """Be a worker that breaks as soon as it has joined."""
    transport = Transport(settings.address)
    join(transport, settings.node_manager, "worker", settings.token)
    raise RuntimeError("a library does not load")


def obey(spec: TaskSpec) -> object:
    """What a task's name says."""
    match spec.name:
        case "hang":
            print("last words", flush=True)
            time.sleep(1000)
        case "exit":
            os._exit(3)
        case "child":
            return subprocess.Popen(["sleep", "1000"]).pid
        case "random":
            import numpy

            return [random.random(), float(numpy.random.random())]
        case "where":
            return {
                "pid": os.getpid(),
                "parent": os.getppid(),
                "session": os.getsid(0),
                "files": [os.readlink(f"/proc/self/fd/{fd}") for fd in (0, 1, 2)],
                "threads": os.environ.get("OMP_NUM_THREADS"),
                "python_threads": threading.active_count(),
                "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
                "numpy": "numpy" in sys.modules,
                "memory": os.stat(spec.args.decode()).st_mode if spec.args else 0,
            }
    return None
