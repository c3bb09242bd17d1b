"""The event hub's table of tasks: one compact row each, bounded, with exact totals.

Rules
-----
1. `TaskRows` are merged by task id: a later row of a task overwrites the earlier one. An attempt that a later one
   follows keeps a row of its own, as FAILED.
2. At most ``tasks_max`` rows. Room is made by dropping the row that has been finished longest; while nothing is
   finished, new tasks are not kept. What was dropped is the difference between the exact totals and the rows: nothing
   is guessed.
3. Rows of a dead client that are not finished never will be: they fail, with the reason.
4. Texts (errors, lists of dependencies) are bounded together by `TEXT_BYTES_MAX`; what doesn't fit is left out and
   says so.

Columns are arrays: some 230 bytes for each task, its id's place in the index included. Times are wall-clock seconds, 0
where something has not happened; they are for display alone.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator, Sized
from typing import Final

from raynb.runtime.core.event_flows import EventFlows
from raynb.runtime.core.event_names import NO_WORKER, Client, EventNames
from raynb.runtime.messages.events import FAILED, FINISHED, TASK_STATES, TaskRows
from raynb.runtime.messages.ids import TASK_ID_BYTES

TEXT_BYTES_MAX: Final = 64 * 1024 * 1024
ERROR_CHARS_MAX: Final = 4000
DEPENDENCY_BYTES_MAX: Final = 28 * 100


class MalformedRows(ValueError):
    """The columns don't fit together."""


