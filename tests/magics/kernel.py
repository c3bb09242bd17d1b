"""A real kernel, and its messages as a front end reads them: by the request that they belong to."""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client.manager import start_new_kernel

PATIENCE_S = 30.0
POLL_S = 0.2
COLOUR = re.compile("\x1b\\[[0-9;]*m")


class Kernel:
    """A kernel with an empty notebook, in the folder ``cwd``.

    A `get` that lasts shows no progress unless ``progress`` is on: what a cell shows would depend on how busy the
    machine is.
    """

    def __init__(self, cwd: Path | None = None, *, progress: bool = False) -> None:
        place: dict[str, Any] = {} if cwd is None else {"cwd": str(cwd)}
        settings = [f"--RaynbMagics.progress={progress}"]
        manager, client = start_new_kernel(kernel_name="python3", extra_arguments=settings, **place)
        self.manager: Any = manager
        self.client: Any = client
        self.messages: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.prompts: list[str] = []
        """What the kernel has asked for and was not answered yet."""

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=False)

    def restart(self) -> None:
        """As the button does it: the process is another one afterwards."""
        self.manager.restart_kernel(now=False)
        self.client.wait_for_ready(timeout=PATIENCE_S)

    def send(self, cell: str, cell_id: str = "", *, stdin: bool = False) -> str:
        """Ask for a cell to be run; the id of the request. With ``stdin`` it may ask for input."""
        client = self.client
        content = {"code": cell, "silent": False, "store_history": True, "allow_stdin": stdin, "stop_on_error": True}
        message = client.session.msg("execute_request", content, metadata={"cellId": cell_id} if cell_id else {})
        client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def run(self, cell: str, cell_id: str = "") -> str:
        """Run a cell to its end; the id of the request."""
        request = self.send(cell, cell_id)
        self.wait_until(lambda: self.is_done(request))
        return request

    def converse(self, cell: str, answers: list[str]) -> str:
        """Run a cell to its end and answer what it asks; all answers must be asked for. The id of the request."""
        request = self.send(cell, stdin=True)
        for answer in answers:
            self.asked(request)
            self.answer(answer)
        self.wait_until(lambda: self.is_done(request) or self.prompts)
        assert not self.prompts, f"more is asked: {self.prompts}, after {self.printed(request)}"
        return request

    def asked(self, request: str) -> str:
        """Wait until a cell asks for input; its prompt."""
        self.wait_until(lambda: self.prompts or self.is_done(request))
        assert self.prompts, f"nothing is asked: {self.printed(request)} {self.errors(request)}"
        return self.prompts[0]

    def answer(self, text: str) -> None:
        """Type a line."""
        self.prompts.pop(0)
        self.client.input(text)

    def is_done(self, request: str) -> bool:
        return any(m["content"].get("execution_state") == "idle" for m in self.messages[request])

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Read messages until the condition holds."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, dict(self.messages)
            try:
                message = self.client.get_iopub_msg(timeout=POLL_S)
            except Empty:
                pass
            else:
                self.messages[message["parent_header"].get("msg_id", "")].append(message)
            self._read_prompts()

    def _read_prompts(self) -> None:
        while True:
            try:
                message = self.client.get_stdin_msg(timeout=0)
            except Empty:
                return
            self.prompts.append(message["content"]["prompt"])

    def of(self, request: str, *kinds: str) -> list[dict[str, Any]]:
        """The contents of a cell's messages of these kinds, in order."""
        return [m["content"] for m in self.messages[request] if m["msg_type"] in kinds]

    def printed(self, request: str) -> str:
        """What stands in a cell as printed, without colours."""
        return COLOUR.sub("", "".join(content["text"] for content in self.of(request, "stream")))

    def shown(self, request: str) -> list[str]:
        """The texts that a cell shows, updates applied."""
        texts: dict[str, str] = {}
        for content in self.of(request, "display_data", "update_display_data", "execute_result"):
            place = content.get("transient", {}).get("display_id") or f"({len(texts)})"
            texts[place] = content["data"]["text/plain"]
        return list(texts.values())

    def value(self, expression: str) -> Any:
        """The value of an expression in the kernel, by way of JSON."""
        request = self.run(f"import json as _json; print(_json.dumps({expression}))")
        assert not self.errors(request), self.errors(request)
        return json.loads(self.printed(request).splitlines()[-1])

    def errors(self, request: str) -> str:
        """The tracebacks in a cell."""
        return "\n".join("\n".join(content["traceback"]) for content in self.of(request, "error"))


@contextmanager
def notebook_kernel(*cells: str, cwd: Path | None = None, num_cpus: int = 2, config: str = "") -> Iterator[Kernel]:
    """A kernel with raynb loaded (as ``ray``) and a cluster of ``num_cpus``, in which ``cells`` have run; both end.

    Parameters
    ----------
    config
        More arguments of ``init``.
    """
    kernel = Kernel(cwd)
    try:
        start = f"%load_ext raynb\nimport os, time\nimport raynb as ray\nray.init(num_cpus={num_cpus}, {config});"
        for cell in (start, *cells):
            request = kernel.run(cell)
            assert not kernel.errors(request), kernel.errors(request)
        yield kernel
        kernel.run("ray.shutdown()")
    finally:
        kernel.close()
