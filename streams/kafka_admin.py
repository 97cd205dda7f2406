"""Questions about a topic as a whole, on a connection of their own.

On a consumer's connection an answer would wait behind a fetch that waits for records.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kafka import TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError

from streams import kafka_topics
from streams.kafka_topics import Facts
from streams.kafka_url import CALL_S_MAX, Address, unavailable

Offsets = Callable[[], dict[int, int]]


class Admin:
    """Connects when it is asked, and anew after that broke; every question may raise LogUnavailable."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._client: Any = None

    def facts(self) -> Facts:
        """What is known of the log; raises TopicsWrong."""
        with self._connected() as client:
            return kafka_topics.facts(client, self._address)

    def ends(self, topic: str, partitions: int) -> dict[int, int]:
        """The offset after the newest record of each partition."""
        return self._offsets(topic, partitions, OffsetSpec.LATEST)

    def firsts(self, topic: str, partitions: int) -> dict[int, int]:
        """The offset of the oldest record of each partition."""
        return self._offsets(topic, partitions, OffsetSpec.EARLIEST)

    def delete(self, topic: str, before: Mapping[int, int]) -> None:
        """Delete the records of some partitions below an offset."""
        places = {TopicPartition(topic, partition): offset for partition, offset in before.items()}
        with self._connected() as client:
            client.delete_records(places, timeout_ms=int(CALL_S_MAX * 1000))

    def bytes(self, topic: str) -> int:
        """What a topic takes on the disks of all brokers."""
        with self._connected() as client:
            brokers = client.describe_log_dirs([topic])
        topics = [one for broker in brokers for folder in broker["log_dirs"] for one in folder["topics"]]
        return sum(partition["partition_size"] for one in topics for partition in one["partitions"])

    def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            with contextlib.suppress(KafkaError, OSError):
                self._client.close()
        self._client = None

    def _offsets(self, topic: str, partitions: int, spec: OffsetSpec) -> dict[int, int]:
        places = {TopicPartition(topic, partition): spec for partition in range(partitions)}
        with self._connected() as client:
            found = client.list_partition_offsets(places, timeout_ms=int(CALL_S_MAX * 1000))
        return {tp.partition: found[tp].offset for tp in places}

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Any]:
        try:
            if self._client is None:
                self._client = kafka_topics.admin(self._address)
            with unavailable():
                yield self._client
        except BaseException:
            self.close()
            raise
