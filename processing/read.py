"""Many messages at once: their reports as columns.

It says what decode.py says of the same messages one by one, bit for bit, at a fraction of the cost. Only what is plain
goes this way: messages of fixes that are good as a whole. Each is decoded by itself, so that none can spill into the
one beside it, and all that isn't plain is given to decode.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from processing.batch import Batch, floats, integers, numbers
from processing.datum import to_wgs84
from processing.decode import (
    FAST,
    NO_EQUIPMENT,
    NULL_DEG,
    PAYLOAD_BYTES_MAX,
    REPORTS_MAX,
    Decoded,
    Directory,
    SentFix,
    decode,
    fix_topic,
)
from processing.fields import US_PER_MS
from processing.fix import EQUIPMENT, LEVELS, OFF, ON, UNKNOWN, Kind, Reason, Rejection, Report, ReportColumns
from processing.service_day import EPOCH, US, to_us

#: Instants beyond this many microseconds are left to decode.py, which has words for them.
_US_MAX = 1 << 62
_STATES = {None: UNKNOWN, False: OFF, True: ON}


class Message(Protocol):
    """What a batch is read from, such as the log's envelopes."""

    @property
    def mqtt_topic(self) -> str:
        """Says whose message it is."""

    @property
    def payload(self) -> bytes:
        """The bytes that the device sent."""

    @property
    def received_us(self) -> int:
        """When ingest first saw them."""

    @property
    def key(self) -> str:
        """The unit, as ingest took it from the topic."""


@dataclass(frozen=True, slots=True)
class Read:
    """What messages hold. Refusals come with the message they are in and their number in it.

    `online` has for each unit whether it is connected, and the message that says so, the last one; `odd` are the
    messages that had to be read one by one.
    """

    batch: Batch
    refused: tuple[tuple[Rejection, int, int], ...]
    online: Mapping[str, tuple[bool, int]]
    odd: tuple[int, ...]


