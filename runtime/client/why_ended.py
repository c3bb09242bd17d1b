"""What became of a task that has an outcome: finished, failed (and whose fault that is), cancelled, lost."""

from __future__ import annotations

import time
from typing import Any, Protocol

from raynb.runtime.client.why import Step, span
from raynb.runtime.messages.ids import PUT_INDEX_BASE, index_of, task_of
from raynb.runtime.messages.why import Settled

CHAIN_MAX = 50

_FIXES = {
    "RayTaskError": "ray.get() raises it, with its traceback.",
    "WorkerCrashedError": "Its worker's log may say more: %raynb logs.",
    "ActorDiedError": "Create the actor again; max_restarts lets it come back by itself.",
    "ActorUnavailableError": "max_task_retries sends such calls again.",
    "OutOfMemoryError": "Let fewer run at once, or each work in smaller pieces.",
    "OwnerDiedError": "Submit the task that made it again.",
    "ObjectLostError": "Submit the task that made it again.",
    "TaskCancelledError": "Submit it again to have its value.",
    "LocalRayletDiedError": "Call shutdown() and init() to start again.",
}
_KINDS = {
    "ActorDiedError": "actor dead",
    "OwnerDiedError": "lost",
    "ObjectLostError": "lost",
    "ReferenceCountingAssertionError": "lost",
}
_NODE_GONE = {"LocalRayletDiedError", "NodeDiedError"}


class Tables(Protocol):
    """Where it is looked up."""

    def rows(self, table: str, **how: Any) -> list[dict[str, Any]]: ...


def of_settled(tables: Tables, oid: bytes, found: Settled) -> list[Step]:
    """The chain from an object whose outcome is known to what made it so."""
    if index_of(oid) >= PUT_INDEX_BASE:
        subject = f"the {found.note or 'value'} that was put"
        if found.state != "FAILED":
            return [Step("finished", subject, "is there", "ray.get() returns at once.")]
        return [_failed(subject, None, found)]
    row = _row(tables, oid)
    subject = row["name"] if row is not None else "the task"
    if found.state != "FAILED":
        return [Step("finished", subject, f"finished{_when(row)}", "Its value is there: ray.get() returns at once.")]
    steps: list[Step] = []
    seen = {task_of(oid)}
    while row is not None and len(steps) < CHAIN_MAX:
        culprit = next((each for each in _inputs(tables, row, seen) if each["state"] == "FAILED"), None)
        if culprit is None:
            break
        steps.append(Step("failed", row["name"], "did not run, for it needs the value of"))
        row = culprit
    return [*steps, _failed(row["name"] if row is not None else subject, row, found)]


def of_gone(tables: Tables, oid: bytes) -> list[Step]:
    """Its owner does not have it any more."""
    row = _row(tables, oid)
    fix = "Submit what made it again, and keep the reference."
    if row is None or row["state"] not in {"FINISHED", "FAILED"}:
        why = "is not known to its owner any more: nobody held a reference to it"
        return [Step("lost", f"object {oid.hex()}" if row is None else row["name"], why, fix)]
    how = "finished" if row["state"] == "FINISHED" else "failed"
    words = f"{how}{_when(row)}, and its value was let go, for nobody held a reference to it"
    return [Step(how, row["name"], words, fix)]


def _failed(subject: str, row: dict[str, Any] | None, found: Settled) -> Step:
    """The root: its failure is that of all that depend on it."""
    fix = _FIXES.get(found.kind, "")
    if found.kind == "TaskCancelledError":
        ran = row is not None and row["start_time_ms"]
        how = "while it ran" if ran or "while it ran" in found.message else "before it started"
        return Step("cancelled", subject, f"was cancelled {how}, {_ago(row)}".removesuffix(", "), fix)
    if found.kind in _NODE_GONE:
        if "init()" in found.message:  # it was this process's own
            fix = _FIXES["LocalRayletDiedError"]
        return Step("node", subject, f"is lost with its node: {_first_line(found.message).rstrip('.')}", fix)
    what = _exception(found.message) if found.kind == "RayTaskError" else _first_line(found.message).rstrip(".")
    return Step(_KINDS.get(found.kind, "failed"), subject, f"failed{_when(row)}: {what}", fix)


def _row(tables: Tables, oid: bytes) -> dict[str, Any] | None:
    """The newest attempt of the task that made an object."""
    rows = tables.rows("tasks", id=task_of(oid).hex())
    return rows[-1] if rows else None


def _inputs(tables: Tables, row: dict[str, Any], seen: set[bytes]) -> list[dict[str, Any]]:
    """The tasks that made a task's inputs, as far as they are known and were not looked at before."""
    found: list[dict[str, Any]] = []
    for text in row["dependencies"]:
        oid = bytes.fromhex(text)
        if task_of(oid) in seen:
            continue
        seen.add(task_of(oid))
        made_by = _row(tables, oid)
        if made_by is not None:
            found.append(made_by)
            if made_by["state"] == "FAILED":
                break
    return found


def _when(row: dict[str, Any] | None) -> str:
    """When it ended, how long it ran, and where."""
    if row is None:
        return ""
    ran = ""
    if row["start_time_ms"] and row["end_time_ms"]:
        ran = f"after {span(max(0, row['end_time_ms'] - row['start_time_ms']) / 1000)}"
    pid = f" (pid {row['worker_pid']})" if row["worker_pid"] else ""
    attempt = f", attempt {row['attempt_number'] + 1}" if row["attempt_number"] else ""
    return f" {', '.join(filter(None, (ran, _ago(row))))}{pid}{attempt}".rstrip()


def _ago(row: dict[str, Any] | None) -> str:
    if row is None or not row["end_time_ms"]:
        return ""
    return f"{span(max(0.0, time.time() - row['end_time_ms'] / 1000))} ago"


def _first_line(message: str) -> str:
    return message.strip().splitlines()[0] if message.strip() else "no reason is known"


def _exception(traceback: str) -> str:
    """The line that says what was raised: the first behind the last frame."""
    lines = traceback.strip().splitlines()
    frames = [at for at, line in enumerate(lines) if line.startswith("  ")]
    at = frames[-1] + 1 if frames and frames[-1] + 1 < len(lines) else len(lines) - 1
    return lines[at].strip() if lines else "no reason is known"
