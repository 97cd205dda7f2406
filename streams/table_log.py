"""The log as a table in the store: for one district on one machine.

One object serves one thread; it opens a connection when it needs one and again after that broke. Offsets
are dense per partition and become visible in their order (see storage/log_table.py). The log may be
bounded: an append that finds it full raises LogFull, and ingest then holds back what it has, as does the
broker behind it. Records that were packed meanwhile (storage/raw_packs.py) are read all the same.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter

import psycopg

from storage import log_table, raw_packs, session
from streams.log import (
    NO_ACKS,
    Envelope,
    LogFull,
    LogRefused,
    LogTrimmed,
    LogUnavailable,
    Record,
    partition_of,
)

PARTITIONS = 4
SILENT_S_MAX = 10.0
REFUSED = ("22", "23", "54")
"""SQLSTATE classes that are about the values themselves: data exception, integrity, program limit."""


class TableLog:
    """A `Log` in PostgreSQL or TimescaleDB. `partitions` counts only where the log is first made."""

    def __init__(
        self,
        url: str,
        partitions: int = PARTITIONS,
        records_max: int | None = None,
        bytes_max: int | None = None,
    ) -> None:
        self._url = url
        self._records_max = records_max
        self._bytes_max = bytes_max
        self._connection: psycopg.Connection | None = None
        self._listener: psycopg.Connection | None = None
        #: The server's side of the connection, this one or the one before.
        self._left: session.Left | None = None
        with self._connected() as connection:
            self._log_id, self._partitions = log_table.create(connection, partitions)

    @property
    def log_id(self) -> str:
        """Made with the log, so another database's log has another."""
        return self._log_id

    @property
    def partitions(self) -> int:
        """Number of partitions, fixed when the log was made."""
        return self._partitions

    @property
    def in_store(self) -> bool:
        """It is a table of the store."""
        return True

    def append(self, envelopes: Sequence[Envelope], acks: Mapping[str, int] = NO_ACKS) -> None:
        """Return once all envelopes and acks are committed and flushed; see `Log.append`."""
        with self._connected() as connection, _refused(), connection.transaction():
            rows = [self._row(envelope) for envelope in envelopes]
            if rows:
                ends = log_table.lock_ends(connection, {row.partition for row in rows})
                self._check_room(connection, rows)
                log_table.copy_records(connection, rows, ends)
            if acks:
                log_table.upsert_acks(connection, acks)

    def acks(self, keys: Iterable[str]) -> dict[str, int]:
        """The last acknowledgement of each of these units that has one."""
        with self._connected() as connection:
            return log_table.acks(connection, keys)

    def clock(self) -> bytes | None:
        """The district clock's payload; None: the wall clock."""
        with self._connected() as connection:
            return log_table.clock(connection)

    def set_clock(self, payload: bytes) -> None:
        """Return once the district clock is committed; b"" removes it."""
        with self._connected() as connection:
            log_table.set_clock(connection, payload)

    def read(self, positions: Mapping[int, int], records_max: int) -> list[Record]:
        """The next records, each partition having an equal share of `records_max`, in order."""
        if not positions:
            return []
        if records_max < len(positions):
            raise ValueError(f"records_max must be at least the {len(positions)} partitions that are read")
        each_max = records_max // len(positions)
        with self._connected() as connection:
            places = log_table.read(connection, positions, each_max, records_max)
            begun = {place.partition: place.offset for place in reversed(places)}
            late = {partition for partition, offset in positions.items() if begun.get(partition) != offset}
            firsts = log_table.firsts(connection, late) if late else {}
            behind = [partition for partition, first in firsts.items() if positions[partition] < first]
            packed = [self._packed(connection, one, positions[one], each_max) for one in behind]
        kept = [place for place in places if place.partition not in behind]
        return [
            Record(place.partition, place.offset, Envelope(*place[2:]))
            for place in sorted(chain(kept, *packed), key=itemgetter(0, 1))
        ]

    def share(self) -> frozenset[int]:
        """All partitions: several workers of a table log are fenced, not assigned."""
        return frozenset(range(self._partitions))

    def done(self, positions: Mapping[int, int]) -> None:
        """Nothing: the positions are in the same database."""

    def firsts(self) -> dict[int, int]:
        """The oldest offset of each partition that the table has."""
        with self._connected() as connection:
            return log_table.firsts(connection, range(self._partitions))

    def ends(self) -> dict[int, int]:
        """The offset that each partition's next record will get."""
        with self._connected() as connection:
            return log_table.ends(connection)

    def trim(self, before: Mapping[int, int]) -> int:
        """Delete the records of each partition below an offset; how many. Readers there get LogTrimmed."""
        with self._connected() as connection:
            return log_table.trim(connection, before)

    def wait(self, timeout_s: float) -> None:
        """Return at the next append, or when the time is over; at once the first time."""
        with _unavailable():
            if self._listener is None or self._listener.closed:
                self._listener = session.connect(self._url, SILENT_S_MAX)
                self._listener.execute(f"LISTEN {log_table.CHANNEL}")
                return  # what was appended before we listened would be waited for in vain
            for _ in self._listener.notifies(timeout=timeout_s, stop_after=1):
                pass

    def close(self) -> None:
        """Let go of connections; the next call would open them again."""
        for connection in (self._connection, self._listener):
            if connection is not None:
                connection.close()
        self._connection = self._listener = None

    def _packed(
        self, connection: psycopg.Connection, partition: int, offset: int, records_max: int
    ) -> list[log_table.Place]:
        """Records that were packed, from a position below the log's oldest on."""
        found = raw_packs.following(connection, self._log_id, partition, offset, records_max)
        if not found:
            raise LogTrimmed(
                f"partition {partition} has no offset {offset} any more, in the log or in a pack"
            )
        return found

    def _row(self, envelope: Envelope) -> log_table.Row:
        partition = partition_of(envelope.key, self._partitions)
        return log_table.Row(
            partition, envelope.key, envelope.mqtt_topic, envelope.payload, envelope.received_us
        )

    def _check_room(self, connection: psycopg.Connection, rows: Sequence[log_table.Row]) -> None:
        if self._records_max is None and self._bytes_max is None:
            return
        size = log_table.size(connection)
        records = size.records + len(rows)
        payload_bytes = size.payload_bytes + sum(len(row.payload) for row in rows)
        if self._records_max is not None and records > self._records_max:
            raise LogFull(f"the log would hold {records} records, {self._records_max} at most")
        if self._bytes_max is not None and payload_bytes > self._bytes_max:
            raise LogFull(f"the log would hold {payload_bytes} bytes, {self._bytes_max} at most")

    @contextlib.contextmanager
    def _connected(self) -> Iterator[psycopg.Connection]:
        with _unavailable():
            if self._connection is None or self._connection.closed:
                self._connection, self._left = session.connect_again(self._url, SILENT_S_MAX, self._left)
            yield self._connection


@contextlib.contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        if isinstance(error, psycopg.DataError) or (error.sqlstate or "").startswith(REFUSED):
            raise LogRefused(f"the log's database refuses it: {error}".strip()) from error
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | psycopg.InternalError):
            raise LogUnavailable(f"the log's database can't be used now: {error}".strip()) from error
        raise


@contextlib.contextmanager
def _refused() -> Iterator[None]:
    """What can't even be written for the database: no UTF-8, or a number that is too large."""
    try:
        yield
    except (UnicodeError, OverflowError, struct.error) as error:
        raise LogRefused(f"the log can't hold it: {error}") from error
