"""The MQTT 5 session of ingest: what arrives, kept until acknowledged, and what we publish.

A persistent session of a fixed client id, QoS 1, acknowledged by hand. The receive maximum is the
backpressure: the broker sends no more than that unacknowledged, and from one that does (rumqttd sends 100
whatever it is told) we read no more. One thread owns the socket and paho's
client; all other threads meet it through a bounded inbox and an outbox. A packet id means something only
in the connection it came by, so an arrival carries its connection's number and is acknowledged only there.
"""

from __future__ import annotations

import contextlib
import random
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ingest.stats import Stats

RECEIVE_MAXIMUM = 2_000
SESSION_EXPIRY_S = 7 * 86_400
"""How long the broker keeps what comes while we are away; its own limits may be lower."""
KEEPALIVE_S = 30
HELD_BYTES_MAX = 64 * 1024 * 1024
"""Payload bytes in hand beyond which we stop reading the socket: 2,000 messages of 1 MiB are too many."""
BACKOFF_S_MIN, BACKOFF_S_MAX = 0.2, 2.0
STOP_S_MAX = 5.0
TOLD_MAX = 1_000
"""Messages to other members that wait for the connection; the oldest are dropped."""


class Arrival(NamedTuple):
    """A message as it came, and what its acknowledgement needs."""

    connection: int
    mid: int
    qos: int
    mqtt_topic: str
    payload: bytes
    wall_us: int
    arrived_s: float


@dataclass(frozen=True, slots=True)
class Session:
    """Where and as whom we subscribe; with a `group` the `shared` topics are spread over its members.

    On topics `between` them members tell each other what they needn't hear if they are away.
    """

    url: str
    client_id: str
    shared: tuple[str, ...]
    own: tuple[str, ...] = ()
    between: tuple[str, ...] = ()
    group: str | None = None
    receive_maximum: int = RECEIVE_MAXIMUM

    @property
    def subscriptions(self) -> list[tuple[str, SubscribeOptions]]:
        """What to subscribe to: at QoS 1, and what members tell each other at QoS 0."""
        prefix = f"$share/{self.group}/" if self.group else ""
        topics = [prefix + topic for topic in self.shared] + list(self.own)
        return [
            *((topic, SubscribeOptions(qos=1)) for topic in topics),
            *((topic, SubscribeOptions(qos=0, noLocal=True)) for topic in self.between),
        ]


