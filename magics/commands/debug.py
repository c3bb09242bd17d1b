"""`%raynb debug`: run a failed task again, here, with the inputs that it had, and stop where it fails."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from reprlib import Repr
from types import TracebackType
from typing import Any, ClassVar

from raynb.magics.arguments import Options, option, whole
from raynb.magics.attach import attach
from raynb.magics.connected import need_cluster
from raynb.magics.errors import OptionError
from raynb.magics.session import Session
from raynb.magics.targets import resolve
from raynb.magics.task import Luggage, ShippedCell
from raynb.runtime.api import failures
from raynb.runtime.api.breakpoints import waiting
from raynb.runtime.api.failures import Failure, InputGone
from raynb.runtime.messages.tasks import TaskStopped

INPUTS_SHOWN = 20


@dataclass(frozen=True)
class DebugOptions(Options):
    """Run a failed task again, here, with its real inputs, under the debugger; or attach to one at a breakpoint().

    A task that calls breakpoint() waits there until somebody attaches, or it is cancelled. Where one does, it is
    attached to; interrupting the cell leaves it where it is. Otherwise REF is a reference that failed; without it the
    last failed task is meant. Arrays among the inputs are read-only, as they were in the task. A method of an actor
    can't be run again: its traceback and its arguments are shown.
    """

    usage: ClassVar[str] = "%raynb debug [options] [REF]"

    ref: str | None = field(
        default=None,
        metadata=option("a failed reference (the last failed task)", metavar="REF", of="argument", complete="ref"),
    )
    attach: int | None = field(
        default=None,
        metadata=option("attach to the task at a breakpoint in this process", metavar="PID", read=whole),
    )
    args: bool = field(
        default=False,
        metadata=option("run nothing: bind the inputs to `args` and `kwargs`"),
    )


def debug(options: DebugOptions, session: Session) -> None:
    """Do what `%raynb debug` is asked for.

    Raises
    ------
    OptionError
        There is no such failure, or its inputs can't be had any more.
    """
    __tracebackhide__ = True
    stopped = _stopped(options)
    if stopped is not None:
        _attach(stopped, session)
        return
    failure = _failure(options.ref, session)
    try:
        args, kwargs = failure.arguments()
    except InputGone as error:
        how = session.readable(failure.traceback)
        raise OptionError(f"{failure.name} can't be run again. {error}\nIt failed so:\n{how}") from None
    inputs = Inputs(args, kwargs)
    if options.args:
        session.bind({"args": inputs.args, "kwargs": inputs.kwargs})
        print(f"The inputs of {failure.name} are in `args` and `kwargs`:\n{inputs}")
        return
    if failure.is_actor_call:
        print(
            f"{failure.name} is a method of an actor. The state that it works on is in the actor, so that it can't be "
            f"run again here. It failed so:\n\n{session.readable(failure.traceback)}\n"
        )
        print(f"Its arguments, which --args binds to names:\n{inputs}")
        return
    rerun(failure, inputs, session)


def _stopped(options: DebugOptions) -> TaskStopped | None:
    """The task at a breakpoint that is meant, if any is."""
    if options.ref is not None or options.args:
        return None
    tasks = waiting()
    found = [task for task in tasks if options.attach in (None, task.pid)]
    listed = "\n".join(f"  --attach {task.pid}   {task.name}, line {task.line} of {task.file}" for task in tasks)
    if options.attach is not None and not found:
        others = f" These do:\n{listed}" if tasks else ""
        raise OptionError(f"no task waits at a breakpoint in process {options.attach}.{others}")
    if len(found) > 1:
        raise OptionError(f"{len(found)} tasks wait at a breakpoint. Which one?\n{listed}")
    return found[0] if found else None


def _attach(stopped: TaskStopped, session: Session) -> None:
    if not session.asks:
        raise OptionError("this front end can't ask for commands")
    try:
        attach(stopped)
    except KeyboardInterrupt:
        print(f"\nDetached. {stopped.name} (pid {stopped.pid}) waits on: %raynb debug attaches to it again.")


def _failure(text: str | None, session: Session) -> Failure:
    need_cluster()
    if text is None:
        failure = failures.recall()
        if failure is None:
            raise OptionError("no task of this notebook has failed so far")
        return failure
    target = resolve(text, session)
    if target.actor_id:
        raise OptionError(f"`{text}` is an actor, not a task: %raynb why {text} says what became of it")
    for oid, _ in target.objects:
        failure = failures.recall(oid)
        if failure is not None:
            return failure
    raise OptionError(
        f"`{text}` stands for no failed task that is kept: it has not failed, it was cancelled or lost its worker, "
        "or many others have failed since (ray.init(_system_config={'failures_kept': ...}))"
    )


class Inputs:
    """What a task was called with; of a cell, its inputs by their names."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.call = args, kwargs
        self.args, self.kwargs = args, kwargs
        if len(args) > 1 and isinstance(args[0], ShippedCell) and isinstance(args[1], Luggage):
            cell, luggage, *rest = args
            self.args, self.kwargs = (), dict(luggage.values)
            for name, length in cell.lengths.items():
                self.kwargs[name] = rest.pop(0) if length is None else [rest.pop(0) for _ in range(length)]

    def __str__(self) -> str:
        named = [(f"args[{index}]", value) for index, value in enumerate(self.args)]
        named += [(f"kwargs[{name!r}]", value) for name, value in self.kwargs.items()]
        lines = [f"  {name} = {_short(value)}" for name, value in named[:INPUTS_SHOWN]]
        if len(named) > INPUTS_SHOWN:
            lines.append(f"  and {len(named) - INPUTS_SHOWN} more")
        return "\n".join(lines) or "  (none)"


class _Repr(Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 120


def _short(value: object) -> str:
    """One line, whatever it is."""
    shape = getattr(value, "shape", None)
    try:
        text = _Repr().repr(value)
    except Exception as error:
        text = f"<{type(value).__name__}, whose repr fails: {error!r}>"
    text = " ".join(text.split())
    return f"{text}  ({type(value).__name__} {shape})" if isinstance(shape, tuple) else text


def rerun(failure: Failure, inputs: Inputs, session: Session) -> None:
    """Call what the task called; where that raises, open the debugger at the frame that did."""
    __tracebackhide__ = True
    function = failure.function()
    print(f"{failure.name} runs again, here.")
    try:
        value = _call(function, inputs)
    except (Exception, SystemExit) as error:
        frames = _users(error.__traceback__)
        if session.asks:
            print(f"{type(error).__name__}: {error}")
            session.post_mortem(frames)
            return
        print(session.readable("".join(traceback.format_exception(type(error), error, frames))))
        print(f"\nThis front end can't ask for commands. The inputs, which --args binds to names:\n{inputs}")
        return
    print(f"{failure.name} did not fail this time. What it gave:")
    sys.displayhook(_outputs(inputs, value))


def _call(function: Callable[..., Any], inputs: Inputs) -> Any:
    args, kwargs = inputs.call
    return function(*args, **kwargs)


def _outputs(inputs: Inputs, value: Any) -> Any:
    """Of a cell, its outputs by name."""
    cell = inputs.call[0][0] if inputs.call[0] else None
    if not isinstance(cell, ShippedCell):
        return value
    return dict(zip(cell.outputs, value, strict=False)) if cell.outputs else None


def _users(frames: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame on that isn't raynb's own; all of it where there is no other."""
    step = frames
    while step is not None and str(step.tb_frame.f_globals.get("__name__")).partition(".")[0] == "raynb":
        step = step.tb_next
    return step or frames