class EventTable:
    """Tasks, as far as they are kept.

    Parameters
    ----------
    tasks_max : int
        Rows.
    """

    def __init__(self, tasks_max: int) -> None:
        self.tasks_max = tasks_max
        self.names = EventNames()
        self.flows = EventFlows(self.names)
        self.changes = 0
        """Grows whenever anything here changes."""
        self.index: dict[bytes, int] = {}
        self.ids: list[bytes] = []
        self.parents: list[bytes] = []
        self.state = bytearray()
        self.attempt = bytearray()
        self.name = array("i")
        self.worker = array("i")
        self.submitted = array("d")
        self.ready = array("d")
        self.pushed = array("d")
        self.started = array("d")
        self.ended = array("d")
        self.size = array("q")
        self.errors: dict[int, tuple[str, str]] = {}
        self.dependencies: dict[int, bytes] = {}
        self._over: deque[int] = deque()
        """Rows in a terminal state, the longest finished first."""
        self._free: list[int] = []
        self._text_bytes = 0

    def __repr__(self) -> str:
        return f"<EventTable {len(self)} rows, {self.dropped} dropped>"

    def __len__(self) -> int:
        return len(self.ids) - len(self._free)

    @property
    def dropped(self) -> int:
        """Tasks that were submitted and are not in the table."""
        return max(0, self.names.submitted - len(self.index))

    # -- rows come

    def ingest(self, sender: str, rows: TaskRows) -> bool:
        """Take in what a client sends.

        Returns
        -------
        bool
            Whether it used numbers that have no definition here, and should send those again.

        Raises
        ------
        MalformedRows
            Nothing was taken in.
        """
        _check_lengths(rows)
        self.changes += 1
        client = self.names.client(sender)
        client.dropped = rows.dropped
        self.names.define(sender, client, rows.new_names, rows.new_workers)
        self.names.set_totals(sender, client, rows.totals)
        defined = self._merge(sender, client, rows)
        self._attach_texts(rows)
        return not defined or self.names.nameless(client)

    def _merge(self, sender: str, client: Client, rows: TaskRows) -> bool:
        """The hot loop. False if a worker's number was not known."""
        positions = {n: self.names.position(sender, client, n) for n in set(rows.names)}
        counts = {p: self.names.name(p).states for p in positions.values()}
        workers = {n: client.workers.get(n, NO_WORKER) for n in set(rows.workers)}
        ids, index, over = rows.ids, self.index, self._over
        born: list[tuple[int, bytes]] = []
        spent = dict.fromkeys(counts, 0.0)
        timed = dict.fromkeys(counts, 0)
        states, attempts, names, at = self.state, self.attempt, self.name, 0
        columns = zip(
            rows.states,
            rows.attempts,
            map(positions.__getitem__, rows.names),
            map(workers.__getitem__, rows.workers),
            rows.submitted,
            rows.ready,
            rows.pushed,
            rows.started,
            rows.ended,
            rows.sizes,
            _parents(rows),
            strict=True,
        )
        for state, tries, name, worker, submitted, ready, pushed, started, ended, size, up in columns:
            task_id = ids[at : at + TASK_ID_BYTES]
            at += TASK_ID_BYTES
            slot = index.get(task_id)
            if slot is not None and tries != attempts[slot]:
                if tries < attempts[slot]:
                    continue  # late news of an earlier attempt
                self._retire(slot)
                slot = None
            if slot is None:
                slot = self._take_slot(task_id)
                if slot < 0:
                    continue
                if up and not tries:
                    born.append((name, up))
                states[slot], attempts[slot], names[slot] = state, tries, name
                self.parents[slot] = up
                counts[name][state] += 1
                if state >= FINISHED:
                    over.append(slot)
                    if started:
                        spent[name] += ended - started
                        timed[name] += 1
            elif (before := states[slot]) != state:
                if before >= FINISHED:
                    continue
                states[slot] = state
                held = counts.get(names[slot])
                held = held if held is not None else self.names.name(names[slot]).states
                held[before] -= 1
                held[state] += 1
                if state >= FINISHED:
                    over.append(slot)
                    if started:
                        spent[name] += ended - started
                        timed[name] += 1
            self.worker[slot] = worker
            self.submitted[slot], self.ready[slot], self.pushed[slot] = submitted, ready, pushed
            self.started[slot], self.ended[slot], self.size[slot] = started, ended, size
        for position, seconds in spent.items():
            counted = self.names.name(position)
            counted.spent_s += seconds
            counted.timed += timed[position]
        self.flows.born(born, index, names)
        return all(n < 0 or n in client.workers for n in workers)

    def _take_slot(self, task_id: bytes) -> int:
        """A row for a new task; -1 if there is no room."""
        if self._free:
            slot = self._free.pop()
            self.ids[slot] = task_id
        elif len(self.ids) < self.tasks_max:
            slot = len(self.ids)
            self._append(task_id)
        elif self._over:
            self._drop(self._over.popleft())
            slot = self._free.pop()
            self.ids[slot] = task_id
        else:
            return -1
        self.index[task_id] = slot
        return slot

    def _append(self, task_id: bytes) -> None:
        self.ids.append(task_id)
        self.parents.append(b"")
        self.state.append(0)
        self.attempt.append(0)
        for numbers in (self.name, self.worker, self.size):
            numbers.append(0)
        for times in (self.submitted, self.ready, self.pushed, self.started, self.ended):
            times.append(0.0)

    def _drop(self, slot: int) -> None:
        """Empty a row that is over."""
        task_id = self.ids[slot]
        if self.index.get(task_id) == slot:
            del self.index[task_id]
        name = self.names.name(self.name[slot])
        name.states[self.state[slot]] -= 1
        if name.gone and not name.rows:
            self.names.sweep()
        error = self.errors.pop(slot, None)
        if error is not None:
            self._text_bytes -= len(error[1])
        self._text_bytes -= len(self.dependencies.pop(slot, b""))
        self.ids[slot] = self.parents[slot] = b""
        self._free.append(slot)

    def _retire(self, slot: int) -> None:
        """A later attempt has begun: this one has failed, if nothing else is known."""
        if self.state[slot] < FINISHED:
            self._fail(slot)
        del self.index[self.ids[slot]]

    def _fail(self, slot: int) -> None:
        states = self.names.name(self.name[slot]).states
        states[self.state[slot]] -= 1
        states[FAILED] += 1
        self.state[slot] = FAILED
        self._over.append(slot)

    # -- texts

    def _attach_texts(self, rows: TaskRows) -> None:
        ids = rows.ids
        flows: list[tuple[int, bytes]] = []
        for row, kind, message in rows.errors:
            slot = self.index.get(ids[row * TASK_ID_BYTES : (row + 1) * TASK_ID_BYTES])
            if slot is not None:
                self._set_error(slot, kind, message)
        for row, oids in rows.dependencies:
            slot = self.index.get(ids[row * TASK_ID_BYTES : (row + 1) * TASK_ID_BYTES])
            if slot is not None and slot not in self.dependencies:
                kept = oids[:DEPENDENCY_BYTES_MAX]
                if not self.attempt[slot]:
                    flows.append((self.name[slot], kept))
                if self._text_bytes + len(kept) > TEXT_BYTES_MAX:
                    kept = b""
                self.dependencies[slot] = kept
                self._text_bytes += len(kept)
        self.flows.fed(flows, self.index, self.name)

    def _set_error(self, slot: int, kind: str, message: str) -> None:
        text = message[:ERROR_CHARS_MAX]
        before = self.errors.get(slot)
        self._text_bytes -= len(before[1]) if before else 0
        if self._text_bytes + len(text) > TEXT_BYTES_MAX:
            text = ""  # the kind says something still
        self._text_bytes += len(text)
        self.errors[slot] = (kind, text)

    # -- deaths

    def client_died(self, sender: str, reason: str, wall: float) -> None:
        """What it had not finished has failed.

        Parameters
        ----------
        wall
            When, in wall-clock seconds.
        """
        self.changes += 1
        unfinished = set(self.names.client_died(sender))
        if unfinished:
            text = f"the process that submitted this task has ended: {reason}"
            for slot in self.slots():
                if self.name[slot] in unfinished and self.state[slot] < FINISHED:
                    self._fail(slot)
                    self.ended[slot] = wall
                    self._set_error(slot, "OwnerDiedError", text)
        self.names.sweep()

    # -- questions

    def slots(self) -> Iterator[int]:
        """Numbers of all rows."""
        return (slot for slot, task_id in enumerate(self.ids) if task_id)

    def statistics(self) -> dict[str, int]:
        """Counts for tests and widgets."""
        return {
            "rows": len(self),
            "tasks": len(self.index),
            "over": len(self._over),
            "dropped": self.dropped,
            "dropped_by_clients": self.names.dropped_by_gone
            + sum(client.dropped for client in self.names.clients.values()),
            "names": sum(1 for _ in self.names.living()),
            "clients": len(self.names.clients),
            "text_bytes": self._text_bytes,
        }

    def check(self) -> None:
        """The invariants."""
        self.names.check()
        assert len(self.ids) <= self.tasks_max
        over = {slot for slot in self.slots() if self.state[slot] >= FINISHED}
        assert sorted(self._over) == sorted(over), "each terminal row is queued once for dropping"
        for task_id, slot in self.index.items():
            assert self.ids[slot] == task_id
        counts: dict[int, list[int]] = {}
        for slot in self.slots():
            counts.setdefault(self.name[slot], [0] * len(TASK_STATES))[self.state[slot]] += 1
        for position, name in enumerate(self.names.names):
            if name is not None:
                assert name.states == counts.get(position, [0] * len(TASK_STATES)), name
        texts = sum(len(text) for _, text in self.errors.values())
        assert self._text_bytes == texts + sum(map(len, self.dependencies.values()))
        assert not (self.errors.keys() | self.dependencies.keys()) & set(self._free)


