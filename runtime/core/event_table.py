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
from collections.abc import Callable, Iterator, Sized
from itertools import compress, islice
from typing import Final

from raynb.runtime.core.event_flows import PAIR_BITS, EventFlows
from raynb.runtime.core.event_names import NO_WORKER, Client, EventNames, RowSums
from raynb.runtime.core.span_table import SpanTable
from raynb.runtime.messages.events import FAILED, FINISHED, TASK_STATES, TaskRows
from raynb.runtime.messages.ids import TASK_ID_BYTES

TEXT_BYTES_MAX: Final = 64 * 1024 * 1024
ERROR_CHARS_MAX: Final = 4000
DEPENDENCY_BYTES_MAX: Final = 28 * 100
GROWTH_ROWS: Final = 1024
NEW: Final = -1
"""In place of the state before."""


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
        self.spans = SpanTable()
        self.let_go = 0
        """Rows that were dropped: with the length of `over`, how many have ended ever."""
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
        placed: list[int] | None = [] if rows.errors or rows.dependencies else None
        defined = self._merge(sender, client, rows, placed)
        if placed is not None:
            self._attach_texts(rows, placed)
        return not defined or self.names.nameless(client)

    def _merge(self, sender: str, client: Client, rows: TaskRows, placed: list[int] | None) -> bool:
        """The hot loop. ``placed`` takes the slot of each row, -1 without. False if a worker's number was not known."""
        positions = {n: self.names.position(sender, client, n) for n in set(rows.names)}
        sums = {p: RowSums(self.names.name(p)) for p in positions.values()}
        workers = {n: client.workers.get(n, NO_WORKER) for n in set(rows.workers)}
        ids, index, over, at = rows.ids, self.index, self._over, 0
        states, attempts, names, parents = self.state, self.attempt, self.name, self.parents
        at_worker, submissions, readies, pushes = self.worker, self.submitted, self.ready, self.pushed
        starts, ends, sizes = self.started, self.ended, self.size
        links: dict[int, int] = {}
        orphans: list[tuple[int, bytes]] = []
        last_up, origin = b"", -1
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
            slot, before = index.get(task_id), NEW
            if slot is not None and tries > attempts[slot]:
                self._retire(slot)
                slot = None
            if slot is None:
                slot = self._take_slot(task_id)
                if slot >= 0:
                    states[slot], attempts[slot], names[slot], parents[slot] = state, tries, name, up
                    sums[name].states[state] += 1
                    if up and not tries:
                        if up is not last_up:
                            last_up, parent = up, index.get(up)
                            origin = -1 if parent is None else names[parent]
                        if origin < 0:
                            orphans.append((name, up))
                        else:
                            pair = origin << PAIR_BITS | name
                            links[pair] = links.get(pair, 0) + 1
            elif tries < attempts[slot] or ((before := states[slot]) >= FINISHED and before != state):
                slot = -1  # late news
            elif before != state:
                states[slot] = state
                held = self.names.name(names[slot]).states
                held[before] -= 1
                held[state] += 1
            if placed is not None:
                placed.append(slot)
            if slot < 0:
                continue
            at_worker[slot], sizes[slot] = worker, size
            submissions[slot], readies[slot], pushes[slot] = submitted, ready, pushed
            starts[slot], ends[slot] = started, ended
            if state >= FINISHED and before != state:
                over.append(slot)
                sums[name].add(started, ended)
        for total in sums.values():
            total.store(rows)
        self.flows.born(links, orphans, index, names)
        return all(n < 0 or n in client.workers for n in workers)

    def _take_slot(self, task_id: bytes) -> int:
        """A row for a new task; -1 if there is no room."""
        if not self._free:
            if len(self.ids) < self.tasks_max:
                self._grow(min(GROWTH_ROWS, self.tasks_max - len(self.ids)))
            elif self._over:
                self.let_go += 1
                self._drop(self._over.popleft())
            else:
                return -1
        slot = self._free.pop()
        self.ids[slot] = task_id
        self.index[task_id] = slot
        return slot

    def _grow(self, count: int) -> None:
        """More empty rows: many at once, for each column costs a call."""
        first = len(self.ids)
        self.ids += [b""] * count
        self.parents += [b""] * count
        self.state += bytes(count)
        self.attempt += bytes(count)
        for numbers in (self.name, self.worker, self.size):
            numbers.frombytes(bytes(count * numbers.itemsize))
        for times in (self.submitted, self.ready, self.pushed, self.started, self.ended):
            times.frombytes(bytes(count * times.itemsize))
        self._free += range(first + count - 1, first - 1, -1)

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

    def _attach_texts(self, rows: TaskRows, placed: list[int]) -> None:
        """``placed``: the slots of the rows; what has been dropped again meanwhile is another's by now."""
        if self._full:
            ids = [rows.ids[at : at + TASK_ID_BYTES] for at in range(0, len(rows.ids), TASK_ID_BYTES)]
            placed = [s if s >= 0 and self.ids[s] == i else -1 for s, i in zip(placed, ids, strict=True)]
        for row, kind, message in rows.errors:
            if placed[row] >= 0:
                self._set_error(placed[row], kind, message)
        flows: list[tuple[int, bytes]] = []
        known, room = self.dependencies, TEXT_BYTES_MAX
        for row, oids in rows.dependencies:
            slot = placed[row]
            if slot >= 0 and slot not in known:
                kept = oids if len(oids) <= DEPENDENCY_BYTES_MAX else oids[:DEPENDENCY_BYTES_MAX]
                if not self.attempt[slot]:
                    flows.append((self.name[slot], kept))
                if self._text_bytes + len(kept) > room:
                    kept = b""
                known[slot] = kept
                self._text_bytes += len(kept)
        self.flows.fed(flows, self.index, self.name)

    @property
    def _full(self) -> bool:
        return len(self.ids) >= self.tasks_max and not self._free

    def _set_error(self, slot: int, kind: str, message: str) -> None:
        text = message[:ERROR_CHARS_MAX]
        before = self.errors.get(slot)
        self._text_bytes -= len(before[1]) if before else 0
        if self._text_bytes + len(text) > TEXT_BYTES_MAX:
            text = ""  # the kind says something still
        self._text_bytes += len(text)
        self.errors[slot] = (kind, text)

    # -- deaths

    def client_died(
        self, sender: str, reason: str, wall: float, job_ended: Callable[[bytes], bool] = lambda job: False
    ) -> None:
        """What it had not finished has failed.

        Parameters
        ----------
        wall
            When, in wall-clock seconds.
        job_ended
            Whether its driver is gone, so that it is for that reason.
        """
        self.changes += 1
        unfinished = set(self.names.client_died(sender))
        if unfinished:
            text = f"the process that submitted this task has ended: {reason}"
            for slot in self.slots():
                if self.name[slot] in unfinished and self.state[slot] < FINISHED:
                    self._fail(slot)
                    self.ended[slot] = wall
                    definition = self.names.name(self.name[slot]).definition
                    if definition is not None and job_ended(definition.job):
                        job = definition.job.hex()
                        over = f"Job finishes (jobid={job}) as driver exits, and its tasks with it: {reason}"
                        self._set_error(slot, "WorkerCrashedError", over)
                    else:
                        self._set_error(slot, "OwnerDiedError", text)
        self.names.sweep()

    # -- questions

    @property
    def ended_ever(self) -> int:
        """Rows that have come into a terminal state."""
        return self.let_go + len(self._over)

    @property
    def ended_kept(self) -> int:
        """How many of those are here still."""
        return len(self._over)

    def ended_last(self, count: int) -> Iterator[int]:
        """Numbers of the rows that ended last, the last first; fewer, where they are gone."""
        return islice(reversed(self._over), count)

    def slots(self) -> Iterator[int]:
        """Numbers of all rows."""
        return compress(range(len(self.ids)), self.ids)

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
        used = list(self.slots())
        assert len(used) == len(self), "a row that is free has an id, or one that is not has none"
        over = [slot for slot in used if self.state[slot] >= FINISHED]
        assert sorted(self._over) == over, "each terminal row is queued once for dropping"
        for task_id, slot in self.index.items():
            assert self.ids[slot] == task_id
        counts: dict[int, list[int]] = {}
        for slot in used:
            counts.setdefault(self.name[slot], [0] * len(TASK_STATES))[self.state[slot]] += 1
        none = [0] * len(TASK_STATES)
        for position, name in enumerate(self.names.names):
            if name is not None:
                assert name.states == counts.get(position, none), name
        texts = sum(len(text) for _, text in self.errors.values())
        assert self._text_bytes == texts + sum(map(len, self.dependencies.values()))
        assert all(self.ids[slot] for slot in (*self.errors, *self.dependencies)), "texts of a row that is free"


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
