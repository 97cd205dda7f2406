"""Positions in the log, moved by compare-and-set in the transaction that writes the results.

A worker that lost its partition to another still believes in its old position; the comparison under a row
lock tells it so before it has written anything that could commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg import Connection

from storage import positions
from storage.positions import Position
from streams.log import Record


class Fenced(Exception):  # noqa: N818 - it is what happened, and no error of ours
    """Somebody else moved a position: reread it and go on from there."""


class Checkpoint:
    """What this worker believes to be the positions of its partitions."""

    def __init__(self, log_id: str) -> None:
        self.log_id = log_id
        self.partitions: frozenset[int] = frozenset()
        self._believed: dict[int, Position] = {}

    @property
    def positions(self) -> dict[int, int]:
        """The next offset of each partition."""
        return {partition: one.next_offset for partition, one in self._believed.items()}

    def take(self, connection: Connection[Any], partitions: frozenset[int]) -> bool:
        """Have these partitions from now on; whether others than before, so that the store was asked anew."""
        if partitions == self.partitions:
            return False
        self.partitions = partitions
        self.reread(connection)
        return True

    def reread(self, connection: Connection[Any]) -> None:
        """Believe what the store says."""
        self._believed = positions.read(connection, self.log_id, self.partitions)

    def claim(self, connection: Connection[Any], partitions: Iterable[int]) -> None:
        """Lock the positions for this transaction; raise `Fenced` where one isn't what we believe."""
        believed = {partition: self._believed[partition] for partition in partitions}
        actual = positions.lock(connection, self.log_id, believed)
        if actual != believed:
            raise Fenced(f"positions of log {self.log_id} are {actual}, this worker had {believed}")

    def advance(self, connection: Connection[Any], records: Sequence[Record]) -> None:
        """Move the positions in the store behind these records, within the transaction."""
        received_us: dict[int, int] = {}
        for record in records:
            before = received_us.get(record.partition, 0)
            received_us[record.partition] = max(before, record.envelope.received_us)
        positions.advance(connection, self.log_id, next_offsets(records), received_us)

    def share(self, connection: Connection[Any], partitions: Iterable[int]) -> None:
        """Count a share of the backlog of these partitions in the store, within the transaction."""
        positions.count_share(connection, self.log_id, partitions)

    def committed(self, next_offsets: Mapping[int, int]) -> None:
        """Believe in the moved positions, once the commit is known."""
        for partition, offset in next_offsets.items():
            self._believed[partition] = self._believed[partition]._replace(next_offset=offset)

    def shared(self, partitions: Iterable[int]) -> None:
        """Believe in a share that was counted, once the commit is known."""
        for partition in partitions:
            before = self._believed[partition]
            self._believed[partition] = before._replace(shares=before.shares + 1)


def next_offsets(records: Iterable[Record]) -> dict[int, int]:
    """The position of each partition after these records."""
    after: dict[int, int] = {}
    for record in records:
        after[record.partition] = max(after.get(record.partition, 0), record.offset + 1)
    return after
