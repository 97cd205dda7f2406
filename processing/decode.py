"""The device contract, version 1: a message's bytes become reports and rejections, never an exception.

A good message takes the fast path: msgspec decodes it whole into typed values. Where that fails, or an
element is refused, the slow path walks the array with the standard library's scanner, which gives every
element its own original bytes and reads what JSON doesn't have (NaN, 1e400). So each element of an array ends
as exactly one `Report` or `Rejection`, and one bad fix never loses a good one beside it; where the syntax
itself breaks, what came before counts and the rest is one rejection.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec

from processing.datum import to_wgs84
from processing.district import District, Unit
from processing.fix import EQUIPMENT, LEVELS, Kind, Reason, Rejection, Report
from processing.rules import Rules
from processing.service_day import US, to_us

#: A message is at most this long; of a longer one the first part is kept.
PAYLOAD_BYTES_MAX = 1 << 20
PAYLOAD_BYTES_KEPT = 64 << 10
#: Reports in one message.
REPORTS_MAX = 1_000
#: Beyond these a value is a device's way of saying that it doesn't know.
SPEED_KMH_MAX = 500.0
ACCURACY_M_MAX = 100_000.0
SATELLITES_MAX = 1_000
#: Degrees around (0, 0), about a metre: a receiver without a position.
_NULL_DEG = 1e-5
_DETAIL_MAX = 200
_US_PER_MS = 1_000

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


class _Equipment(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    engine: bool | None = None
    brush: bool | None = None
    spray: bool | None = None
    fan: bool | None = None
    working: bool | None = None
    hopper_pct: float | None = None
    water_pct: float | None = None


_Seq = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Fix(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    time: datetime | int | float | None = None
    lon: float | None = None
    lat: float | None = None
    speed_kmh: float | None = None
    heading_deg: float | None = None
    accuracy_m: float | None = None
    satellites: int | None = None
    seq: _Seq | None = None
    historical: bool | None = None
    equipment: _Equipment | None = None
    unit: str | None = None
    district: str | None = None


class _Status(_Equipment, forbid_unknown_fields=True, gc=False):
    """A status of the equipment alone; its keys stand in `equipment` or at the top level."""

    time: datetime | int | float | None = None
    seq: _Seq | None = None
    historical: bool | None = None
    equipment: _Equipment | None = None
    unit: str | None = None
    district: str | None = None


_TYPES: dict[Kind, type[_Fix | _Status]] = {Kind.FIX: _Fix, Kind.EQUIPMENT: _Status}
_FIELDS = {kind: frozenset(struct.__struct_fields__) for kind, struct in _TYPES.items()}
_EQUIPMENT_FIELDS = frozenset(_Equipment.__struct_fields__)
_NO_EQUIPMENT = _Equipment()
_FAST: dict[Kind, msgspec.json.Decoder[Any]] = {
    Kind.FIX: msgspec.json.Decoder(_Fix | list[_Fix]),
    Kind.EQUIPMENT: msgspec.json.Decoder(_Status | list[_Status]),
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
            message = _FAST[kind].decode(payload)
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
        elements = list(_elements(payload))
        if len(elements) > REPORTS_MAX:
            refusal = _Refusal(Reason.TOO_MANY, f"more than {REPORTS_MAX} reports; send smaller arrays")
            return Decoded(rejections=(self.rejection(refusal, payload),))
        reports: list[Report] = []
        rejections: list[Rejection] = []
        for original, value in elements:
            outcome = value if isinstance(value, _Refusal) else self._element(value, kind)
            if isinstance(outcome, Report):
                reports.append(outcome)
            else:
                rejections.append(self.rejection(outcome, original))
        return Decoded(tuple(reports), tuple(rejections))

    def _element(self, value: object, kind: Kind) -> Report | _Refusal:
        if not isinstance(value, dict):
            return _Refusal(Reason.NOT_AN_OBJECT, "a report is a JSON object, or an array of them")
        try:
            known, extra = _split(value, kind)
            message = msgspec.convert(known, _TYPES[kind])
        except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
            return _Refusal(Reason.BAD_FIELD, _shown(str(error))[1:-1])
        return self.report(message, kind, extra)

    def report(self, message: Any, kind: Kind, extra: str | None) -> Report | _Refusal:  # noqa: ANN401
        """The report in a typed message (`_Fix` or `_Status`), or why it is refused."""
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
        equipment = message.equipment or _NO_EQUIPMENT
        satellites = message.satellites
        return Report(
            self.unit_id,
            Kind.FIX,
            fix_time_us,
            self.received_us,
            position[0],
            position[1],
            _within(message.speed_kmh, SPEED_KMH_MAX),
            _heading(message.heading_deg),
            _within(message.accuracy_m, ACCURACY_M_MAX),
            satellites if satellites is None or 0 <= satellites <= SATELLITES_MAX else None,
            message.seq,
            message.historical or False,
            equipment.engine,
            equipment.brush,
            equipment.spray,
            equipment.fan,
            equipment.working,
            _within(equipment.hopper_pct, 100.0),
            _within(equipment.water_pct, 100.0),
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
            moment_us = time * _US_PER_MS
        elif math.isfinite(time):
            moment_us = round(time * _US_PER_MS)
        else:
            return _Refusal(Reason.BAD_FIELD, "time is not a finite number")
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
        if abs(lon) < _NULL_DEG and abs(lat) < _NULL_DEG:
            return _Refusal(Reason.NULL_ISLAND, "(0, 0): the receiver had no position")
        datum = self.directory.units[self.unit_id].profile.datum
        if datum == "WGS-84":
            return lon, lat
        lon, lat = to_wgs84(lon, lat, datum)
        return round(lon, 7), round(lat, 7)

    def _status(self, message: _Status, fix_time_us: int, extra: str | None) -> Report | _Refusal:
        nested = message.equipment or _NO_EQUIPMENT
        told = {
            name: value if (value := getattr(nested, name)) is not None else getattr(message, name)
            for name in (*EQUIPMENT, *LEVELS)
        }
        if message.equipment is None and all(value is None for value in told.values()):
            return _Refusal(Reason.BAD_FIELD, "nothing is said of any equipment")
        for name in LEVELS:
            told[name] = _within(told[name], 100.0)
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


def _within(value: float | None, value_max: float) -> float | None:
    """The value, or None (unknown) where it is negative, not finite or absurd: devices send -1 or 9999."""
    return value if value is not None and 0.0 <= value <= value_max else None


def _heading(heading_deg: float | None) -> float | None:
    """The heading in [0, 360), unknown outside [0, 360]."""
    if heading_deg is None or not 0.0 <= heading_deg <= 360.0:
        return None
    return heading_deg % 360.0


def _split(value: dict[str, Any], kind: Kind) -> tuple[dict[str, Any], str | None]:
    """The contract's keys, and all others as sorted JSON text (None where there are none)."""
    fields = _FIELDS[kind]
    known = {key: inner for key, inner in value.items() if key in fields}
    extra = {key: inner for key, inner in value.items() if key not in fields}
    equipment = known.get("equipment")
    if isinstance(equipment, dict):
        known["equipment"] = {key: inner for key, inner in equipment.items() if key in _EQUIPMENT_FIELDS}
        unknown = {key: inner for key, inner in equipment.items() if key not in _EQUIPMENT_FIELDS}
        if unknown:
            extra["equipment"] = unknown
    return known, msgspec.json.encode(extra, order="sorted").decode() if extra else None


