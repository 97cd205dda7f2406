"""Ingest as a process of its own, against a real broker and a real database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import paho.mqtt.client as mqtt
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingest.bridge import Bridge, session
from ingest.stats import Stats
from ingest.subscriber import Subscriber
from streams.log import Envelope, LogFull, Record
from streams.table_log import TableLog
from swept.embedded_broker import EmbeddedBroker
from swept.embedded_postgres import EmbeddedPostgres
from tests.integration.waiting import within

COMMAND = (sys.executable, "-c", "import typer; from swept.ingest import ingest; typer.run(ingest)")
WAIT_S = 30.0


eventually = partial(within, WAIT_S)


class Device:
    """An MQTT 5 client that publishes to and hears from the broker."""

    def __init__(self, port: int, listen: str, will: str | None = None) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.on_message = lambda _c, _d, m: self.heard.append((m.topic, bytes(m.payload)))
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_connect = self._subscribe
        self._listen = listen
        if will is not None:
            self._client.will_set(will, b"0", qos=1, retain=True)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        self._client.connect("127.0.0.1", port, properties=properties)
        self._client.loop_start()
        assert subscribed.wait(WAIT_S)

    def _subscribe(self, client: mqtt.Client, *_: object) -> None:
        client.subscribe(self._listen, qos=1)

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(WAIT_S)

    def vanish(self) -> None:
        """Be gone without a word, so that the broker publishes the will."""
        sock = self._client.socket()
        assert sock is not None
        self._client.loop_stop()
        sock.close()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start_ingest(
    running: ExitStack, broker: EmbeddedBroker, store_url: str, *options: str
) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SWEPT_")}
    command = [*COMMAND, "--mqtt", broker.url, "--store", store_url, "--district", "d", *options]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    running.callback(end, process)
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.communicate()


def device(running: ExitStack, broker: EmbeddedBroker, unit: str = "u", will: str | None = None) -> Device:
    return running.enter_context(closing(Device(broker.port, f"swept/v1/d/{unit}/ack", will)))


def records(store_url: str) -> list[Record]:
    with closing(TableLog(store_url)) as log:
        return log.read(dict.fromkeys(range(log.partitions), 0), 1_000_000)


def seqs(store_url: str) -> list[int]:
    return [json.loads(record.envelope.payload)["seq"] for record in records(store_url)]


def last_ack(one: Device) -> int:
    return int(json.loads(one.heard[-1][1])["seq"]) if one.heard else -1


def fix(seq: int) -> bytes:
    return b'{"time":"2024-05-01T06:00:00Z","lon":122.25,"lat":40.67,"seq":%d}' % seq


def send_until_acknowledged(one: Device, seq: int) -> None:
    """What a device does: it keeps a report until it is named durable."""

    def known() -> bool:
        one.send("swept/v1/d/u/fix", fix(seq))
        return last_ack(one) >= seq

    assert eventually(known)


def test_a_devices_report_is_in_the_log_when_it_hears_so(
    running: ExitStack, broker: EmbeddedBroker, store_url: str
) -> None:
    process = start_ingest(running, broker, store_url)
    one = device(running, broker)
    send_until_acknowledged(one, 7)
    payload = b' [{"seq":8},\r\n{"odd": 1e9, "seq":9}]'
    one.send("swept/v1/d/u/equipment", payload)
    assert eventually(lambda: last_ack(one) >= 9)
    found = records(store_url)
    assert {r.envelope.key for r in found} == {"u"}
    assert found[-1].envelope.payload == payload
    assert found[-1].envelope.mqtt_topic == "swept/v1/d/u/equipment"
    assert abs(found[-1].envelope.received_us - time.time_ns() // 1000) < 600_000_000
    process.terminate()
    assert process.wait(WAIT_S) == 0


def test_what_came_while_ingest_was_killed_and_what_it_had_not_acknowledged_is_delivered_again(
    running: ExitStack, broker: EmbeddedBroker, store_url: str
) -> None:
    process = start_ingest(running, broker, store_url)
    one = device(running, broker)
    send_until_acknowledged(one, 0)
    for seq in range(1, 400):
        one.send("swept/v1/d/u/fix", fix(seq))
        if seq == 200:
            process.kill()
    start_ingest(running, broker, store_url)
    assert eventually(lambda: last_ack(one) == 399)
    found = seqs(store_url)
    assert set(found) == set(range(400))
    assert list(dict.fromkeys(found)) == list(range(400)), "first sightings are in order"


class Gate(TableLog):
    """A log that dies after it has committed and before it says so, as ingest killed there would be."""

    dies = True

    def append(self, envelopes: object, acks: object = None) -> None:
        super().append(envelopes, acks or {})  # type: ignore[arg-type]
        if self.dies:
            raise SystemExit


@contextmanager
def bridge(broker: EmbeddedBroker, log: TableLog, receive_maximum: int = 2_000) -> Iterator[Subscriber]:
    """Ingest in a thread, for what can only be seen from inside."""
    stats = Stats()
    subscriber = Subscriber(session(broker.url, "d", "inside", None, receive_maximum), stats)
    moving = Bridge("d", subscriber, log, stats)

    def run() -> None:
        with suppress(SystemExit):
            moving.run()

    thread = threading.Thread(target=run)
    subscriber.start()
    thread.start()
    try:
        assert eventually(lambda: subscriber.connected)
        yield subscriber
    finally:
        moving.stop()
        thread.join()
        subscriber.stop()


def test_ended_between_append_and_acknowledgement_the_broker_delivers_again(
    running: ExitStack, broker: EmbeddedBroker, store_url: str
) -> None:
    one = device(running, broker)
    with closing(Gate(store_url)) as log:
        with bridge(broker, log):
            one.send("swept/v1/d/u/fix", fix(3))
            assert eventually(lambda: seqs(store_url) == [3])
        assert one.heard == []
        log.dies = False
        with bridge(broker, log):
            assert eventually(lambda: seqs(store_url) == [3, 3])
            assert eventually(lambda: last_ack(one) == 3)


class Full(TableLog):
    """A log that is full until told otherwise."""

    full = True

    def append(self, envelopes: object, acks: object = None) -> None:
        if self.full:
            raise LogFull("full")
        super().append(envelopes, acks or {})  # type: ignore[arg-type]


def test_nothing_is_acknowledged_before_it_is_durable_and_no_more_than_the_receive_maximum_is_in_hand(
    running: ExitStack, broker: EmbeddedBroker, store_url: str
) -> None:
    one = device(running, broker)
    with closing(Full(store_url)) as log, bridge(broker, log, receive_maximum=10) as subscriber:
        for seq in range(100):
            one.send("swept/v1/d/u/fix", fix(seq))
        assert eventually(lambda: subscriber.waiting == 10)
        time.sleep(0.5)
        assert subscriber.waiting == 10
        assert one.heard == []
        assert seqs(store_url) == []
        log.full = False
        assert eventually(lambda: last_ack(one) == 99)
        assert seqs(store_url) == list(range(100))


def test_a_database_that_is_killed_and_comes_back_loses_nothing(
    running: ExitStack, broker: EmbeddedBroker, store_url: str, postgres: EmbeddedPostgres
) -> None:
    start_ingest(running, broker, store_url)
    one = device(running, broker)
    send_until_acknowledged(one, 0)
    for seq in range(1, 300):
        one.send("swept/v1/d/u/fix", fix(seq))
        if seq == 100:
            postgres.kill()
    assert eventually(lambda: last_ack(one) == 299)
    assert set(seqs(store_url)) == set(range(300))


def test_after_a_broker_is_killed_ingest_connects_to_the_next_one(
    running: ExitStack, broker: EmbeddedBroker, store_url: str
) -> None:
    start_ingest(running, broker, store_url)
    send_until_acknowledged(device(running, broker), 0)
    broker.kill()
    broker.restart()
    again = device(running, broker)
    send_until_acknowledged(again, 1)
    assert {0, 1} <= set(seqs(store_url))


def test_a_device_that_vanishes_is_offline_by_its_last_will(
    running: ExitStack, broker: EmbeddedBroker, store_url: str
) -> None:
    start_ingest(running, broker, store_url)
    watcher = device(running, broker, "watcher")
    send_until_acknowledged(device(running, broker), 0)
    gone = Device(broker.port, "swept/v1/d/gone/ack", will="swept/v1/d/gone/online")
    gone.send("swept/v1/d/gone/online", b"1", retain=True)
    gone.vanish()

    def words() -> list[bytes]:
        return [r.envelope.payload for r in records(store_url) if r.envelope.key == "gone"]

    assert eventually(lambda: words() == [b"1", b"0"])
    assert watcher.heard == []


def test_the_district_clock_stamps_what_follows_its_echo_and_outlives_a_restart(
    running: ExitStack, broker: EmbeddedBroker, store_url: str
) -> None:
    process = start_ingest(running, broker, store_url)
    one = device(running, broker)
    setter = running.enter_context(closing(Device(broker.port, "swept/v1/d/clock/ack")))
    payload = b'{"start":"2013-05-01T06:00:00+08:00","rate":1.0,"wall":"%s"}'
    payload %= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()).encode()
    setter.send("swept/v1/d/clock", b"not a clock", retain=True)
    setter.send("swept/v1/d/clock", payload, retain=True)
    assert eventually(lambda: setter.heard == [("swept/v1/d/clock/ack", payload)])
    send_until_acknowledged(one, 1)
    process.terminate()
    assert process.wait(WAIT_S) == 0
    setter.send("swept/v1/d/clock/ack", b"", retain=True)
    start_ingest(running, broker, store_url)
    send_until_acknowledged(one, 2)
    start_us = 1_367_359_200_000_000
    for record in records(store_url):
        assert 0 <= record.envelope.received_us - start_us < 600_000_000
    with closing(TableLog(store_url)) as log:
        assert log.clock() == payload


def test_two_of_a_group_share_the_work_and_together_lose_nothing(
    running: ExitStack, broker: EmbeddedBroker, store_url: str
) -> None:
    one = device(running, broker)
    members = [
        start_ingest(running, broker, store_url, "--group", "g", "--client-id", name) for name in ("a", "b")
    ]
    for member in members:
        assert member.stdout is not None
        assert b"connected" in member.stdout.readline()
    send_until_acknowledged(one, 0)
    for seq in range(1, 200):
        one.send("swept/v1/d/u/fix", fix(seq))
    assert eventually(lambda: set(seqs(store_url)) == set(range(200)))
    for member in members:
        member.terminate()
        said, _ = member.communicate(timeout=WAIT_S)
        assert int(said.split(b"ingest: ")[-1].split()[0]) > 0, said


def test_a_topic_with_a_strange_unit_and_a_payload_of_four_megabytes_are_kept_as_they_came(
    running: ExitStack, broker: EmbeddedBroker, store_url: str
) -> None:
    start_ingest(running, broker, store_url)
    one = device(running, broker)
    send_until_acknowledged(one, 0)
    large = os.urandom(4_000_000)
    one.send("swept/v1/d/车/fix", large)
    one.send("swept/v1/d//fix", b"")
    assert eventually(lambda: len({r.envelope.key for r in records(store_url)}) == 3)
    by_key = {record.envelope.key: record.envelope for record in records(store_url)}
    assert by_key["车"].payload == large
    assert by_key[""] == Envelope("", "swept/v1/d//fix", b"", by_key[""].received_us)


def test_it_says_that_it_waits_for_a_store_that_is_not_up_and_ends_when_told(
    running: ExitStack, broker: EmbeddedBroker, tmp_path: Path
) -> None:
    process = start_ingest(running, broker, f"postgresql://postgres@/x?host={tmp_path}")
    assert process.stdout is not None
    assert b"can't be reached" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(WAIT_S) == 0


@pytest.mark.parametrize(
    "option", ["--district=a/b", "--district=#", "--district=" + "a" * 101, "--client-id=a/b", "--group=a+b"]
)
def test_a_name_that_topics_or_brokers_do_not_bear_is_refused_before_anything_starts(option: str) -> None:
    command = [sys.executable, "-m", "swept.main", "ingest", "--mqtt=mqtt://127.0.0.1:1", option]
    command += ["--store=postgresql://127.0.0.1:1/x", "--client-id=x"][: 1 if "client" in option else 2]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"swept: {option.partition('=')[0]} '")
    assert done.stderr.count("\n") == 1


def test_the_store_and_its_acks_agree_after_it_all(
    running: ExitStack, broker: EmbeddedBroker, store_url: str, connection: psycopg.Connection
) -> None:
    start_ingest(running, broker, store_url)
    one = device(running, broker)
    send_until_acknowledged(one, 4)
    one.send("swept/v1/d/u/fix", fix(6))
    one.send("swept/v1/d/u/fix", fix(5))
    assert eventually(lambda: last_ack(one) == 6)
    assert connection.execute("SELECT key, seq FROM device_ack").fetchall() == [("u", 6)]
