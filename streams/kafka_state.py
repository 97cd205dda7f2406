"""What a log remembers beside its records: device acknowledgements and the district clock.

One compacted topic of one partition, whose last value of a key counts. Several ingestors share units, so
each look reads on to the topic's end first.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from streams.kafka_admin import Admin
from streams.kafka_url import CALL_S_MAX, Address, connect, consumer, unavailable
from streams.log import LogUnavailable

CLOCK = b"clock"
ACK = b"ack/"


class State:
    """A copy of the state topic in memory, caught up by `look`."""

    def __init__(self, address: Address, admin: Admin) -> None:
        self._address = address
        self._admin = admin
        self._partition = TopicPartition(address.state, 0)
        self._consumer: Any = None
        self.acks: dict[bytes, int] = {}
        self.clock: bytes | None = None

    def look(self) -> None:
        """Take in all that was there when this was called; raises LogUnavailable."""
        try:
            with unavailable():
                if self._consumer is None:
                    self._consumer = connect(KafkaConsumer, consumer(self._address, "state"))
                    self._consumer.assign([self._partition])
                    self._consumer.seek(self._partition, 0)
                self._read_on()
        except LogUnavailable:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection and the copy."""
        if self._consumer is not None:
            with contextlib.suppress(LogUnavailable), unavailable():
                self._consumer.close(timeout_ms=1_000)
        self._consumer = None
        self.acks.clear()
        self.clock = None

    def _read_on(self) -> None:
        end = self._admin.ends(self._address.state, 1)[0]
        deadline_s = time.monotonic() + CALL_S_MAX
        while self._consumer.position(self._partition) < end:
            polled = self._consumer.poll(timeout_ms=100, max_records=5_000)
            for record in polled.get(self._partition, ()):
                self._take(record.key, record.value)
            if polled:
                deadline_s = time.monotonic() + CALL_S_MAX
            elif time.monotonic() > deadline_s:
                raise LogUnavailable("Kafka doesn't give the state of the log now")

    def _take(self, key: bytes, value: bytes | None) -> None:
        if key == CLOCK:
            self.clock = value
        elif value is not None:
            self.acks[key.removeprefix(ACK)] = int(value)