def _integer(digits: str) -> int | float:
    """Python refuses to read integers of thousands of digits; beyond 64 bits a float is close enough."""
    return int(digits) if len(digits) < 20 else float(digits)


_SCANNER = json.JSONDecoder(parse_int=_integer)
_SPACE = " \t\n\r"


def _elements(payload: bytes) -> Iterable[tuple[bytes, object]]:
    """Each element's original bytes and its value, or a refusal where it isn't JSON; ends past the bound.

    Bytes that aren't UTF-8 are smuggled through as surrogates, so that they spoil their own element only.
    """
    text = payload.decode("utf-8", "surrogateescape")
    at = _skip(text, 0)
    if not text.startswith("[", at):
        yield _scan(text, at, 0)[0]
        return
    at = _skip(text, at + 1)
    count = 0
    closed = text.startswith("]", at)
    while not closed and count <= REPORTS_MAX:
        element, end = _scan(text, at, None)
        yield element
        count += 1
        if end < 0:
            return
        at = _skip(text, end)
        closed = text.startswith("]", at)
        if not closed and not text.startswith(",", at):
            break
        at = _skip(text, at + (not closed))
    if count <= REPORTS_MAX and (not closed or _skip(text, at + 1) != len(text)):
        yield _bytes(text[at:]), _Refusal(Reason.NOT_JSON, f"the array breaks at character {at}")


def _scan(text: str, at: int, start: int | None) -> tuple[tuple[bytes, object], int]:
    """The value at a place and where it ends (-1: nowhere). With `start` it must be all of the text."""
    try:
        value, end = _SCANNER.raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        refusal = _Refusal(Reason.NOT_JSON, _shown(str(error))[1:-1])
        return (_bytes(text[at if start is None else start :]), refusal), -1
    if start is not None and _skip(text, end) != len(text):
        return (_bytes(text), _Refusal(Reason.NOT_JSON, f"more follows the report at character {end}")), -1
    original = _bytes(text[at:end] if start is None else text)
    try:
        original.decode()
    except UnicodeDecodeError:
        return (original, _Refusal(Reason.NOT_JSON, "not UTF-8")), end
    return (original, value), end


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _shown(text: str) -> str:
    """Foreign text that is safe to print and store: escaped, and short."""
    return ascii(text[:_DETAIL_MAX])
