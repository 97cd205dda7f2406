"""A city for load: many copies of the made-up district, and what its units send in a shift, encoded beforehand.

Each copy has 12 units on 144 streets of its own, so no street is swept by more units than in a real district.
All copies drive the same shift, each from another moment of it. A unit measures once a second; a message holds
one fix, or as many as a device keeps together. Messages are whole MQTT packets of one length in a memory map of
shape (connections, periods, units of a connection, bytes): a period is the time in which each unit sends once,
so what a connection has to send lies in a row, and sending costs the generator next to nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.drives import shifts_of, tiled
from processing.district import District, Unit
from processing.district_files import Round
from processing.fix import EQUIPMENT, ON, ReportColumns
from processing.service_day import US, day_start_us
from processing.street_files import to_geojson
from simulators.scenario import load_scenario, true_shift
from streams.log import Envelope, Log
from swept.district import configs_folder, read_folder
from swept.playing import district_and_plan

DAY = date(2026, 6, 1)
#: Hours of a shift, and when it begins.
SHIFT_S, BEGINS_S = 8 * 3_600, 6 * 3_600
#: Seconds by which each copy of the district is ahead of the one before it.
AHEAD_S = 97
FIX = (
    b'{"time":"2026-06-01T00:00:00.000+08:00","lon":000.0000000,"lat":00.0000000,"speed_kmh":00.0,'
    b'"heading_deg":000.0,"accuracy_m":00.0,"satellites":12,"seq":000000,'
    b'"equipment":{"engine":true,"brush":false}}'
)
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sent:
    """One unit of the city: its id, its copy's place, its drive, and where in the shift it begins."""

    unit: Unit
    unit_id: str
    moved_deg: tuple[float, float]
    first_row: int


