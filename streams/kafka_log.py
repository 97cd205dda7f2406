"""The log on Kafka: for a district that has outgrown one machine.

One object serves one thread. Records go to `<prefix>.records`, acknowledged by all replicas in sync; device
acknowledgements and the clock to `<prefix>.state`. There are no Kafka transactions: records are durable
first, then the acks for them, and an ack that is behind makes a device send again, which counts once.
Positions are the store's. Kafka's group only tells who works on which partition (streams/kafka_group.py).
"""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kafka import KafkaProducer
from kafka.errors import KafkaError

from streams.kafka_admin import Admin
from streams.kafka_group import Membership
from streams.kafka_reader import HEADER, RECEIVED, Reader
from streams.kafka_state import ACK, CLOCK, State
from streams.kafka_url import CALL_S_MAX, RECORD_BYTES_MAX, client, connect, parse, unavailable
from streams.log import NO_ACKS, Envelope, LogFull, LogRefused, LogUnavailable, Record, partition_of

DELIVERY_S_MAX = 10.0
"""A broker that restarts is back by then; ingest tries again after it, and can be told to stop."""
COMPRESSION = "zstd"
BATCH_BYTES = 256 << 10
OVERHEAD_BYTES = 1_024
"""What a batch of one record holds beside key, payload and header, with room to spare."""
SIZE_S = 1.0
"""For so long the size of the log is believed; what this process appends meanwhile is counted."""
SLICE_S = 0.1
_INT64 = 2**63


class _Row(NamedTuple):
    topic: str
    partition: int
    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]]
    timestamp_ms: int | None


