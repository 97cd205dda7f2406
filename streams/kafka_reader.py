"""Records of a Kafka topic from positions that the caller keeps, not Kafka.

For each partition a window of what was fetched is held: all records from `first` on and before `next_offset`.
A read inside the window costs no word to the brokers, also when the caller takes less than it was given;
one outside of it seeks. What is held is bounded in all; the brokers' answers are small and come in turn, so
that a partition with much to read keeps no other waiting for long. (To pause those that have enough would be
finer, but kafka-python 3.0.12 then forgets some for ever: what is parked comes back only while no drained
answer is in its hand.)
"""

from __future__ import annotations

import contextlib
import struct
import time
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import OffsetOutOfRangeError

from streams.kafka_admin import Admin
from streams.kafka_url import CALL_S_MAX, Address, connect, consumer, unavailable
from streams.log import Envelope, LogTrimmed, LogUnavailable, Record

HEADER = "e"
"""Of each record: received_us as eight bytes, then the topic of MQTT."""
RECEIVED = struct.Struct(">q")
FOREIGN = "refused/not written by swept"
"""The topic of a record that isn't ours; as no unit has it, its bytes end among the dead letters."""
_POLL_MAX = 1_000
_BYTES_MAX = 8 << 20
_RECORD_BYTES = 500
"""What a record takes in memory beside its payload, about."""


@dataclass(slots=True)
class _Window:
    first: int
    next_offset: int
    held: deque[Record] = field(default_factory=deque)

    def drop_before(self, offset: int) -> None:
        while self.held and self.held[0].offset < offset:
            self.held.popleft()
        self.first = offset

    def add(self, record: Record) -> None:
        self.held.append(record)
        self.next_offset = record.offset + 1


class Reader:
    """One consumer of some partitions of the records; it connects when it is needed."""

    def __init__(self, address: Address, partitions: int, admin: Admin) -> None:
        self._address = address
        self._admin = admin
        self._all = [TopicPartition(address.records, partition) for partition in range(partitions)]
        self._consumer: Any = None
        self._windows: dict[int, _Window] = {}
        self._bytes = 0

    def read(self, positions: Mapping[int, int], records_max: int) -> list[Record]:
        """The next records; an equal share of `records_max` for each partition, what one leaves is the others'."""
        with self._connected():
            self._seek(positions)
            self._fill(positions)
            each_max = records_max // len(positions)
            held = {partition: len(self._windows[partition].held) for partition in positions}
            spare = records_max - sum(min(each_max, count) for count in held.values())
            records: list[Record] = []
            for partition in sorted(positions):
                extra = min(spare, max(0, held[partition] - each_max))
                spare -= extra
                records += islice(self._windows[partition].held, each_max + extra)
            return records

    def forget(self, partitions: Collection[int]) -> None:
        """Let go of what is held of partitions that were trimmed."""
        for partition in self._windows.keys() & set(partitions):
            self._windows[partition] = _Window(-1, -1)

    @property
    def reads(self) -> bool:
        """Whether it has been asked for records, so that `poll` may find some."""
        return bool(self._windows)

    def poll(self, timeout_s: float) -> bool:
        """Wait for records of the partitions that were read last; whether there are any not given yet."""
        if any(window.held for window in self._windows.values()):
            return True
        with self._connected():
            return self._poll(timeout_s)

    def close(self) -> None:
        """Let go of the connection and of what was fetched; the next call begins anew."""
        if self._consumer is not None:
            with contextlib.suppress(LogUnavailable), unavailable():
                self._consumer.close(timeout_ms=1_000)
        self._consumer = None
        self._windows.clear()

    def _seek(self, positions: Mapping[int, int]) -> None:
        """Have a window at each of these positions, and none of other partitions."""
        if positions.keys() != self._windows.keys():
            self._windows = {one: window for one, window in self._windows.items() if one in positions}
            # What stays assigned keeps its place.
            self._consumer.assign([self._all[partition] for partition in sorted(positions)])
        for partition, offset in positions.items():
            window = self._windows.get(partition)
            if window is not None and window.first <= offset <= window.next_offset:
                window.drop_before(offset)
            else:
                self._windows[partition] = _Window(offset, offset)
                self._consumer.seek(self._all[partition], offset)
        held = [record for window in self._windows.values() for record in window.held]
        self._bytes = sum(len(record.envelope.payload) + _RECORD_BYTES for record in held)

    def _fill(self, positions: Mapping[int, int]) -> None:
        """Have records of some of these partitions, if there are any; as many as came already of all."""
        while self._poll(0.0):
            pass
        if any(window.held for window in self._windows.values()):
            return
        ends = self._admin.ends(self._address.records, len(self._all))
        for partition, offset in positions.items():
            if offset > ends[partition]:
                raise LogTrimmed(
                    f"partition {partition} ends at offset {ends[partition]}, before the position {offset}: "
                    "this log has lost records"
                )
        behind = [partition for partition, offset in positions.items() if offset < ends[partition]]
        deadline_s = time.monotonic() + CALL_S_MAX
        while behind and not self._poll(0.1):
            # Offsets that no record has (Kafka's own marks) are passed over.
            behind = [one for one in behind if self._consumer.position(self._all[one]) < ends[one]]
            if behind and time.monotonic() > deadline_s:
                raise LogUnavailable(f"Kafka doesn't give the records of partition {behind[0]} now")

    def _poll(self, timeout_s: float) -> bool:
        """Take in what was fetched, unless enough is held; whether anything came."""
        if self._bytes >= _BYTES_MAX:
            return False
        try:
            polled = self._consumer.poll(timeout_ms=timeout_s * 1000, max_records=_POLL_MAX)
        except OffsetOutOfRangeError as error:
            raise self._trimmed() from error
        for tp, records in polled.items():
            window = self._windows[tp.partition]
            for found in records:
                record = _record(tp.partition, found)
                window.add(record)
                self._bytes += len(record.envelope.payload) + _RECORD_BYTES
        return bool(polled)

    def _trimmed(self) -> LogTrimmed | LogUnavailable:
        firsts = self._admin.firsts(self._address.records, len(self._all))
        for partition, window in self._windows.items():
            if window.next_offset < firsts[partition]:
                return LogTrimmed(f"partition {partition} has no offset {window.next_offset} any more")
        return LogUnavailable("Kafka doesn't know an offset now that it had")

    @contextlib.contextmanager
    def _connected(self) -> Any:  # noqa: ANN401 - the library has no types
        try:
            with unavailable():
                if self._consumer is None:
                    self._consumer = connect(KafkaConsumer, consumer(self._address, "reader"))
                yield self._consumer
        except (LogUnavailable, LogTrimmed):
            self.close()
            raise


def _record(partition: int, record: Any) -> Record:  # noqa: ANN401 - the library has no types
    """A record as ingest wrote it. What anybody else wrote into the topic is refused by whoever decodes it."""
    payload = bytes(record.value or b"")
    try:
        header = dict(record.headers)[HEADER]
        (received_us,) = RECEIVED.unpack_from(header)
        topic, key = header[RECEIVED.size :].decode(), record.key.decode()
    except (LookupError, UnicodeError, AttributeError, struct.error):
        return Record(
            partition, record.offset, Envelope("", FOREIGN, payload, max(0, record.timestamp) * 1_000)
        )
    return Record(partition, record.offset, Envelope(key, topic, payload, received_us))
