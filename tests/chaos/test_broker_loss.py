"""What devices lose that don't keep their reports, when the broker is killed: measured, and printed.

Such a device counts a report as delivered once the broker has acknowledged it. Whoever keeps reports until
swept's own acknowledgement loses nothing (test_faults.py).
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from ingest.stats import Stats
from ingest.subscriber import Session, Subscriber
from swept.embedded_broker import EmbeddedBroker
from swept.mosquitto_server import MosquittoServer

A_SECOND, SECONDS, KILLED_S = 1_000, 4, 3.5
QUIET_S = 2.0
Broker = EmbeddedBroker | MosquittoServer


class _Ingest:
    """Takes and acknowledges at once what the broker has for it, under one session."""

    def __init__(self, url: str) -> None:
        self.found: set[bytes] = set()
        self._url = url

    @contextmanager
    def at_work(self) -> Iterator[None]:
        subscriber = Subscriber(Session(self._url, "ingest", ("loss/+",)), Stats())
        stopping = threading.Event()

        def take() -> None:
            while not stopping.is_set():
                arrivals = subscriber.take(1_000, 0.1)
                self.found |= {arrival.payload for arrival in arrivals}
                subscriber.acknowledge(arrivals)

        thread = threading.Thread(target=take, daemon=True)
        subscriber.start()
        thread.start()
        while not subscriber.connected:
            time.sleep(0.02)
        time.sleep(0.2)  # the subscription follows the connection
        try:
            yield
        finally:
            stopping.set()
            thread.join()
            subscriber.stop()


def measure(broker: Broker, *, away: bool) -> tuple[int, int]:
    """Reports that the broker acknowledged before it was killed, and those of them that ingest never got."""
    ingest = _Ingest(broker.url)
    with contextlib.ExitStack() as stack:
        working = stack.enter_context(contextlib.ExitStack())
        working.enter_context(ingest.at_work())
        if away:
            working.close()
        acknowledged = _publish_until_killed(broker)
        broker.ensure()
        if away:
            stack.enter_context(ingest.at_work())
        before = -1
        while before < len(ingest.found):
            before = len(ingest.found)
            time.sleep(QUIET_S)
    return len(acknowledged), len(acknowledged - ingest.found)


def _publish_until_killed(broker: Broker) -> set[bytes]:
    sent: dict[int, bytes] = {}
    acknowledged: set[int] = set()
    client = Client(CallbackAPIVersion.VERSION2, "device", protocol=MQTTProtocolVersion.MQTTv5)
    client.max_inflight_messages_set(100)
    client.on_publish = lambda _client, _data, mid, *_: acknowledged.add(mid)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    killer = threading.Timer(KILLED_S, broker.kill)  # in the midst of it
    killer.start()
    begun_s = time.monotonic()
    for number in range(A_SECOND * SECONDS):
        payload = str(number).encode()
        sent[client.publish("loss/device", payload, qos=1).mid] = payload
        time.sleep(max(0.0, begun_s + number / A_SECOND - time.monotonic()))
    killer.join()
    client.loop_stop()
    client.disconnect()
    return {sent[mid] for mid in acknowledged if mid in sent}


@pytest.mark.chaos
@pytest.mark.parametrize("where", ["at work", "away"])
@pytest.mark.parametrize("kind", ["mosquitto", "broker"], ids=["Mosquitto", "rumqttd"])
def test_what_devices_lose_that_do_not_keep_their_reports(
    kind: str, where: str, request: pytest.FixtureRequest
) -> None:
    broker: Broker = request.getfixturevalue(kind)
    acknowledged, lost = measure(broker, away=where == "away")
    name = "rumqttd" if kind == "broker" else "Mosquitto"
    print(
        f"kill -9 of {name}, ingest {where}: of {acknowledged:,} reports that it had "
        f"acknowledged at {A_SECOND:,} a second, {lost:,} were lost",
        file=sys.__stdout__,
        flush=True,
    )
    assert acknowledged > A_SECOND
    assert where == "away" or lost < A_SECOND
