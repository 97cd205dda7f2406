"""A device on a real MQTT 5 broker: last will, reconnects, and its outbox until `.../ack` empties it.

Driven from outside, without a thread: `tick` connects and sends, `read` and `write` serve its socket. Each
connection is a new client, so that paho's own resending doesn't add to ours.
"""

from __future__ import annotations

import json
import random
import socket
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from simulators.channel import Delivery
from simulators.outbox import Outbox

KEEPALIVE_S = 30
CONNECT_S_MAX = 10.0
RETRY_S, RETRY_S_MAX = 0.25, 5.0


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is; the password has no repr."""

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"

    @classmethod
    def of(cls, url: str) -> Broker:
        """The broker of mqtt://[user:password@]host[:port], or mqtts:// for TLS; ValueError otherwise."""
        parts = urlsplit(url)
        if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname:
            raise ValueError("write the broker as mqtt://host:1883, or mqtts://host:8883 for TLS")
        tls = parts.scheme == "mqtts"
        user, word = (None if part is None else unquote(part) for part in (parts.username, parts.password))
        return cls(parts.hostname, parts.port or (8883 if tls else 1883), tls, user, word)

    def client(self, client_id: str) -> Client:
        """A new client for it, not yet connected."""
        client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5)
        client.connect_timeout = 3.0
        if self.tls:
            client.tls_set()
        if self.username is not None:
            client.username_pw_set(self.username, self.password)
        return client


class Device:
    """One unit's connection and memory."""

    def __init__(self, broker: Broker, district_id: str, unit_id: str, outbox: Outbox) -> None:
        self.unit_id, self.outbox = unit_id, outbox
        self.fault = "not yet connected"
        self.connects = 0
        self._broker, self._base = broker, f"swept/v1/{district_id}/{unit_id}"
        self._client_id = f"device-{district_id}-{unit_id}"
        self._client: Client | None = None
        self._ready = False
        self._failures = 0
        self._retry_s = self._opened_s = 0.0
        self._random = random.Random(unit_id)

    @property
    def ready(self) -> bool:
        """Whether it is connected and listens to acknowledgements."""
        return self._ready

    def offer(self, delivery: Delivery) -> None:
        """Keep a message to send, or send the copy of an earlier one where that is harmless."""
        if not self.outbox.offer(delivery) and self._ready and self.outbox.may_repeat(delivery):
            self._publish(delivery.mqtt_topic, delivery.payload)

    def tick(self) -> None:
        """Connect, send what is due, keep the connection alive."""
        now_s = monotonic()
        if self._client is None:
            if now_s >= self._retry_s:
                self._open(now_s)
            return
        if self._ready:
            for delivery in self.outbox.take(now_s):
                if not self._publish(delivery.mqtt_topic, delivery.payload):
                    return
        elif now_s - self._opened_s > CONNECT_S_MAX:
            self._fail("no answer to CONNECT")
            return
        self._check(self._client.loop_misc())

    def socket(self) -> tuple[socket.socket, bool] | None:
        """The socket to wait on, and whether to wait for writing too."""
        own: Any = None if self._client is None else self._client.socket()
        return None if own is None or self._client is None else (own, self._client.want_write())

    def read(self) -> None:
        """The socket is readable."""
        if self._client is not None:
            self._check(self._client.loop_read())

    def write(self) -> None:
        """The socket is writable."""
        if self._client is not None:
            self._check(self._client.loop_write())

    def close(self) -> None:
        """Say that the unit is off and disconnect."""
        client, self._client = self._client, None
        if client is None:
            return
        if self._ready:
            client.publish(f"{self._base}/online", b"0", qos=1, retain=True)
        self._ready = False
        client.disconnect()
        client.loop_write()

    def _open(self, now_s: float) -> None:
        client = self._broker.client(self._client_id)
        client.max_inflight_messages_set(100)
        client.will_set(f"{self._base}/online", b"0", qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        self._client, self._opened_s = client, now_s
        try:
            client.connect(self._broker.host, self._broker.port, KEEPALIVE_S)
        except OSError as error:
            self._fail(str(error))
            return
        own: Any = client.socket()
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # an acknowledgement waits for nothing

    def _publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        if self._client is None:
            return False
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        queued = info.rc in {MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_QUEUE_SIZE}
        if not queued:
            self._fail(f"publish: {info.rc.name}")
        return queued

    def _check(self, code: MQTTErrorCode) -> None:
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS and self._client is not None:
            self._fail(code.name)

    def _fail(self, fault: str) -> None:
        """Let the connection go and try again after a capped and jittered pause."""
        client, self._client, self._ready = self._client, None, False
        self.fault = fault
        pause_s = min(RETRY_S_MAX, RETRY_S * 2.0 ** min(self._failures, 10))
        self._failures += 1
        self._retry_s = monotonic() + pause_s * self._random.uniform(0.5, 1.0)
        own: Any = None if client is None else client.socket()
        if own is not None:
            own.close()

    def _on_connect(self, client: Client, _: object, __: object, reason: ReasonCode, ___: object) -> None:
        if client is not self._client:
            return
        if reason.is_failure:
            self._fail(f"the broker refuses the connection: {reason}")
            return
        client.subscribe(f"{self._base}/ack", qos=1)

    def _on_subscribe(
        self, client: Client, _: object, __: int, reasons: list[ReasonCode], ___: object
    ) -> None:
        """Only now can an acknowledgement be heard, so only now is anything sent."""
        if client is not self._client:
            return
        if any(reason.is_failure for reason in reasons):
            self._fail("the broker refuses the subscription to our acknowledgements")
            return
        self._ready, self._failures, self.fault = True, 0, ""
        self.connects += 1
        self.outbox.restart(monotonic())
        self._publish(f"{self._base}/online", b"1", retain=True)

    def _on_message(self, client: Client, _: object, message: MQTTMessage) -> None:
        if client is not self._client:
            return
        try:
            seq = json.loads(message.payload)["seq"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return  # an acknowledgement that isn't readable acknowledges nothing
        if isinstance(seq, int):
            self.outbox.acknowledge(seq, monotonic())

    def _on_disconnect(self, client: Client, _: object, __: object, reason: ReasonCode, ___: object) -> None:
        if client is self._client:
            self._fail(f"disconnected: {reason}")
