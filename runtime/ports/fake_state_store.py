"""A state store in memory, for tests and simulation, on a disk that can be made to fail."""

from __future__ import annotations

from collections.abc import Sequence

from raynb.runtime.ports.state_record import seal, unseal
from raynb.runtime.ports.state_store import (
    Loaded,
    StaleEpochError,
    StateLostError,
    StateStoreError,
    StateStoreUnavailableError,
    Write,
    check_table,
    net_writes,
)

Batch = dict[str, dict[bytes, bytes | None]]


class FakeDisk:
    """What outlives a `FakeStateStore`: open as many on it as there are incarnations.

    Attributes
    ----------
    away
        While True every call raises `StateStoreUnavailableError` and does nothing.
    """

    def __init__(self) -> None:
        self.away = False
        self.epoch = 0
        self.acknowledged = 0
        self._batches: list[Batch] = []

    def __repr__(self) -> str:
        return f"<FakeDisk epoch={self.epoch} batches={len(self._batches)}>"

    @property
    def batches(self) -> int:
        """How many batches it holds."""
        return len(self._batches)

    def append(self, batch: Batch) -> None:
        self._batches.append(batch)
        self.acknowledged = len(self._batches)

    def table(self, name: str) -> dict[bytes, bytes]:
        """Key and sealed record of each row."""
        rows: dict[bytes, bytes] = {}
        for batch in self._batches:
            for key, record in batch.get(name, {}).items():
                if record is None:
                    rows.pop(key, None)
                else:
                    rows[key] = record
        return rows

    def lose_last(self, batches: int) -> None:
        """Forget the newest batches, although they were acknowledged."""
        del self._batches[len(self._batches) - batches :]

    def damage(self, table: str, key: bytes) -> None:
        """Turn one bit of a row's value."""
        record = bytearray(self.table(table)[key])
        record[-1] ^= 1
        self._batches[-1] = {
            **self._batches[-1],
            table: {**self._batches[-1].get(table, {}), key: bytes(record)},
        }


class FakeStateStore:
    """Keeps to the rules of `raynb.runtime.ports.state_store` on a `FakeDisk`.

    Parameters
    ----------
    disk : FakeDisk, optional
        A new, empty one if there is none.
    """

    def __init__(self, disk: FakeDisk | None = None) -> None:
        self.disk = FakeDisk() if disk is None else disk
        self._epoch: int | None = None
        self._acknowledged = self.disk.acknowledged
        self._losses: list[str] = []
        self._closed = False

    def __repr__(self) -> str:
        return f"<FakeStateStore epoch={self._epoch} on {self.disk!r}>"

    def next_epoch(self) -> int:
        self._reach()
        self._find_losses()
        self.disk.epoch += 1
        self._epoch = self.disk.epoch
        return self._epoch

    def apply(self, writes: Sequence[Write]) -> None:
        net = net_writes(writes)
        self._reach()
        if self._epoch is None:
            raise StateStoreError("take an epoch with next_epoch() before writing")
        if self._epoch < self.disk.epoch:
            raise StaleEpochError(f"epoch {self._epoch} is over, another GCS writes in epoch {self.disk.epoch}")
        if self._find_losses():
            self._epoch = None
            raise StateLostError(self._losses[-1])
        if not net:
            return
        epoch = self._epoch
        self.disk.append(
            {
                table: {k: None if v is None else seal(epoch, table, k, v) for k, v in rows.items()}
                for table, rows in net.items()
            }
        )
        self._acknowledged = self.disk.acknowledged

    def load(self, table: str) -> Loaded:
        check_table(table)
        self._reach()
        loaded = Loaded([], [])
        for key, sealed in sorted(self.disk.table(table).items()):
            record = unseal(table, key, sealed)
            if record is None:
                loaded.damaged.append(key)
            else:
                loaded.rows.append((key, record.value))
        if loaded.damaged:
            self._losses.append(f"{len(loaded.damaged)} rows of table {table} are damaged")
        return loaded

    def losses(self) -> Sequence[str]:
        return tuple(self._losses)

    def describe(self) -> str:
        return "memory (a fake)"

    def close(self) -> None:
        self._closed = True

    def _reach(self) -> None:
        if self._closed:
            raise StateStoreError("this store is closed: open another")
        if self.disk.away:
            raise StateStoreUnavailableError("the disk is away: repeat the call")

    def _find_losses(self) -> bool:
        missing = self._acknowledged - self.disk.batches
        self._acknowledged = self.disk.batches
        if missing > 0:
            self._losses.append(f"{missing} batches that were acknowledged are missing")
        return missing > 0
