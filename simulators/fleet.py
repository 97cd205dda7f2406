"""Many devices from one process and one thread, played in real time or N times faster.

First the district's clock is set, so that `received_at` is right from the first message on; then messages
are offered to the devices as they become due. The fleet has finished when everything was delivered and
acknowledged, or when nothing is any more; then it says honestly what wasn't.
"""

from __future__ import annotations

import json
import selectors
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event, Semaphore

from paho.mqtt.client import Client, MQTTMessage

from processing.service_day import US, from_us
from simulators.channel import Delivery
from simulators.device import Broker, Device
from simulators.outbox import Outbox

ECHO_S_MAX = 10.0
#: How long the fleet sleeps at most; resends and keepalives need no finer clock.
SLEEP_S_MAX = 0.1
TOLD_EVERY_S = 0.2


class ClockError(RuntimeError):
    """The district's clock could not be set; the message says what to do."""


@dataclass(frozen=True, slots=True)
class DistrictClock:
    """The district's time: `start_us` at the wall clock's `wall_us`, then `rate` times as fast."""

    start_us: int
    rate: float
    wall_us: int

    @classmethod
    def from_now(cls, start_us: int, rate: float) -> DistrictClock:
        """A clock that shows `start_us` now."""
        return cls(start_us, rate, time.time_ns() // 1_000)

    def now_us(self) -> int:
        """What it shows now."""
        return self.start_us + round(self.rate * (time.time_ns() // 1_000 - self.wall_us))

    def payload(self) -> bytes:
        """The retained message that sets it."""
        start, wall = from_us(self.start_us).isoformat(), from_us(self.wall_us).isoformat()
        return json.dumps({"start": start, "rate": self.rate, "wall": wall}).encode()


def set_clock(
    broker: Broker,
    district_id: str,
    clock: DistrictClock,
    echo_s_max: float = ECHO_S_MAX,
    *,
    ingestors: int = 1,
) -> None:
    """Publish the clock, retained, and wait until each of the ingestors echoes the very same payload."""
    topic, payload, heard = f"swept/v1/{district_id}/clock", clock.payload(), Semaphore(0)
    refused: list[str] = []

    def on_connect(client: Client, _: object, __: object, reason: object, ___: object) -> None:
        if getattr(reason, "is_failure", False):
            refused.append(str(reason))
            return
        client.subscribe(f"{topic}/ack", qos=1)

    def on_subscribe(client: Client, *_: object) -> None:
        client.publish(topic, payload, qos=1, retain=True)

    def on_message(_: Client, __: object, message: MQTTMessage) -> None:
        if message.payload == payload:
            heard.release()

    client = broker.client(f"clock-{district_id}-{clock.wall_us}")
    client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
    try:
        client.connect(broker.host, broker.port, 30)
    except OSError as error:
        raise ClockError(f"no MQTT broker at {broker!r} ({error}); start it or name another") from error
    client.loop_start()
    try:
        deadline_s = time.monotonic() + echo_s_max
        echoes = 0
        while echoes < ingestors:
            echoes += heard.acquire(timeout=0.05)
            if refused:
                raise ClockError(
                    f"the broker at {broker!r} refuses us: {refused[0]}; check user and password"
                )
            if time.monotonic() > deadline_s:
                raise ClockError(f"nobody takes the district's clock at {broker!r}; start swept ingest there")
    finally:
        client.disconnect()
        client.loop_stop()


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a fleet is: the district's time, and messages in all, due so far, sent and acknowledged."""

    now_us: int
    total: int
    due: int
    sent: int
    acknowledged: int
    connected: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it; `unacknowledged` and `faults` name units that weren't emptied or reached."""

    sent: int
    resent: int
    acknowledged: int
    dropped: int
    connects: int
    unacknowledged: dict[str, int]
    faults: dict[str, str]

    @property
    def complete(self) -> bool:
        """Whether all is durable."""
        return not self.unacknowledged and self.dropped == 0


class Fleet:
    """Devices for all units of a run; `settle_s` without an acknowledgement ends the wait for the rest."""

    def __init__(
        self,
        broker: Broker,
        district_id: str,
        unit_ids: Sequence[str],
        *,
        resend_s: float = 30.0,
        kept_max: int = 100_000,
        settle_s: float = 120.0,
    ) -> None:
        self.devices = {
            unit_id: Device(broker, district_id, unit_id, Outbox(kept_max, resend_s)) for unit_id in unit_ids
        }
        self._settle_s = settle_s

    def play(
        self,
        deliveries: Sequence[Delivery],
        clock: DistrictClock,
        told: Callable[[Progress], None] | None = None,
        stop: Event | None = None,
    ) -> Outcome:
        """Deliver all messages (in order of their moment) by the clock, or until `stop` is set."""
        due, told_s, acknowledged, moved_s = 0, 0.0, -1, time.monotonic()
        try:
            while stop is None or not stop.is_set():
                now_us = clock.now_us()
                while due < len(deliveries) and deliveries[due].deliver_at_us <= now_us:
                    self.devices[deliveries[due].unit_id].offer(deliveries[due])
                    due += 1
                for device in self.devices.values():
                    device.tick()
                progress = self._progress(now_us, len(deliveries), due)
                now_s = time.monotonic()
                if progress.acknowledged > acknowledged or due < len(deliveries):
                    acknowledged, moved_s = progress.acknowledged, now_s
                if told is not None and now_s - told_s >= TOLD_EVERY_S:
                    told_s = now_s
                    told(progress)
                done = due == len(deliveries)
                if done and (not self._waiting() or now_s - moved_s > self._settle_s):
                    break
                self._serve(_pause_s(deliveries[due], now_us, clock) if not done else SLEEP_S_MAX)
            if told is not None:
                told(self._progress(clock.now_us(), len(deliveries), due))
            return self._outcome()
        finally:
            for device in self.devices.values():
                device.close()

    def _serve(self, pause_s: float) -> None:
        """Wait for the sockets, `pause_s` at most, and serve those that are ready."""
        with selectors.DefaultSelector() as selector:
            for device in self.devices.values():
                if (waiting := device.socket()) is not None:
                    own, writes = waiting
                    events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writes else 0)
                    selector.register(own, events, device)
            if not selector.get_map():
                time.sleep(pause_s)
                return
            for key, events in selector.select(pause_s):
                if events & selectors.EVENT_READ:
                    key.data.read()
                if events & selectors.EVENT_WRITE:
                    key.data.write()

    def _waiting(self) -> bool:
        return any(device.outbox.kept for device in self.devices.values())

    def _progress(self, now_us: int, total: int, due: int) -> Progress:
        boxes = [device.outbox for device in self.devices.values()]
        connected = sum(device.ready for device in self.devices.values())
        sent, acknowledged = sum(box.sent for box in boxes), sum(box.acknowledged for box in boxes)
        return Progress(now_us, total, due, sent, acknowledged, connected)

    def _outcome(self) -> Outcome:
        devices = self.devices.values()
        return Outcome(
            sent=sum(device.outbox.sent for device in devices),
            resent=sum(device.outbox.resent for device in devices),
            acknowledged=sum(device.outbox.acknowledged for device in devices),
            dropped=sum(device.outbox.dropped for device in devices),
            connects=sum(device.connects for device in devices),
            unacknowledged={d.unit_id: len(d.outbox.kept) for d in devices if d.outbox.kept},
            faults={d.unit_id: d.fault for d in devices if d.fault},
        )


def _pause_s(following: Delivery, now_us: int, clock: DistrictClock) -> float:
    """Seconds of the wall until the next message is due."""
    return min(SLEEP_S_MAX, max(0.0, (following.deliver_at_us - now_us) / US / clock.rate))
