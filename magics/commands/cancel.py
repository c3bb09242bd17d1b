"""`%raynb cancel`: tasks that are not wanted any more."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import ClassVar

from raynb.magics.amounts import count
from raynb.magics.arguments import Options, option, whole
from raynb.magics.connected import cell_number, has_value, need_cluster, tokens_of
from raynb.magics.errors import OptionError
from raynb.magics.session import Session
from raynb.magics.targets import resolve
from raynb.runtime.client.client import Client
from raynb.runtime.core.inbox import CancelCell, CancelObject
from raynb.runtime.core.task import Task


@dataclass(frozen=True)
class CancelOptions(Options):
    """Cancel the task of a reference, all of a cell, or all of this notebook.

    What has not started never will; what runs is interrupted. Actors live on: ray.kill() ends one.
    """

    usage: ClassVar[str] = "%raynb cancel [options] [REF]"

    ref: str | None = field(
        default=None,
        metadata=option("a reference, a list of them, or a task's id", metavar="REF", of="argument", complete="ref"),
    )
    cell: int | None = field(
        default=None,
        metadata=option("all that cell In[N] has submitted", metavar="N", read=whole, complete="cell"),
    )
    all: bool = field(
        default=False,
        metadata=option("all that this notebook has submitted"),
    )
    force: bool = field(
        default=False,
        metadata=option("with REF: end the process of a task that does not listen"),
    )


def cancel(options: CancelOptions, session: Session) -> None:
    """Cancel, and say what."""
    given = [options.ref is not None, options.cell is not None, options.all]
    if sum(given) != 1:
        raise OptionError("say what: a REF, --cell N or --all" + (" (one of them)" if sum(given) else ""))
    client = need_cluster()
    if options.ref is not None:
        _cancel_refs(client, options.ref, session, options.force)
        return
    if options.force:
        raise OptionError("--force is for a REF alone: it ends processes")
    unfinished = _unfinished(client)
    if options.cell is not None:
        tokens = set(tokens_of(client, options.cell))
        unfinished = [task for task in unfinished if task.context.cell in tokens]
    whose = "this notebook" if options.all else f"In[{options.cell}]"
    if not unfinished:
        print(f"No task of {whose} is unfinished.")
        return
    for token in dict.fromkeys(task.context.cell for task in unfinished):
        client.post(CancelCell(token))
    print(f"Cancelled {count(len(unfinished), 'task')} of {whose}: {_names(unfinished)}.")


def _cancel_refs(client: Client, text: str, session: Session, force: bool) -> None:
    target = resolve(text, session)
    if target.actor_id:
        raise OptionError(f"`{text}` is an actor, not a task: ray.kill({text}) ends it")
    waiting = [place for place in target.objects if not has_value(client, place[0])]
    if not waiting:
        what = "It has" if len(target.objects) == 1 else "All of them have"
        print(f"Nothing to cancel in `{text}`. {what} ended.")
        return
    for oid, owner in waiting:
        client.post(CancelObject(oid, owner, force, True))
    print(f"Cancelled {count(len(waiting), 'task')} of `{text}`.")


def _unfinished(client: Client) -> list[Task]:
    """This process's tasks without an outcome, less creations of actors."""
    return [task for task in list(client.machine.unfinished.values()) if task.creation is None]


def _names(tasks: list[Task]) -> str:
    names = Counter(task.name or task.function.name for task in tasks).most_common()
    shown = ", ".join(f"{number} x {name}" if number > 1 else name for name, number in names[:5])
    return shown + (f" and {len(names) - 5} more functions" if len(names) > 5 else "")


def cells_with_tasks(client: Client) -> list[int]:
    """Numbers of the cells that have unfinished tasks."""
    tokens = {task.context.cell for task in _unfinished(client)}
    return sorted({number for token in tokens if (number := cell_number(token)) is not None})