class KafkaLog:
    """A `Log` on Kafka. With a group it reads as its member, else all partitions are its share.

    Raises TopicsWrong where `swept migrate` is still to be run. `bytes_max` is what the records may take on
    the disks of all brokers, replicas and compression included.
    """

    def __init__(
        self,
        url: str,
        group: str | None = None,
        *,
        records_max: int | None = None,
        bytes_max: int | None = None,
        compression: str | None = COMPRESSION,
    ) -> None:
        self._address = parse(url)
        self._records_max, self._bytes_max = records_max, bytes_max
        self._compression = compression
        self._producer: Any = None
        self._admin = Admin(self._address)
        self._asked_s = -SIZE_S
        self._records = self._bytes = 0
        self._seen: dict[int, int] | None = None
        self._share: frozenset[int] = frozenset()
        self._facts = self._admin.facts()
        self._reader = Reader(self._address, self._facts.partitions, self._admin)
        self._state = State(self._address, self._admin)
        self._member = None if group is None else Membership(self._address, group)

    @property
    def log_id(self) -> str:
        """Kafka's id of the topic: one that is made anew has another."""
        return self._facts.log_id

    @property
    def partitions(self) -> int:
        """Number of partitions, fixed when the topic was made."""
        return self._facts.partitions

    @property
    def in_store(self) -> bool:
        """Records that are packed are copied first, and trimmed here then."""
        return False

    def append(self, envelopes: Sequence[Envelope], acks: Mapping[str, int] = NO_ACKS) -> None:
        """Return once all envelopes, and then all acks, are with all replicas in sync; see `Log.append`."""
        rows = [self._row(envelope) for envelope in envelopes]
        told = [self._ack_row(key, seq) for key, seq in acks.items()]
        if rows:
            self._check_room(rows)
            self._send(rows)
        if told:
            self._send(told)

    def acks(self, keys: Iterable[str]) -> dict[str, int]:
        """The last acknowledgement of each of these units that has one, whoever wrote it."""
        self._state.look()
        known = self._state.acks
        return {key: known[name] for key in keys if (name := key.encode(errors="replace")) in known}

    def clock(self) -> bytes | None:
        """The district clock's payload; None: the wall clock."""
        self._state.look()
        return self._state.clock

    def set_clock(self, payload: bytes) -> None:
        """Return once the district clock is durable; b"" removes it."""
        self._send([_Row(self._address.state, 0, CLOCK, payload or None, [], None)])

    def share(self) -> frozenset[int]:
        """The group's assignment as of now; all partitions where we read without a group."""
        if self._member is None:
            return frozenset(range(self.partitions))
        self._share = self._member.share()
        return self._share

    def done(self, positions: Mapping[int, int]) -> None:
        """Commit the group's offsets, for monitoring only."""
        if self._member is not None:
            self._member.done(positions)

    def read(self, positions: Mapping[int, int], records_max: int) -> list[Record]:
        """The next records, each partition having at least an equal share of `records_max`, in order."""
        if not positions:
            return []
        if records_max < len(positions):
            raise ValueError(f"records_max must be at least the {len(positions)} partitions that are read")
        return self._reader.read(positions, records_max)

    def ends(self) -> dict[int, int]:
        """The offset that each partition's next record will get."""
        return self._admin.ends(self._address.records, self.partitions)

    def firsts(self) -> dict[int, int]:
        """The oldest offset of each partition that Kafka has."""
        return self._admin.firsts(self._address.records, self.partitions)

    def trim(self, before: Mapping[int, int]) -> int:
        """Delete the records of each partition below an offset; how many."""
        firsts, ends = self.firsts(), self.ends()
        upto = {partition: min(offset, ends[partition]) for partition, offset in before.items()}
        upto = {partition: offset for partition, offset in upto.items() if offset > firsts[partition]}
        if upto:
            self._admin.delete(self._address.records, upto)
            self._asked_s = -SIZE_S
            self._reader.forget(upto)
        return sum(offset - firsts[partition] for partition, offset in upto.items())

    def wait(self, timeout_s: float) -> None:
        """Return when records came, the share changed, or the time is over; the group hears of us meanwhile."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            left_s = max(0.0, min(SLICE_S, deadline_s - time.monotonic()))
            if self._member is not None and self._member.share() != self._share:
                return
            if self._reader.reads:
                if self._reader.poll(left_s):
                    return
            elif self._member is None:
                ends = self.ends()
                if ends != self._seen:  # what was appended before we looked would be waited for in vain
                    self._seen = ends
                    return
                time.sleep(left_s)
            else:
                time.sleep(left_s)
            if time.monotonic() >= deadline_s:
                return

    def close(self) -> None:
        """Leave the group and let go of connections; the next call would open them again."""
        if self._member is not None:
            with contextlib.suppress(LogUnavailable):
                self._member.close()
        self._share = frozenset()
        self._reader.close()
        self._state.close()
        self._drop_producer()
        self._admin.close()

    # Appending

    def _row(self, envelope: Envelope) -> _Row:
        try:
            key, topic = _text(envelope.key), _text(envelope.mqtt_topic)
            header = RECEIVED.pack(envelope.received_us) + topic
        except (UnicodeError, struct.error) as error:
            raise LogRefused(f"the log can't hold it: {error}") from error
        size = len(key) + len(envelope.payload) + len(header) + OVERHEAD_BYTES
        if size > RECORD_BYTES_MAX:
            raise LogRefused(f"a record of {size} bytes is too large, {RECORD_BYTES_MAX} at most")
        partition = partition_of(envelope.key, self.partitions)
        timestamp_ms = max(0, envelope.received_us // 1000)
        return _Row(self._address.records, partition, key, envelope.payload, [(HEADER, header)], timestamp_ms)

    def _ack_row(self, key: str, seq: int) -> _Row:
        try:
            name = _text(key)
        except UnicodeError as error:
            raise LogRefused(f"the log can't hold it: {error}") from error
        if not -_INT64 <= seq < _INT64 or len(name) + OVERHEAD_BYTES > RECORD_BYTES_MAX:
            raise LogRefused(f"the log can't hold the acknowledgement {seq:.20g} of unit {key[:100]!r}")
        return _Row(self._address.state, 0, ACK + name, b"%d" % seq, [], None)

    def _send(self, rows: Sequence[_Row]) -> None:
        """Return once all are acknowledged; after a failure nothing more is sent of them."""
        try:
            with unavailable():
                if self._producer is None:
                    self._producer = connect(KafkaProducer, self._producer_settings())
                sent = [
                    self._producer.send(topic, value, key, headers, partition, timestamp_ms)
                    for topic, partition, key, value, headers, timestamp_ms in rows
                ]
                self._producer.flush(DELIVERY_S_MAX + 1.0)
                _check(sent)
        except BaseException:
            self._drop_producer()
            raise

    def _producer_settings(self) -> dict[str, Any]:
        return client(self._address, "producer") | {
            "acks": "all",
            "enable_idempotence": True,
            "compression_type": self._compression,
            "batch_size": BATCH_BYTES,
            "linger_ms": 1_000,  # until the flush, which ends each append
            "max_request_size": RECORD_BYTES_MAX,
            "delivery_timeout_ms": int(DELIVERY_S_MAX * 1000),
            "max_block_ms": int(CALL_S_MAX * 1000),
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
        }

    def _drop_producer(self) -> None:
        """Let go of the producer and of what it still holds, so that nothing comes after what is sent next."""
        producer, self._producer = self._producer, None
        if producer is not None:
            # Its own close waits for a flush and gives up where that fails, with all batches still in hand.
            sender = producer._sender  # noqa: SLF001
            sender.force_close()
            sender.join(CALL_S_MAX)
            with contextlib.suppress(KafkaError, OSError):
                producer.close(timeout=0)

    def _check_room(self, rows: Sequence[_Row]) -> None:
        if self._records_max is None and self._bytes_max is None:
            return
        now_s = time.monotonic()
        if now_s - self._asked_s >= SIZE_S:
            self._records, self._bytes = self._size()
            self._asked_s = now_s
        records = self._records + len(rows)
        held = self._bytes + sum(len(row.value or b"") for row in rows)
        if self._records_max is not None and records > self._records_max:
            raise LogFull(f"the log would hold {records} records, {self._records_max} at most")
        if self._bytes_max is not None and held > self._bytes_max:
            raise LogFull(f"the log would hold {held} bytes, {self._bytes_max} at most")
        self._records, self._bytes = records, held

    def _size(self) -> tuple[int, int]:
        """Records, and bytes on the brokers' disks."""
        ends, firsts = self.ends(), self.firsts()
        records = sum(ends[partition] - first for partition, first in firsts.items())
        return records, 0 if self._bytes_max is None else self._admin.bytes(self._address.records)


def _check(sent: Iterable[Any]) -> None:
    """Raise what kept one of them from being acknowledged."""
    for future in sent:
        if not future.succeeded():
            raise future.exception or KafkaError("it isn't acknowledged")


def _text(text: str) -> bytes:
    """UTF-8 that every store takes as well; UnicodeError where there is none."""
    if "\0" in text:
        raise UnicodeError("a text with NUL in it")
    return text.encode()
