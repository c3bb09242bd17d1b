"""At the debugger of a task that waits at a breakpoint, from a cell: its prompt is the cell's."""

from __future__ import annotations

from raynb.runtime.api.breakpoints import DebuggerLine, forget, waiting
from raynb.runtime.messages.tasks import TaskStopped


def attach(stopped: TaskStopped) -> None:
    """Take commands for a task's debugger until the task has ended.

    Raises
    ------
    KeyboardInterrupt
        The cell was interrupted: the task waits on.
    """
    print(f"{stopped.name} (pid {stopped.pid}): c goes on, q cancels the task, h helps.")
    unfinished = ""
    try:
        with DebuggerLine(stopped) as line:
            for message in line.messages():
                if "end" in message:
                    print(message["end"])
                    return
                if "say" in message:
                    lines, newline, unfinished = (unfinished + message["say"]).rpartition("\n")
                    print(lines, end=newline)
                if "ask" in message:
                    command, unfinished = input(unfinished), ""
                    line.send({"command": command})
        print(f"{stopped.name} (pid {stopped.pid}) is gone.")
    except OSError as error:
        forget(stopped)
        print(f"{stopped.name} (pid {stopped.pid}) can't be reached any more: {error}")


def attend() -> None:
    """While a cell waits for a task: be at the breakpoints of all that have stopped, one after the other."""
    while tasks := waiting():
        attach(tasks[0])