class Subscriber:
    """Connects, and connects again, until `stop`; `report` is told in a line when that changes."""

    def __init__(
        self, session: Session, stats: Stats, report: Callable[[str], None] = lambda _: None
    ) -> None:
        self.session = session
        self._stats = stats
        self._report = report
        self._inbox: deque[Arrival] = deque()
        self._arrived = threading.Condition()
        self._held = 0
        self._held_bytes = 0
        self._done: deque[Sequence[Arrival]] = deque()
        self._outbox: dict[str, tuple[bytes, int, bool]] = {}
        self._outbox_lock = threading.Lock()
        self._told: deque[tuple[str, bytes]] = deque(maxlen=TOLD_MAX)
        self._connection = 0
        self._connected = False
        self._stopping = threading.Event()
        self._fault: BaseException | None = None
        self._delay_s = BACKOFF_S_MIN
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.settimeout(0)
        self._wake_write.settimeout(0)
        self._client = self._make_client()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    @property
    def waiting(self) -> int:
        """Messages that arrived and are not acknowledged yet."""
        return self._held

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and the connection stands."""
        return self._connected

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._thread.start()

    def take(self, count_max: int, timeout_s: float) -> list[Arrival]:
        """Up to `count_max` arrivals in order; an empty list when none came in time.

        Raises what ended the network thread, if it has ended by a fault: nothing will come any more.
        """
        if self._fault is not None:
            raise self._fault
        with self._arrived:
            if not self._inbox:
                self._arrived.wait(timeout_s)
            count = min(count_max, len(self._inbox))
            return [self._inbox.popleft() for _ in range(count)]

    def acknowledge(self, arrivals: Sequence[Arrival]) -> None:
        """Tell the broker that these are durable; call once for every arrival taken."""
        self._done.append(arrivals)
        self._wake()

    def publish(self, mqtt_topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> None:
        """Publish when connected; of several payloads for one topic the last one counts."""
        with self._outbox_lock:
            self._outbox[mqtt_topic] = (payload, qos, retain)

    def tell(self, mqtt_topic: str, payload: bytes) -> None:
        """Publish each of these in its order, before what is published; at QoS 0, so it may be lost."""
        self._told.append((mqtt_topic, payload))

    def flush(self) -> None:
        """Send now what was told and published."""
        self._wake()

    def stop(self) -> None:
        """Send what was acknowledged and published, disconnect (the session stays), end the thread."""
        self._stopping.set()
        self._wake()
        with self._arrived:
            self._arrived.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self._wake_read.close()
        self._wake_write.close()

    # The network thread

    def _make_client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.session.client_id,
            protocol=mqtt.MQTTv5,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        # With this callback set, paho leaves all writing to our loop.
        client.on_socket_register_write = lambda *_: None
        introduce(client, self.session.url)
        return client

    def _run(self) -> None:
        try:
            self._connect_again_and_again()
        except BaseException as fault:  # noqa: BLE001 - raised to whoever takes
            self._fault = fault

    def _connect_again_and_again(self) -> None:
        while not self._stopping.is_set():
            try:
                self._connect()
                self._serve()
            except OSError as error:
                self._report(f"ingest: no connection to the broker at {self._where()}: {error}; trying again")
            if not self._stopping.is_set():
                self._stopping.wait(self._delay_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                self._delay_s = min(2 * self._delay_s, BACKOFF_S_MAX)

    def _where(self) -> str:
        host, port = address(self.session.url)
        return f"{host}:{port}"

    def _connect(self) -> None:
        host, port = address(self.session.url)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        properties.ReceiveMaximum = self.session.receive_maximum
        self._connection += 1
        self._client.connect(
            host,
            port,
            keepalive=KEEPALIVE_S,
            clean_start=False,
            properties=properties,
        )

    def _serve(self) -> None:
        """Move packets until the connection ends, or we stop and everything is sent."""
        client = self._client
        while (connection := client.socket()) is not None:
            if self._stopping.is_set():
                self._leave()
                return
            readers: list[Any] = [self._wake_read]
            if self._has_room():
                readers.append(connection)
            writers = [connection] if client.want_write() else []
            readable, _, _ = select.select(readers, writers, [], 1.0)
            if connection in readable or self._tls_pending(connection):
                self._read()
            if self._wake_read in readable:
                with contextlib.suppress(BlockingIOError):
                    self._wake_read.recv(4096)
            self._send()
            client.loop_misc()

    def _read(self) -> None:
        """Read packets as long as they are messages and there is room, a bounded number in a go."""
        for _ in range(200):
            before = self._stats.received
            if self._client.loop_read() != mqtt.MQTT_ERR_SUCCESS:
                return
            if self._stats.received == before or not self._has_room():
                return

    @staticmethod
    def _tls_pending(connection: object) -> bool:
        pending = getattr(connection, "pending", None)
        return bool(pending is not None and pending() > 0)

    def _has_room(self) -> bool:
        return self._held < self.session.receive_maximum and self._held_bytes < HELD_BYTES_MAX

    def _send(self) -> None:
        """Acknowledgements first, then what was published; those of an earlier connection are void."""
        while self._done:
            arrivals = self._done.popleft()
            current = [arrival for arrival in arrivals if arrival.connection == self._connection]
            for arrival in current:
                if arrival.qos:
                    self._client.ack(arrival.mid, arrival.qos)
            with self._arrived:
                self._held -= len(arrivals)
                self._held_bytes -= sum(map(_size, arrivals))
            self._stats.stale += len(arrivals) - len(current)
            self._stats.acknowledged += len(current)
            self._stats.latencies([arrival.arrived_s for arrival in current], time.monotonic())
        if self._connected:
            while self._told:
                self._client.publish(*self._told.popleft(), qos=0)
            with self._outbox_lock:
                outbox, self._outbox = self._outbox, {}
            for mqtt_topic, (payload, qos, retain) in outbox.items():
                self._client.publish(mqtt_topic, payload, qos, retain)
        if self._client.want_write():
            self._client.loop_write()

    def _leave(self) -> None:
        """Disconnect once all is written; what can't be written in time is redelivered."""
        self._send()
        self._client.disconnect()
        deadline = time.monotonic() + STOP_S_MAX
        while self._client.want_write() and time.monotonic() < deadline:
            connection = self._client.socket()
            if connection is None:
                return
            select.select([], [connection], [], 0.1)
            self._client.loop_write()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full is as good as written
            self._wake_write.send(b"w")

    # paho's callbacks, in the network thread

    def _on_connect(
        self, client: mqtt.Client, _data: object, _flags: object, reason: ReasonCode, _p: object
    ) -> None:
        if reason.is_failure:
            self._report(f"ingest: the broker at {self._where()} refused us: {reason}; trying again")
            return
        self._connected = True
        self._delay_s = BACKOFF_S_MIN
        self._stats.connections += 1
        client.subscribe(self.session.subscriptions)
        self._report(f"ingest: connected to the broker at {self._where()} as {self.session.client_id}")

    def _on_disconnect(self, _c: mqtt.Client, _data: object, _flags: object, reason: Any, _p: object) -> None:  # noqa: ANN401
        if self._connected and not self._stopping.is_set():
            self._report(f"ingest: the connection to {self._where()} ended ({reason}); trying again")
        self._connected = False

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        arrival = Arrival(
            self._connection,
            message.mid,
            message.qos,
            _text(message),
            bytes(message.payload),
            time.time_ns() // 1000,
            time.monotonic(),
        )
        self._stats.received += 1
        with self._arrived:
            self._held += 1
            self._held_bytes += _size(arrival)
            self._inbox.append(arrival)
            self._arrived.notify()


def introduce(client: mqtt.Client, url: str) -> None:
    """Give a client the user, the password and the TLS that a broker's URL asks for."""
    where = urlsplit(url)
    if where.username is not None:
        client.username_pw_set(unquote(where.username), unquote(where.password or ""))
    if where.scheme == "mqtts":
        client.tls_set()


def address(url: str) -> tuple[str, int]:
    """Host and port of a broker's URL."""
    where = urlsplit(url)
    return where.hostname or "127.0.0.1", where.port or (8883 if where.scheme == "mqtts" else 1883)


def _size(arrival: Arrival) -> int:
    """Bytes in hand; a topic may have 64 KiB too."""
    return len(arrival.payload) + len(arrival.mqtt_topic)


def _text(message: mqtt.MQTTMessage) -> str:
    """The topic as text that a database can hold, whatever a broken client made of it."""
    try:
        topic = message.topic
    except UnicodeDecodeError:
        raw: bytes = message._topic  # noqa: SLF001 - paho gives no other way to what isn't UTF-8
        topic = raw.decode("utf-8", "backslashreplace")
    return topic.replace("\0", "\ufffd")
