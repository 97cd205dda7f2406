"""Stands in for ingest where a test is about devices: a log in memory on a real broker."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from paho.mqtt.client import Client, MQTTMessage

from simulators.device import Broker


class MemoryLog:
    """Stands in for ingest: takes what comes, acknowledges it, echoes the clock; deaf to the first `deaf`."""

    def __init__(
        self, broker: Broker, deaf: int = 0, *, acknowledges: bool = True, district_id: str = "grid"
    ) -> None:
        self._district_id = district_id
        self.seqs: dict[str, set[int]] = {}
        self.presence: list[tuple[str, bytes]] = []
        self.messages = 0
        self._deaf, self._acknowledges = deaf, acknowledges
        self._listens = threading.Event()
        self._client = broker.client("memory-log")
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._listens.set()
        self._client.on_message = self._on_message
        self._client.connect(broker.host, broker.port)
        self._client.loop_start()
        assert self._listens.wait(10.0)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def wait_online(self, unit: str, value: bytes) -> None:
        deadline_s = time.monotonic() + 10.0
        while (unit, value) not in self.presence:
            assert time.monotonic() < deadline_s, self.presence
            time.sleep(0.02)

    def _on_connect(self, client: Client, *_: object) -> None:
        kinds = ("fix", "equipment", "online")
        client.subscribe(
            [
                *((f"swept/v1/{self._district_id}/+/{kind}", 1) for kind in kinds),
                (f"swept/v1/{self._district_id}/clock", 1),
            ]
        )

    def _on_message(self, client: Client, _: object, message: MQTTMessage) -> None:
        *_, unit, kind = message.topic.split("/")
        if kind == "clock":
            client.publish(f"swept/v1/{self._district_id}/clock/ack", message.payload, qos=1, retain=True)
            return
        if kind == "online":
            self.presence.append((unit, bytes(message.payload)))
            return
        self.messages += 1
        if self.messages <= self._deaf:
            return
        content = json.loads(message.payload)
        seqs = {body["seq"] for body in (content if isinstance(content, list) else [content])}
        self.seqs.setdefault(unit, set()).update(seqs)
        if self._acknowledges:
            client.publish(
                f"swept/v1/{self._district_id}/{unit}/ack", json.dumps({"seq": self._durable(unit)}), qos=1
            )

    def _durable(self, unit: str) -> int:
        """The highest seq such that all up to it are here."""
        return next(seq for seq in itertools.count() if seq + 1 not in self.seqs[unit])


@contextmanager
def memory_log(
    broker: Broker, deaf: int = 0, *, acknowledges: bool = True, district_id: str = "grid"
) -> Iterator[MemoryLog]:
    """The log while the block runs."""
    log = MemoryLog(broker, deaf, acknowledges=acknowledges, district_id=district_id)
    try:
        yield log
    finally:
        log.close()