def _check_lengths(rows: TaskRows) -> None:
    count = len(rows.states)
    columns: list[Sized] = [rows.attempts, rows.names, rows.workers, rows.submitted, rows.ready]
    columns += [rows.pushed, rows.started, rows.ended, rows.sizes]
    if any(len(column) != count for column in columns) or len(rows.ids) != count * TASK_ID_BYTES:
        raise MalformedRows("columns of different lengths")
    if rows.parents and len(rows.parents) != count * TASK_ID_BYTES:
        raise MalformedRows("as many parents as tasks, or none")
    if count and max(rows.states) >= len(TASK_STATES):
        raise MalformedRows("a state that does not exist")
    if any(not 0 <= row < count for row, _, _ in rows.errors):
        raise MalformedRows("an error of a row that is not there")
    if any(not 0 <= row < count for row, _ in rows.dependencies):
        raise MalformedRows("dependencies of a row that is not there")


def _parents(rows: TaskRows) -> Iterator[bytes]:
    """The parent of each row; equal neighbours share one object."""
    last = rows.parent
    if not rows.parents:
        for _ in rows.states:
            yield last
        return
    for at in range(0, len(rows.parents), TASK_ID_BYTES):
        parent = rows.parents[at : at + TASK_ID_BYTES]
        if parent != last:
            last = parent
        yield last