class City:
    """So many units; `drives` are the base district's, at a fix a second without gaps."""

    def __init__(self, units: int) -> None:
        self.base, rounds = district_and_plan(configs_folder() / "zhanqian")
        own = len(self.base.units)
        copies = -(-units // own)
        rows = math.isqrt(copies)
        self._grid = -(-copies // rows), rows
        self.start_us = day_start_us(DAY, 0, self.base.rules.timezone) + BEGINS_S * US
        places, _ = shifts_of(self.base, *self._grid)
        self.drives = _drives(self.base, rounds)
        everyone = [
            Sent(unit, _copied(unit.unit_id, n), places[n], n * AHEAD_S)
            for unit in self.base.units
            for n in range(copies)
        ]
        order = np.random.default_rng(1).permutation(len(everyone))[:units]
        #: In no order, so that each part of them is like the whole.
        self.units = [everyone[n] for n in order]

    def write_folder(self, folder: Path) -> District:
        """The city as a district's folder; gives it as one district."""
        town, _ = tiled(self.base, [], *self._grid)
        files = dict(read_folder(configs_folder() / "zhanqian"))
        del files["plan.toml"]
        roster = json.dumps([sent.unit_id for sent in self.units])
        shift = f'[[shift]]\nid = "day"\nname = "day"\nstart = "06:00"\nend = "14:00"\nroster = {roster}\n'
        files["shifts.toml"] = shift.encode()
        files["streets.geojson"] = to_geojson(town.streets, synthetic=True)
        files["roads.geojson"] = to_geojson(town.roads, synthetic=True)
        files["units.toml"] = "".join(
            f'[[unit]]\nid = "{sent.unit_id}"\nname = "{sent.unit.name}"\nprofile = "{sent.unit.profile.profile_id}"\n'
            f'contractor = "{sent.unit.contractor}"\n\n'
            for sent in self.units
        ).encode()
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return town

    def reports(self, sent: Sent, first: int, count: int) -> ReportColumns:
        """Rows of a unit's drive, moved to its copy."""
        drive = self.drives[sent.unit.unit_id]
        room = len(drive) - count
        if room < first:
            raise SystemExit(
                f"a shift has {len(drive)} s, {first + count} are asked for; load less, or a shorter time."
            )
        begin = first + sent.first_row % (room - first + 1)
        part = drive.take(np.arange(begin, begin + count))
        return replace(part, lon=part.lon + sent.moved_deg[0], lat=part.lat + sent.moved_deg[1])


def _copied(unit_id: str, copy: int) -> str:
    return f"{unit_id}-{copy:05d}"


def _drives(district: District, rounds: tuple[Round, ...] | None) -> Mapping[str, ReportColumns]:
    scenario = load_scenario(configs_folder() / "scenarios" / "shift.toml")
    reception = replace(scenario.reception, fix_interval_s=1.0, dropouts_per_h=0.0)
    return true_shift(district, replace(scenario, reception=reception, date=DAY), rounds).sensed()


# What is sent, as bytes. A number's digits are put into their columns for all fixes at once; leading zeros that
# JSON doesn't allow become spaces.


def encoded(unit: Unit, reports: ReportColumns, time_ms: NDArray[np.int64], first_seq: int) -> Bytes:
    """(n, len(FIX)) one JSON object a fix, with the equipment that the unit's kind tells."""
    out = np.tile(np.frombuffer(FIX, np.uint8), (len(reports), 1))
    local_ms = time_ms - day_start_us(DAY, 0, "Asia/Shanghai") // 1_000
    clock = FIX.index(b"T00:") + 1
    for at, digits, value in (
        (clock, 2, local_ms // 3_600_000),
        (clock + 3, 2, local_ms // 60_000 % 60),
        (clock + 6, 2, local_ms // 1_000 % 60),
        (clock + 9, 3, local_ms % 1_000),
    ):
        _digits(out, at, digits, value, plain=True)
    for name, whole, decimals in (
        (b"lon", 3, 7),
        (b"lat", 2, 7),
        (b"speed_kmh", 2, 1),
        (b"heading_deg", 3, 1),
        (b"accuracy_m", 2, 1),
    ):
        at = FIX.index(b'"%s":' % name) + len(name) + 3
        number = np.rint(np.nan_to_num(getattr(reports, name.decode())) * 10**decimals).astype(np.int64)
        _digits(out, at, whole, number // 10**decimals)
        _digits(out, at + whole + 1, decimals, number % 10**decimals, plain=True)
    _digits(out, FIX.index(b'"seq":') + 6, 6, first_seq + np.arange(len(reports)))
    _equipment(out, unit, reports)
    return out


def _digits(out: Bytes, at: int, digits: int, value: NDArray[np.int64], *, plain: bool = False) -> None:
    for place in range(digits):
        power = 10 ** (digits - 1 - place)
        digit = (value // power % 10 + 48).astype(np.uint8)
        out[:, at + place] = digit if plain or power == 1 else np.where(value >= power, digit, 32)


def _equipment(out: Bytes, unit: Unit, reports: ReportColumns) -> None:
    """Sweepers tell of their brush, washers of their spray; a cleaner's badge knows of nothing."""
    at = FIX.index(b',"equipment"')
    if not unit.profile.working_when:
        out[:, at:] = np.frombuffer(b"}".ljust(len(FIX) - at), np.uint8)
        return
    name = unit.profile.working_when[0]
    assert len(name) == len("brush"), "the columns are as wide as its name"
    at = FIX.index(b"brush")
    out[:, at : at + 5] = np.frombuffer(name.encode(), np.uint8)
    on = reports.equipment[:, EQUIPMENT.index(name)] == ON
    at = FIX.index(b"false")
    out[on, at : at + 5] = np.frombuffer(b"true ", np.uint8)


def payloads(city: City, sent: Sent, phase_ms: int, first: int, count: int, fixes: int) -> Bytes:
    """(count / fixes, bytes) a unit's messages of so many fixes each, a fix a second from second `first` on."""
    time_ms = city.start_us // 1_000 + phase_ms + 1_000 * (first + np.arange(count))
    rows = encoded(sent.unit, city.reports(sent, first, count), time_ms, first + 1)
    if fixes == 1:
        return rows
    out = np.full((count // fixes, fixes, len(FIX) + 1), ord(","), np.uint8)
    out[:, :, :-1] = rows.reshape(count // fixes, fixes, len(FIX))
    whole = np.empty((count // fixes, fixes * (len(FIX) + 1) + 1), np.uint8)
    whole[:, 0], whole[:, 1:] = ord("["), out.reshape(count // fixes, -1)
    whole[:, -1] = ord("]")
    return whole


# Packets, in the order in which each connection sends them.


@dataclass(frozen=True, slots=True)
class Plan:
    """What is in the memory map: `each` units on each of the connections, all in turn, once in a period.

    The m-th message of connection c is sent (m + phase(c)) / each periods after the start. A period lasts as many
    seconds of the city's clock as a message has fixes. So many periods of the shift are over `before` the first.
    """

    path: str
    connections: int
    before: int
    periods: int
    each: int
    packet_bytes: int
    fixes: int
    units: tuple[str, ...]

    def open(self) -> NDArray[np.uint8]:
        """The packets: (connections, periods * each, bytes)."""
        shape = (self.connections, self.periods * self.each, self.packet_bytes)
        return np.memmap(self.path, np.uint8, "r", shape=shape)

    def phase_ms(self, connection: int, slot: int) -> int:
        """When in a period of the city's clock a unit sends."""
        return round(1_000 * self.fixes * (slot + phase(connection)) / self.each)

    def units_of(self, connection: int) -> tuple[str, ...]:
        """In the order in which they send."""
        return self.units[connection * self.each : (connection + 1) * self.each]


def phase(connection: int) -> float:
    """Where between two messages a connection begins, 0 to 1: well spread, however many connections there are."""
    return connection * 0.618_033_988_75 % 1.0


def encode(city: City, path: Path, fixes: int, before: int, periods: int, each: int = 20) -> Plan:
    """Write the packets of a city; each unit's topic is as long as any other's."""
    connections = len(city.units) // each
    units = tuple(sent.unit_id for sent in city.units[: connections * each])
    plan = Plan(str(path), connections, before, periods, each, 0, fixes, units)
    with path.open("wb") as file:
        for connection in range(connections):
            block = _block(city, plan, connection)
            block.tofile(file)
    return replace(plan, packet_bytes=block.shape[2])


def _block(city: City, plan: Plan, connection: int) -> Bytes:
    """(periods, each, bytes) what a connection sends: MQTT 5 PUBLISH at QoS 1, packet ids in turn."""
    blocks = []
    for slot in range(plan.each):
        sent = city.units[connection * plan.each + slot]
        first, count = plan.before * plan.fixes, plan.periods * plan.fixes
        body = payloads(city, sent, plan.phase_ms(connection, slot), first, count, plan.fixes)
        topic = f"swept/v1/{city.base.district_id}/{sent.unit_id}/fix".encode()
        length = 2 + len(topic) + 3 + body.shape[1]
        head = b"\x32" + varint(length) + len(topic).to_bytes(2, "big") + topic + b"\0\0\0"
        rows = np.empty((plan.periods, len(head) + body.shape[1]), np.uint8)
        rows[:, : len(head)], rows[:, len(head) :] = np.frombuffer(head, np.uint8), body
        mids = (np.arange(plan.periods) * plan.each + slot) % 65_535 + 1
        rows[:, len(head) - 3], rows[:, len(head) - 2] = mids >> 8, mids & 255
        blocks.append(rows)
    return np.stack(blocks, axis=1)


def varint(number: int) -> bytes:
    """MQTT's length of a packet."""
    out = bytearray()
    while True:
        number, low = divmod(number, 128)
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def append_history(city: City, plan: Plan, log: Log, fixes: int = 500) -> int:
    """Put what the units did before the first period into the log; how many fixes that are."""
    total = 0
    for first in range(0, plan.before * plan.fixes, fixes):
        count = min(fixes, plan.before * plan.fixes - first)
        envelopes = []
        for number, sent in enumerate(city.units[: len(plan.units)]):
            phase_ms = plan.phase_ms(*divmod(number, plan.each))
            (payload,) = payloads(city, sent, phase_ms, first, count, count)
            topic = f"swept/v1/{city.base.district_id}/{sent.unit_id}/fix"
            received_us = city.start_us + 1_000 * phase_ms + US * (first + count - 1)
            envelopes.append(Envelope(sent.unit_id, topic, payload.tobytes(), received_us))
        for start in range(0, len(envelopes), 1_000):
            log.append(envelopes[start : start + 1_000])
        total += count * len(envelopes)
    return total
