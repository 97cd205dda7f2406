"""From measured reports to what is delivered when: delay, loss, duplicates, reorder, outages, clock error.

Pure. A device numbers its reports (`seq`) in the order in which it first sends them, so that an
acknowledgement of n speaks for all before it, whatever was reordered on the way to the modem.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as validated

from processing.fix import Kind
from processing.service_day import US, from_us
from simulators.receiver import Measured

#: Most reports in one message after an outage.
BATCH_MAX = 100
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Amount = Annotated[float, Field(ge=0.0)]
TOPIC = {Kind.FIX: "fix", Kind.EQUIPMENT: "equipment"}


@validated(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class Channel:
    """How reports travel; shares are of messages, rates per hour, times in seconds."""

    delay_s: Amount = 0.5
    loss_share: Share = 0.0
    resend_s: Amount = 20.0
    duplicate_share: Share = 0.0
    reorder_share: Share = 0.0
    reorder_s: Amount = 30.0
    outages_per_h: Amount = 0.0
    outage_s: Amount = 300.0
    #: Standard deviation of each unit's constant clock error.
    clock_error_s: Amount = 0.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message at the broker's door; `seq` is the highest in it, 0 where it has none."""

    deliver_at_us: int
    unit_id: str
    mqtt_topic: str
    payload: bytes
    seq: int


def transmit(
    reports: Sequence[Measured], district_id: str, channel: Channel, timezone: str, rng: np.random.Generator
) -> list[Delivery]:
    """The deliveries of one unit's reports, in order."""
    if not reports:
        return []
    n = len(reports)
    error_us = round(rng.normal() * channel.clock_error_s * 1_000) * 1_000
    measured = np.array([report.measured_us for report in reports], dtype=np.int64)
    extra = rng.exponential(1.0, n) * channel.delay_s
    extra += (rng.random(n) < channel.loss_share) * channel.resend_s
    extra += (rng.random(n) < channel.reorder_share) * channel.reorder_s * rng.random(n)
    leave, stored = _outages(measured, channel, rng)
    send_us = leave + (extra * US).astype(np.int64)
    zone = ZoneInfo(timezone)
    order = sorted(range(n), key=lambda i: (int(send_us[i]), i))
    bodies = [
        _body(reports[i], error_us, zone, seq=place + 1, historical=bool(stored[i]))
        for place, i in enumerate(order)
    ]
    rows = [(int(send_us[i]), reports[i].kind, bool(stored[i]), bodies[k]) for k, i in enumerate(order)]
    deliveries = _messages(rows, reports[0].unit_id, district_id)
    again = rng.random(len(deliveries)) < channel.duplicate_share
    late_us = (rng.exponential(10.0, len(deliveries)) * US).astype(np.int64)
    copies = [
        Delivery(d.deliver_at_us + int(late_us[i]), d.unit_id, d.mqtt_topic, d.payload, d.seq)
        for i, d in enumerate(deliveries)
        if again[i]
    ]
    return sorted(deliveries + copies, key=lambda d: (d.deliver_at_us, d.seq))


def _outages(
    measured: np.ndarray[tuple[int], np.dtype[np.int64]], channel: Channel, rng: np.random.Generator
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.bool_]]]:
    """When each report leaves the device: at once, or after the outage in which it was measured."""
    leave, stored = measured.copy(), np.zeros(len(measured), dtype=bool)
    hours = (measured[-1] - measured[0]) / US / 3_600.0
    starts = np.sort(rng.uniform(measured[0], measured[-1], rng.poisson(channel.outages_per_h * hours)))
    for start in starts.tolist():
        end = int(start + channel.outage_s * US * rng.uniform(0.5, 1.5))
        rows = (leave >= start) & (leave < end)
        leave[rows], stored[rows] = end, True
    return leave, stored


def _body(
    report: Measured, error_us: int, zone: ZoneInfo, *, seq: int, historical: bool
) -> dict[str, object]:
    moment = from_us(report.measured_us + error_us).astimezone(zone)
    body: dict[str, object] = {"time": moment.isoformat(timespec="milliseconds"), **report.body, "seq": seq}
    if historical:
        body["historical"] = True
    return body


def _messages(
    rows: Sequence[tuple[int, Kind, bool, dict[str, object]]], unit_id: str, district_id: str
) -> list[Delivery]:
    """One message a report; reports stored in an outage go in arrays, kind by kind, in order of seq."""
    deliveries: list[Delivery] = []
    for (kind, stored), group in groupby(rows, key=lambda row: (row[1], row[2])):
        members = list(group)
        size = BATCH_MAX if stored else 1
        for start in range(0, len(members), size):
            part = members[start : start + size]
            bodies = [row[3] for row in part]
            payload = json.dumps(bodies if stored else bodies[0], separators=(",", ":")).encode()
            topic = f"swept/v1/{district_id}/{unit_id}/{TOPIC[kind]}"
            seq = bodies[-1]["seq"]
            assert isinstance(seq, int)
            deliveries.append(Delivery(part[-1][0], unit_id, topic, payload, seq))
    return deliveries
