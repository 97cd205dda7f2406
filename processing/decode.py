"""The device contract, version 1: a message's bytes become reports and rejections, never an exception.

A good message takes the fast path: msgspec decodes it whole into typed values within their bounds. Where that
fails, or an element is refused, the slow path takes it apart (elements.py): each element ends as exactly one
`Report` or `Rejection` with its own original bytes, so a bad report never loses a good one beside it. Only
time, place, unit and district can refuse a report; any other field that can't be read is unknown, and what
was sent stays in `extra`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec

from processing.datum import to_wgs84
from processing.district import District, Unit
from processing.elements import elements
from processing.fields import (
    ACCURACY_M_MAX,
    HEADING_DEG_MAX,
    PERCENT_MAX,
    READ,
    SATELLITES_MAX,
    SEQ_MAX,
    SEQ_MIN,
    SPEED_KMH_MAX,
    US_PER_MS,
)
from processing.fix import EQUIPMENT, LEVELS, Kind, Reason, Rejection, Report, hundredths, ten_millionths
from processing.rules import Rules
from processing.service_day import US, to_us

#: A message is at most this long; of a longer one the first part is kept.
PAYLOAD_BYTES_MAX = 1 << 20
PAYLOAD_BYTES_KEPT = 64 << 10
#: Reports in one message.
REPORTS_MAX = 1_000
#: Degrees around (0, 0), about a metre: a receiver without a position.
NULL_DEG = 1e-5
_DETAIL_MAX = 200

_TOO_MANY = f"more than {REPORTS_MAX} reports; send smaller arrays"
_KINDS = {"fix": Kind.FIX, "equipment": Kind.EQUIPMENT}


@dataclass(frozen=True, slots=True)
class Directory:
    """What decoding must know of a district: who may report, in which datum, and the limits of time."""

    district_id: str
    units: Mapping[str, Unit]
    rules: Rules

    @classmethod
    def of(cls, district: District) -> Directory:
        """The directory of a district."""
        return cls(district.district_id, {unit.unit_id: unit for unit in district.units}, district.rules)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a message holds; `online` is the unit and whether it is connected."""

    reports: tuple[Report, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    online: tuple[str, bool] | None = None


class _Refusal(NamedTuple):
    reason: Reason
    detail: str


_Percent = Annotated[float, msgspec.Meta(ge=0, le=PERCENT_MAX)]
_Seq = Annotated[int, msgspec.Meta(ge=SEQ_MIN, le=SEQ_MAX)]


class SentEquipment(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """States as the contract has them."""

    engine: bool | None = None
    brush: bool | None = None
    spray: bool | None = None
    fan: bool | None = None
    working: bool | None = None
    hopper_pct: _Percent | None = None
    water_pct: _Percent | None = None


class SentFix(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A fix as the contract has it."""

    time: datetime | int | float | None = None
    lon: float | None = None
    lat: float | None = None
    speed_kmh: Annotated[float, msgspec.Meta(ge=0, le=SPEED_KMH_MAX)] | None = None
    heading_deg: Annotated[float, msgspec.Meta(ge=0, le=HEADING_DEG_MAX)] | None = None
    accuracy_m: Annotated[float, msgspec.Meta(ge=0, le=ACCURACY_M_MAX)] | None = None
    satellites: Annotated[int, msgspec.Meta(ge=0, le=SATELLITES_MAX)] | None = None
    seq: _Seq | None = None
    historical: bool | None = None
    equipment: SentEquipment | None = None
    unit: str | None = None
    district: str | None = None


class SentStatus(SentEquipment, forbid_unknown_fields=True, gc=False):
    """A status of the equipment alone; its keys stand in `equipment` or at the top level."""

    time: datetime | int | float | None = None
    seq: _Seq | None = None
    historical: bool | None = None
    equipment: SentEquipment | None = None
    unit: str | None = None
    district: str | None = None


_TYPES: dict[Kind, type[SentFix | SentStatus]] = {Kind.FIX: SentFix, Kind.EQUIPMENT: SentStatus}
_FIELDS = {kind: frozenset(struct.__struct_fields__) for kind, struct in _TYPES.items()}
_EQUIPMENT_FIELDS = frozenset(SentEquipment.__struct_fields__)
NO_EQUIPMENT = SentEquipment()
#: Reads a message of this kind that is exactly what the contract says.
FAST: dict[Kind, msgspec.json.Decoder[Any]] = {
    Kind.FIX: msgspec.json.Decoder(SentFix | list[SentFix]),
    Kind.EQUIPMENT: msgspec.json.Decoder(SentStatus | list[SentStatus]),
}


def decode(mqtt_topic: str, payload: bytes, received_us: int, directory: Directory) -> Decoded:
    """The reports, rejections or presence in one message that ingest first saw at `received_us`."""
    unit_id, kind_name, refusal = _address(mqtt_topic, directory)
    if len(payload) > PAYLOAD_BYTES_MAX:
        digest = hashlib.sha256(payload).hexdigest()
        refusal = _Refusal(
            Reason.TOO_LARGE,
            f"{len(payload)} bytes, at most {PAYLOAD_BYTES_MAX} are read; send less; SHA-256 {digest}",
        )
        payload = payload[:PAYLOAD_BYTES_KEPT]
    reader = _Reader(mqtt_topic, received_us, unit_id, directory)
    if refusal is not None:
        return Decoded(rejections=(reader.rejection(refusal, payload),))
    if kind_name == "online":
        return reader.presence(payload)
    return reader.reports(payload, _KINDS[kind_name])


def originals(
    mqtt_topic: str, payload: bytes, received_us: int, directory: Directory
) -> tuple[tuple[Report, bytes], ...]:
    """The reports of a message as `decode` gives them, each with its own bytes; slower."""
    unit_id, kind_name, refusal = _address(mqtt_topic, directory)
    if refusal is not None or kind_name not in _KINDS or len(payload) > PAYLOAD_BYTES_MAX:
        return ()
    found = _Reader(mqtt_topic, received_us, unit_id, directory).outcomes(payload, _KINDS[kind_name])
    return tuple((outcome, original) for original, outcome in found if isinstance(outcome, Report))


def fix_topic(unit_id: str, directory: Directory) -> str | None:
    """The topic of a unit's fixes; None where it can't have one, as its id isn't one level of a topic."""
    mqtt_topic = f"swept/v1/{directory.district_id}/{unit_id}/fix"
    return mqtt_topic if _address(mqtt_topic, directory) == (unit_id, "fix", None) else None


def _address(mqtt_topic: str, directory: Directory) -> tuple[str, str, _Refusal | None]:
    """Unit, last level and, where the topic isn't one of this district's units, why not."""
    levels = mqtt_topic.split("/")
    if len(levels) != 5 or levels[:2] != ["swept", "v1"] or levels[4] not in {*_KINDS, "online"}:
        text = "expected swept/v1/{district}/{unit}/fix, equipment or online"
        return "", "", _Refusal(Reason.BAD_TOPIC, text)
    district_id, unit_id, kind_name = levels[2:]
    if district_id != directory.district_id:
        text = f"this is district {directory.district_id!r}, not {_shown(district_id)}"
        return unit_id, kind_name, _Refusal(Reason.WRONG_DISTRICT, text)
    if unit_id not in directory.units:
        text = f"unit {_shown(unit_id)} is not in the district's list of units; add it there first"
        return unit_id, kind_name, _Refusal(Reason.UNKNOWN_UNIT, text)
    return unit_id, kind_name, None


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the payload of one message of one unit."""

    mqtt_topic: str
    received_us: int
    unit_id: str
    directory: Directory

    def rejection(self, refusal: _Refusal, payload: bytes) -> Rejection:
        return Rejection(
            refusal.reason, refusal.detail, self.mqtt_topic, payload, self.received_us, self.unit_id or None
        )

    def presence(self, payload: bytes) -> Decoded:
        if not payload:  # a retained message that somebody cleared
            return Decoded()
        if payload.strip() not in {b"0", b"1"}:
            refusal = _Refusal(Reason.BAD_FIELD, "online is 1 or 0")
            return Decoded(rejections=(self.rejection(refusal, payload),))
        return Decoded(online=(self.unit_id, payload.strip() == b"1"))

    def reports(self, payload: bytes, kind: Kind) -> Decoded:
        fast = self._fast(payload, kind)
        return self._slow(payload, kind) if fast is None else fast

    def _fast(self, payload: bytes, kind: Kind) -> Decoded | None:
        """The whole message in one go, or None where any part of it needs a closer look."""
        try:
            message = FAST[kind].decode(payload)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        messages = message if type(message) is list else (message,)
        if len(messages) > REPORTS_MAX:
            return None
        reports = []
        for one in messages:
            report = self.report(one, kind, None)
            if type(report) is not Report:
                return None
            reports.append(report)
        return Decoded(tuple(reports))

    def _slow(self, payload: bytes, kind: Kind) -> Decoded:
        reports: list[Report] = []
        rejections: list[Rejection] = []
        for original, outcome in self.outcomes(payload, kind):
            if isinstance(outcome, Report):
                reports.append(outcome)
            else:
                rejections.append(self.rejection(outcome, original))
        return Decoded(tuple(reports), tuple(rejections))

    def outcomes(self, payload: bytes, kind: Kind) -> list[tuple[bytes, Report | _Refusal]]:
        """What becomes of each element, beside its original bytes."""
        found: list[tuple[bytes, Report | _Refusal]] = []
        values = 0
        for element in elements(payload):
            values += element.broken is None
            if values > REPORTS_MAX:
                return [(payload, _Refusal(Reason.TOO_MANY, _TOO_MANY))]
            if element.broken is not None:
                found.append((element.original, _Refusal(Reason.NOT_JSON, _plain(element.broken))))
            else:
                found.append((element.original, self._element(element.value, kind)))
        return found

    def _element(self, value: object, kind: Kind) -> Report | _Refusal:
        if not isinstance(value, dict):
            return _Refusal(Reason.NOT_AN_OBJECT, "a report is a JSON object, or an array of them")
        extra: dict[str, Any] = {}
        told = _told(value, _FIELDS[kind], extra)
        for name, reason in _NEEDED.items():
            if name in extra and name in _FIELDS[kind]:
                return _Refusal(reason, f"{name} {_plain(repr(extra[name]))} can't be read")
        return self.report(_TYPES[kind](**told), kind, _text(extra) if extra else None)

    def report(self, message: Any, kind: Kind, extra: str | None) -> Report | _Refusal:  # noqa: ANN401
        """The report in a typed message (`SentFix` or `SentStatus`), or why it is refused."""
        wrong = self._foreign(message)
        if wrong is not None:
            return wrong
        fix_time_us = self._moment(message.time)
        if isinstance(fix_time_us, _Refusal):
            return fix_time_us
        if kind is Kind.EQUIPMENT:
            return self._status(message, fix_time_us, extra)
        position = self._position(message.lon, message.lat)
        if isinstance(position, _Refusal):
            return position
        equipment = message.equipment or NO_EQUIPMENT
        heading_deg = hundredths(message.heading_deg)
        return Report(
            self.unit_id,
            Kind.FIX,
            fix_time_us,
            self.received_us,
            position[0],
            position[1],
            hundredths(message.speed_kmh),
            heading_deg if heading_deg is None else heading_deg % 360.0,
            hundredths(message.accuracy_m),
            message.satellites,
            message.seq,
            message.historical or False,
            equipment.engine,
            equipment.brush,
            equipment.spray,
            equipment.fan,
            equipment.working,
            hundredths(equipment.hopper_pct),
            hundredths(equipment.water_pct),
            extra,
        )

    def _foreign(self, message: Any) -> _Refusal | None:  # noqa: ANN401
        if message.unit is not None and message.unit != self.unit_id:
            return _Refusal(Reason.WRONG_UNIT, f"the topic says {self.unit_id}, not {_shown(message.unit)}")
        if message.district is not None and message.district != self.directory.district_id:
            text = f"the topic says {self.directory.district_id}, not {_shown(message.district)}"
            return _Refusal(Reason.WRONG_DISTRICT, text)
        return None

    def _moment(self, time: datetime | float | None) -> int | _Refusal:
        """Microseconds since 1970 UTC, within what the rules accept."""
        if time is None:
            return _Refusal(
                Reason.NO_TIME, "time is missing; send RFC 3339 with a zone, or epoch milliseconds"
            )
        if isinstance(time, datetime):
            if time.tzinfo is None:
                return _Refusal(Reason.NO_ZONE, f"time {time.isoformat()} has no zone; add Z or +08:00")
            moment_us = to_us(time)
        elif isinstance(time, int):
            moment_us = time * US_PER_MS
        elif math.isfinite(time * US_PER_MS):
            moment_us = round(time * US_PER_MS)
        else:
            return _Refusal(Reason.BAD_FIELD, "time is not a finite number of milliseconds")
        return self._timely(moment_us)

    def _timely(self, moment_us: int) -> int | _Refusal:
        rules, ahead_us = self.directory.rules, moment_us - self.received_us
        if ahead_us > rules.future_s_max * US:
            text = f"{ahead_us // US} s ahead of its arrival; at most {rules.future_s_max:.0f} s are taken"
            return _Refusal(Reason.FUTURE, text)
        if -ahead_us > rules.late_s_max * US:
            text = f"{-ahead_us // US} s old on arrival; at most {rules.late_s_max:.0f} s are taken"
            return _Refusal(Reason.LATE, text)
        return moment_us

    def _position(self, lon: float | None, lat: float | None) -> tuple[float, float] | _Refusal:
        """WGS-84 degrees of a position in the unit's datum."""
        if lon is None or lat is None:
            return _Refusal(Reason.NO_POSITION, "lon and lat must both be there")
        if not (-180.0 <= lon <= 180.0 and -90.0 <= lat <= 90.0):
            return _Refusal(Reason.OUT_OF_RANGE, f"({lon}, {lat}) is not a longitude and latitude in degrees")
        if abs(lon) < NULL_DEG and abs(lat) < NULL_DEG:
            return _Refusal(Reason.NULL_ISLAND, "(0, 0): the receiver had no position")
        datum = self.directory.units[self.unit_id].profile.datum
        if datum != "WGS-84":
            lon, lat = to_wgs84(lon, lat, datum)
        return ten_millionths(lon), ten_millionths(lat)

    def _status(self, message: SentStatus, fix_time_us: int, extra: str | None) -> Report | _Refusal:
        nested = message.equipment or NO_EQUIPMENT
        told = {
            name: value if (value := getattr(nested, name)) is not None else getattr(message, name)
            for name in (*EQUIPMENT, *LEVELS)
        }
        if message.equipment is None and all(value is None for value in told.values()):
            return _Refusal(Reason.BAD_FIELD, "nothing is said of any equipment")
        told |= {name: hundredths(told[name]) for name in LEVELS}
        return Report(
            self.unit_id,
            Kind.EQUIPMENT,
            fix_time_us,
            self.received_us,
            seq=message.seq,
            historical=message.historical or False,
            extra=extra,
            **told,
        )


#: Fields that refuse a report where they can't be read.
_NEEDED = {
    "unit": Reason.WRONG_UNIT,
    "district": Reason.WRONG_DISTRICT,
    **dict.fromkeys(("time", "lon", "lat"), Reason.BAD_FIELD),
}


def _told(value: Mapping[str, Any], fields: AbstractSet[str], extra: dict[str, Any]) -> dict[str, Any]:
    """The contract's fields as they are read; all other keys, and values that can't be read, go to `extra`.

    What is read is what the fast path makes of the same value, and besides what devices send in its stead:
    1 and 0 for a state, 14.0 for an integer, a leap second.
    """
    told: dict[str, Any] = {}
    for name, inner in value.items():
        if name not in fields:
            extra[name] = inner
        elif name == "equipment" and isinstance(inner, dict):
            unread: dict[str, Any] = {}
            told[name] = SentEquipment(**_told(inner, _EQUIPMENT_FIELDS, unread))
            if unread:
                extra[name] = unread
        elif inner is not None:
            read = READ[name](inner)
            if read is None:
                extra[name] = inner
            else:
                told[name] = read
    return told


def _text(extra: dict[str, Any]) -> str:
    """What was sent besides, as sorted JSON text; numbers that JSON doesn't have are text in it."""
    for name, value in extra.items():
        if isinstance(value, float) and not math.isfinite(value):
            extra[name] = str(value)
    try:
        return msgspec.json.encode(extra, order="sorted").decode()
    except UnicodeEncodeError:  # half of a surrogate pair: only escaped it is text
        return json.dumps(extra, sort_keys=True, separators=(",", ":"))


def _plain(text: str) -> str:
    """Foreign words for a person, without quotes around them."""
    return _shown(text)[1:-1]


def _shown(text: str) -> str:
    """Foreign text that is safe to print and store: escaped, and short."""
    return ascii(text[:_DETAIL_MAX])