class BatchReader:
    """Reads the messages of a district's units."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self._unit_ids = tuple(sorted(directory.units))
        topics = ((fix_topic(unit_id, directory), number) for number, unit_id in enumerate(self._unit_ids))
        self._topics = {topic: number for topic, number in topics if topic is not None}
        self._datums = tuple(directory.units[unit_id].profile.datum for unit_id in self._unit_ids)
        self._shifted = np.array([datum != "WGS-84" for datum in self._datums], dtype=bool)

    def read(self, messages: Sequence[Message]) -> Read:
        """The reports, refusals and presence in messages; what can't be decoded at all is refused as `bad_field`."""
        try:
            batch, odd = self._plain(messages)
        except Exception:  # noqa: BLE001 - a fault in here must not hold up the line
            batch, odd = Batch.of(self._unit_ids), list(range(len(messages)))
        placed: list[tuple[Report, int, int]] = []
        refused: list[tuple[Rejection, int, int]] = []
        online: dict[str, tuple[bool, int]] = {}
        for number in odd:
            decoded = self._decoded(messages[number])
            placed += ((report, number, element) for element, report in enumerate(decoded.reports))
            refused += ((one, number, element) for element, one in enumerate(decoded.rejections))
            if decoded.online is not None:
                unit_id, state = decoded.online
                online[unit_id] = state, number
        if placed:
            batch = batch.joined(Batch.of(self._unit_ids, placed))
        return Read(batch, tuple(refused), online, tuple(odd))

    def _decoded(self, message: Message) -> Decoded:
        topic, payload, received_us = message.mqtt_topic, message.payload, message.received_us
        try:
            return decode(topic, payload, received_us, self.directory)
        except Exception as error:  # noqa: BLE001 - whatever it is, the line goes on and the bytes are kept
            detail = f"decoding failed: {error!r}"[:1_000]
            return Decoded(
                (), (Rejection(Reason.BAD_FIELD, detail, topic, payload, received_us, message.key),)
            )

    def _plain(self, messages: Sequence[Message]) -> tuple[Batch, list[int]]:
        """The reports of messages of fixes that are good as a whole, and the numbers of all other messages."""
        sent: list[SentFix] = []
        taken: list[tuple[int, int, int, int]] = []
        for place, message in enumerate(messages):
            unit, payload = self._topics.get(message.mqtt_topic), message.payload
            if unit is None or len(payload) > PAYLOAD_BYTES_MAX:
                continue
            try:
                found = FAST[Kind.FIX].decode(payload)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                continue
            found = found if type(found) is list else [found]
            if len(found) <= REPORTS_MAX:
                sent += found
                taken.append((place, unit, message.received_us, len(found)))
        told = np.array(taken, dtype=np.int64).reshape(-1, 4).T
        number, unit, received_us = np.repeat(told[:3], told[3], axis=1)
        batch, good = self._columns(sent, unit, received_us, number, _within(told[3]))
        odd = np.ones(len(messages), dtype=bool)
        odd[told[0]] = False
        odd[batch.message[~good]] = True
        return batch.take(~odd[batch.message]), np.flatnonzero(odd).tolist()

    def _columns(
        self,
        sent: Sequence[SentFix],
        unit: NDArray[np.int64],
        received_us: NDArray[np.int64],
        message: NDArray[np.int64],
        element: NDArray[np.int64],
    ) -> tuple[Batch, NDArray[np.bool_]]:
        """Fixes as columns, and which of them can't be refused; of the others the place is nonsense."""
        moment_us = _moments_us(_each("time", sent))
        lon, lat = floats(_each("lon", sent)), floats(_each("lat", sent))
        good = self._timely(moment_us, received_us) & _on_earth(lon, lat) & self._own(sent, unit)
        lon, lat = self._wgs84(unit, np.where(good, lon, 0.0), np.where(good, lat, 0.0))
        equipment = [one.equipment or NO_EQUIPMENT for one in sent]
        reports = ReportColumns(
            moment_us,
            np.full(len(sent), int(Kind.FIX), dtype=np.int8),
            _rounded(lon, 1e7),
            _rounded(lat, 1e7),
            _rounded(floats(_each("speed_kmh", sent)), 1e2),
            _rounded(floats(_each("heading_deg", sent)), 1e2) % 360.0,
            _rounded(floats(_each("accuracy_m", sent)), 1e2),
            np.stack([_states(_each(name, equipment)) for name in EQUIPMENT], axis=1),
            np.stack([_rounded(floats(_each(name, equipment)), 1e2) for name in LEVELS], axis=1),
        )
        batch = Batch(
            self._unit_ids,
            unit,
            reports,
            received_us,
            floats(_each("satellites", sent)),
            *numbers(_each("seq", sent)),
            np.array(_each("historical", sent), dtype=bool),
            np.full(len(sent), None, dtype=object),
            message,
            element,
        )
        return batch, good

    def _timely(self, moment_us: NDArray[np.int64], received_us: NDArray[np.int64]) -> NDArray[np.bool_]:
        rules, ahead_us = self.directory.rules, moment_us - received_us
        in_time = (ahead_us <= rules.future_s_max * US) & (-ahead_us <= rules.late_s_max * US)
        return in_time & (moment_us > -_US_MAX)

    def _own(self, sent: Sequence[SentFix], unit: NDArray[np.int64]) -> NDArray[np.bool_] | bool:
        """Whether unit and district, where a report names them, are those of its topic."""
        units, districts = _each("unit", sent), _each("district", sent)
        if units.count(None) == districts.count(None) == len(sent):
            return True
        own = [None, self.directory.district_id]
        return np.array(
            [
                named in {None, self._unit_ids[number]} and district in own
                for named, district, number in zip(units, districts, unit.tolist(), strict=True)
            ]
        )

    def _wgs84(
        self, unit: NDArray[np.int64], lon: NDArray[np.float64], lat: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """WGS-84 degrees of positions in each unit's datum, changed in place."""
        for row in np.flatnonzero(self._shifted[unit]).tolist():
            lon[row], lat[row] = to_wgs84(float(lon[row]), float(lat[row]), self._datums[unit[row]])
        return lon, lat


def _each(name: str, sent: Sequence[object]) -> list[Any]:
    return list(map(attrgetter(name), sent))


def _states(values: list[bool | None]) -> NDArray[np.int8]:
    if values.count(None) == len(values):
        return np.full(len(values), UNKNOWN, dtype=np.int8)
    return np.fromiter(map(_STATES.__getitem__, values), np.int8, len(values))


def _rounded(values: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """As `ten_millionths` and `hundredths`: of two as near the even one, and zero has no sign."""
    return (np.rint(values * scale) + 0.0) / scale


def _on_earth(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether there is a position at all; NaN is none."""
    null = (abs(lon) < NULL_DEG) & (abs(lat) < NULL_DEG)
    return (abs(lon) <= 180.0) & (abs(lat) <= 90.0) & ~null


def _moments_us(times: list[Any]) -> NDArray[np.int64]:
    """Microseconds since 1970 UTC; -2^62 where a time needs a closer look."""
    try:
        since = [time - EPOCH for time in times]
    except TypeError:  # not all are datetimes with a zone
        return integers([_moment_us(time) for time in times])
    days, seconds, us = (integers(_each(name, since)) for name in ("days", "seconds", "microseconds"))
    return (days * 86_400 + seconds) * US + us


def _moment_us(time: datetime | float | None) -> int:
    if isinstance(time, datetime):
        return -_US_MAX if time.tzinfo is None else to_us(time)
    if time is None or not -_US_MAX < time * US_PER_MS < _US_MAX:
        return -_US_MAX
    return round(time * US_PER_MS)


def _within(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, 2, ... for each of these counts."""
    ends = np.cumsum(counts)
    return np.arange(int(counts.sum())) - np.repeat(ends - counts, counts)
