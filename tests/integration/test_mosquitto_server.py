from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from swept import mosquitto_server
from swept.errors import UserError
from swept.mosquitto_server import MosquittoServer

WAIT_S = 30


class Client:
    """A paho client that remembers what it got."""

    def __init__(self, server: MosquittoServer, client_id: str = "", *, session: bool = False) -> None:
        self.got: list[bytes] = []
        self._arrived = threading.Condition()
        self._up = threading.Event()
        self._subscribed = threading.Event()
        self._paho = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id or f"test-{uuid.uuid4().hex}", protocol=mqtt.MQTTv5
        )
        self._paho.on_connect = lambda *_: self._up.set()
        self._paho.on_subscribe = lambda *_: self._subscribed.set()
        self._paho.on_message = self._on_message
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        if session:
            properties.SessionExpiryInterval = 3_600
        self._paho.connect("127.0.0.1", server.port, clean_start=not session, properties=properties)
        self._paho.loop_start()
        assert self._up.wait(WAIT_S)

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        with self._arrived:
            self.got.append(bytes(message.payload))
            self._arrived.notify_all()

    def subscribe(self, mqtt_topic: str) -> None:
        self._paho.subscribe(mqtt_topic, qos=1)
        assert self._subscribed.wait(WAIT_S)

    def publish(self, mqtt_topic: str, payload: bytes, **options: Any) -> None:
        self._paho.publish(mqtt_topic, payload, qos=1, **options).wait_for_publish(WAIT_S)

    def publish_and_see_refused(self, mqtt_topic: str, payload: bytes) -> None:
        """Mosquitto ends the connection over a message that is too large."""
        refused = threading.Event()
        self._paho.on_disconnect = lambda *_: refused.set()
        self._paho.publish(mqtt_topic, payload, qos=1)
        assert refused.wait(WAIT_S)

    def has(self, count: int) -> bool:
        with self._arrived:
            return self._arrived.wait_for(lambda: len(self.got) >= count, WAIT_S)

    def leave(self) -> None:
        self._paho.disconnect()
        self._paho.loop_stop()


def test_sessions_queues_and_retained_messages_outlive_a_restart(mosquitto: MosquittoServer) -> None:
    reader = Client(mosquitto, "reader", session=True)
    reader.subscribe("swept/#")
    reader.leave()
    sender = Client(mosquitto)
    for i in range(500):
        sender.publish("swept/v1/a/b/fix", b"%d" % i)
    sender.publish("swept/v1/a/b/online", b"1", retain=True)
    sender.leave()
    url, pid = mosquitto.url, mosquitto.pid
    mosquitto.stop()
    assert mosquitto.ensure() == url
    assert mosquitto.pid != pid
    again = Client(mosquitto, "reader", session=True)
    assert again.has(501)
    assert again.got[:500] == [b"%d" % i for i in range(500)]
    other = Client(mosquitto)
    other.subscribe("swept/v1/+/+/online")
    assert other.has(1)
    again.leave()
    other.leave()


def test_a_killed_mosquitto_is_started_again_where_it_was(mosquitto: MosquittoServer) -> None:
    url, pid = mosquitto.url, mosquitto.pid
    mosquitto.kill()
    assert mosquitto.pid is None
    assert mosquitto.ensure() == url
    assert mosquitto.pid not in {None, pid}
    Client(mosquitto).leave()


def test_a_message_of_4_mib_passes_and_a_larger_one_is_refused_without_harm_to_others(
    mosquitto: MosquittoServer,
) -> None:
    reader, sender, other = Client(mosquitto), Client(mosquitto), Client(mosquitto)
    reader.subscribe("swept/#")
    largest = bytes(4 * 1024 * 1024)
    sender.publish("swept/v1/a/b/fix", largest)
    assert reader.has(1)
    sender.publish_and_see_refused("swept/v1/a/b/fix", largest + b"x")
    other.publish("swept/v1/a/c/fix", b"after")
    assert reader.has(2)
    assert reader.got == [largest, b"after"]
    for client in (reader, sender, other):
        client.leave()


def test_a_folder_has_one_mosquitto_at_a_time(mosquitto: MosquittoServer) -> None:
    with pytest.raises(UserError, match="in use by process"):
        MosquittoServer(mosquitto.folder).start()


def test_a_configuration_that_mosquitto_refuses_is_told_with_its_words(tmp_path: Path) -> None:
    if lacking := mosquitto_server.missing():
        pytest.skip(lacking)
    server = MosquittoServer(tmp_path / "with a\nline")
    with pytest.raises((RuntimeError, OSError), match="Mosquitto did not start"):
        server.start()
    server.stop()


def test_without_mosquitto_it_says_what_to_install(tmp_path: Path) -> None:
    assert mosquitto_server.missing(path=str(tmp_path)) == "Mosquitto is missing: install mosquitto."
