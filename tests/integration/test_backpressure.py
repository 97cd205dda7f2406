"""A slow store, a full log, a full broker: nothing is acknowledged, somebody is told, and then nothing is lost."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial

import paho.mqtt.client as mqtt
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from ingest.bridge import Bridge, session
from ingest.queue import BYTES, BYTES_MAX, DROPPED, BrokerQueue
from ingest.stats import Stats
from ingest.subscriber import Subscriber
from processing.pipeline import Core
from streams import packing
from streams.table_log import TableLog
from streams.worker import Worker
from swept import embedded_broker
from swept.collectors import IngestCollector
from swept.embedded_broker import EmbeddedBroker
from swept.mosquitto_server import MosquittoServer
from swept.settings import deploy_folder
from tests.integration.small_world import ROUND_M, START_US, district, drive, message
from tests.integration.waiting import within

WAIT_S = 60.0
RECEIVE_MAXIMUM = 10


eventually = partial(within, WAIT_S)


@dataclass
class Ingest:
    """An ingestor in threads of its own, and what it said."""

    subscriber: Subscriber
    stats: Stats
    queue: BrokerQueue
    said: list[str] = field(default_factory=list)

    def metrics(self) -> dict[str, float]:
        collected = IngestCollector(self.stats, self.subscriber, self.queue).collect()
        return {one.name: one.value for metric in collected for one in metric.samples if not one.labels}


@contextmanager
def ingest(url: str, log: TableLog, queue_bytes_max: int = BYTES_MAX) -> Iterator[Ingest]:
    said: list[str] = []
    stats, queue = Stats(), BrokerQueue(said.append, queue_bytes_max)
    wanted = session(url, "test", "ingest-of-test", None, RECEIVE_MAXIMUM)
    subscriber = Subscriber(wanted, stats, said.append)
    bridge = Bridge("test", subscriber, log, stats, said.append)
    moving = threading.Thread(target=bridge.run)
    subscriber.start()
    queue.watch(url)
    moving.start()
    try:
        yield Ingest(subscriber, stats, queue, said)
    finally:
        bridge.stop()
        moving.join(WAIT_S)
        subscriber.stop()
        queue.stop()


def publish(port: int, messages: list[tuple[str, bytes]]) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for one in [client.publish(topic, payload, qos=1) for topic, payload in messages]:
        one.wait_for_publish(WAIT_S)
    client.disconnect()
    client.loop_stop()


def fixes(count: int) -> list[tuple[str, bytes]]:
    """Messages of one fix each, now, of about 400 bytes."""
    rounds = -(-count // len(drive(START_US, ROUND_M)))
    found = [fix for n in range(rounds) for fix in drive(START_US + n * 600_000_000, ROUND_M)][:count]
    return [
        (one.mqtt_topic, one.payload)
        for one in (message("u1", [fix | {"note": "x" * 250}], START_US) for fix in found)
    ]


def clock() -> tuple[str, bytes]:
    """The district's clock, so that the fixes aren't old."""
    told = {"start": "2024-05-01T12:00:00+08:00", "rate": 1.0, "wall": "2020-01-01T00:00:00Z"}
    told["wall"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return "swept/v1/test/clock", json.dumps(told).encode()


def stored(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM fix").fetchone()
    return int(row[0]) if row is not None else 0


def test_a_slow_store_fills_the_log_then_the_broker_and_in_the_end_nothing_is_lost(
    mosquitto: MosquittoServer,
    store_url: str,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packing, "BYTES_MIN", 1)
    sent = fixes(1_000)
    size = sum(len(payload) for _, payload in sent)
    with (
        closing(TableLog(store_url, partitions=1, bytes_max=size // 10)) as log,
        closing(TableLog(store_url)) as workers_log,
        ingest(mosquitto.url, log, queue_bytes_max=size) as one,
    ):
        worker = Worker(store_url, workers_log, Core(district()), "rules-1")
        worker.step()
        publish(mosquitto.port, [clock()])
        with psycopg.connect(store_url) as slow:
            # Whoever wants to write a fix waits until this transaction ends.
            slow.execute("LOCK TABLE fix IN SHARE ROW EXCLUSIVE MODE")
            over = threading.Event()
            working = threading.Thread(target=worker.run, args=(over.is_set, 0.1))
            working.start()
            publish(mosquitto.port, sent)
            assert eventually(lambda: one.stats.log_full)
            assert eventually(lambda: one.subscriber.waiting == RECEIVE_MAXIMUM)
            acknowledged = one.stats.acknowledged
            assert acknowledged < len(sent) // 4
            assert eventually(lambda: (one.queue.bytes or 0) > size // 2)
            assert one.stats.acknowledged == acknowledged
            assert one.metrics()["swept_ingest_log_full"] == 1
            assert one.metrics()["swept_ingest_broker_queue_bytes"] > size // 2
            assert any("raise SWEPT_LOG_BYTES_MAX" in line for line in one.said)
            assert any(re.search(r"the broker holds .* of what it may", line) for line in one.said)
            assert stored(connection) == 0
        assert eventually(lambda: stored(connection) == len(sent))
        over.set()
        working.join(WAIT_S)
        worker.close()
        assert eventually(lambda: one.subscriber.waiting == 0)
        assert one.queue.dropped == 0
        assert eventually(lambda: "ingest: the broker's queue is nearly empty again" in one.said)
        assert one.metrics()["swept_ingest_log_full"] == 0


def test_a_broker_that_tells_nothing_of_itself_is_no_fault(broker: EmbeddedBroker, store_url: str) -> None:
    with closing(TableLog(store_url)) as log, ingest(broker.url, log) as one:
        assert eventually(lambda: one.subscriber.connected)
        publish(broker.port, fixes(20))
        assert eventually(lambda: one.stats.acknowledged == 20)
        assert "swept_ingest_broker_queue_bytes" not in one.metrics()


def topics(log: TableLog) -> list[str]:
    """Of all messages after the first."""
    return [record.envelope.mqtt_topic for record in log.read({0: 1}, 5_000)]


def test_an_embedded_broker_that_is_full_lets_the_oldest_go_and_keeps_the_newest_in_their_order(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As configured but for the sizes: half a MiB instead of 512, for 1.5 MB of messages.
    small = embedded_broker.CONFIG.replace("16777216", "131072").replace(
        "segment_count = 32", "segment_count = 4"
    )
    monkeypatch.setattr(embedded_broker, "CONFIG", small)
    sent = [(f"swept/v1/test/u{n}/fix", bytes(400)) for n in range(3_000)]
    with EmbeddedBroker() as broker, closing(TableLog(store_url, partitions=1)) as log:
        with ingest(broker.url, log) as one:
            assert eventually(lambda: one.subscriber.connected)
            publish(broker.port, sent[:1])
            assert eventually(lambda: log.ends() == {0: 1})
        publish(broker.port, sent)
        with ingest(broker.url, log) as one:
            assert eventually(lambda: topics(log)[-1:] == [sent[-1][0]] and not one.subscriber.waiting)
        kept = topics(log)
    assert kept == [topic for topic, _ in sent[-len(kept) :]]
    assert 500 < len(kept) < 1_500


def test_half_of_what_the_broker_may_hold_is_told_once_and_so_is_the_end_of_it() -> None:
    said: list[str] = []
    queue = BrokerQueue(said.append, 1_000)
    for number in (b"499", b"500", b"900", b"400", b"600", b"249", b"100"):
        queue.hear(BYTES, number)
    assert len(said) == 2
    assert "50%" in said[0]
    queue.hear(BYTES, b"-1")
    queue.hear(DROPPED, b"7")
    assert (queue.bytes, queue.dropped) == (100, 7)


def test_the_bound_is_that_of_the_broker_that_comes_with_swept() -> None:
    limits = (deploy_folder() / "mosquitto/limits/limits.conf").read_text(encoding="utf-8")
    assert f"\nmax_queued_bytes {BYTES_MAX}\n" in limits
    assert "\nmax_queued_messages 0\n" in limits
