"""A worker process: joins its node, and runs tasks (or becomes an actor) until it is told to leave.

Two threads: the main one runs user code, so that signals and libraries that want the main thread work; the I/O thread
talks.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from typing import NoReturn

import msgspec

from raynb.runtime.adapters.ray_alias import install_if_asked
from raynb.runtime.adapters.transport import Transport
from raynb.runtime.adapters.worker_page import WorkerPage
from raynb.runtime.client import refs
from raynb.runtime.client.client import Client
from raynb.runtime.client.execution import Execution
from raynb.runtime.client.join import join
from raynb.runtime.messages import Config
from raynb.runtime.messages.ids import JOB_ID_BYTES, TASK_ID_BYTES
from raynb.runtime.messages.node import LeaveNode, WorkerSettings
from raynb.runtime.messages.tasks import ContextDef
from raynb.runtime.worker import displays
from raynb.runtime.worker.exits import settle
from raynb.runtime.worker.output import OutputRouter, take_over
from raynb.runtime.worker.runner import Runner

NO_JOB = ContextDef(0, bytes(JOB_ID_BYTES), "", "")


def run(settings: WorkerSettings) -> NoReturn:
    """Be a worker; what the forkserver calls in each child. Never returns."""
    config = msgspec.msgpack.decode(settings.config, type=Config) if settings.config else Config()
    # Results wait for the interpreter lock while a task computes in Python: not for the default 5 ms.
    sys.setswitchinterval(0.001)
    page = WorkerPage.create(settings.page_path)
    transport = Transport(settings.address, config.message_limit_bytes)
    joined, early = join(
        transport, settings.node_manager, "worker", settings.token, timeout_s=config.worker_start_timeout_s
    )
    if joined.error:
        print(f"the node manager refused this worker: {joined.error}", file=sys.stderr)
        transport.close()
        os._exit(1)
    runner = Runner(config, page)
    client = Client(
        transport,
        joined,
        settings.node_manager,
        Execution(NO_JOB, bytes(TASK_ID_BYTES)),
        on_foreign=runner.on_message,
        on_blocked=runner.on_blocked,
        on_process_died=runner.on_process_died,
    )
    install_if_asked()
    output = OutputRouter(lambda driver, message: client.send(driver, message), page.begin_output)
    sys.stdout, sys.stderr = take_over(output, settings.logs)
    faulthandler.enable(file=2)
    displays.install(output)
    refs.set_current(client)
    runner.attach(client, output)
    for sender, message in early:
        runner.on_message(sender, message)
    client.host.on_failure = runner.on_failure
    client.host.start()
    try:
        runner.serve()
    finally:
        settle(runner)
        output.collect()
        client.stop(LeaveNode(why=runner.parting))
        page.close()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
