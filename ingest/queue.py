"""What the broker says of what it holds for us: Mosquitto tells on $SYS how much, rumqttd tells nothing.

While nothing is acknowledged the broker's queue grows up to its bound, and what comes then is dropped. So half
of the bound is the moment to tell somebody. Bytes are those of payloads, as Mosquitto counts its bound
(max_queued_bytes); in memory a message takes some 350 bytes more.

It has a connection of its own: on that of the messages nothing is read while as many are in hand as may be, which is
when this has to be heard.
"""

from __future__ import annotations

from collections.abc import Callable

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from ingest.subscriber import KEEPALIVE_S, address, introduce

BYTES = "$SYS/broker/store/messages/bytes"
DROPPED = "$SYS/broker/publish/messages/dropped"
TOPICS = (BYTES, DROPPED)
BYTES_MAX = 2_147_483_648
"""max_queued_bytes of the Mosquitto that comes with swept (deploy/mosquitto)."""
RECONNECT_S_MIN, RECONNECT_S_MAX = 1, 30
ALARM_SHARE, QUIET_SHARE = 0.5, 0.25


class BrokerQueue:
    """The last that was heard; None: nothing yet. `report` is told in a line at half, and when it is over."""

    def __init__(self, report: Callable[[str], None] = lambda _: None, bytes_max: int = BYTES_MAX) -> None:
        self.bytes_max = bytes_max
        self.bytes: int | None = None
        self.dropped: int | None = None
        self._report = report
        self._alarmed = False
        self._client: mqtt.Client | None = None

    def watch(self, url: str) -> None:
        """Listen to a broker, in a thread, until `stop`; a broker that is away is asked again."""
        client = self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        introduce(client, url)
        client.reconnect_delay_set(RECONNECT_S_MIN, RECONNECT_S_MAX)
        client.on_connect = lambda client, *_: client.subscribe([(topic, 0) for topic in TOPICS])
        client.on_message = lambda _client, _data, message: self.hear(message.topic, bytes(message.payload))
        client.on_disconnect = lambda *_: self._forget()
        client.connect_async(*address(url), keepalive=KEEPALIVE_S)
        client.loop_start()

    def stop(self) -> None:
        """Listen no more."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def _forget(self) -> None:
        """What is heard no more isn't so any more."""
        self.bytes = self.dropped = None

    def hear(self, mqtt_topic: str, payload: bytes) -> None:
        """Take up a message of one of `TOPICS`; one that is no number is passed over."""
        if not payload.isdigit():
            return
        if mqtt_topic == DROPPED:
            self.dropped = int(payload)
            return
        self.bytes = int(payload)
        share = self.bytes / self.bytes_max
        if share >= ALARM_SHARE and not self._alarmed:
            self._alarmed = True
            self._report(
                f"ingest: the broker holds {self.bytes >> 20} MiB for us, {share:.0%} of what it may; beyond that it "
                "drops what devices send. See why the log takes nothing, or start more ingestors"
            )
        elif share < QUIET_SHARE and self._alarmed:
            self._alarmed = False
            self._report("ingest: the broker's queue is nearly empty again")
