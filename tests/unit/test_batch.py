"""Messages by columns and one by one say the same, bit for bit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.batch import Batch, Committed, Settled, compare, settle
from processing.datum import DATUMS
from processing.decode import PAYLOAD_BYTES_MAX, REPORTS_MAX, Directory, decode
from processing.district import Unit, UnitProfile
from processing.fix import EQUIPMENT, LEVELS, Kind, Rejection, Report, ReportColumns
from processing.order import Identity, identity, resolve
from processing.read import BatchReader
from processing.rules import Rules
from processing.service_day import from_us, to_us

FIX_TIME_US = to_us(datetime(2024, 4, 30, 22, 0, 5, tzinfo=UTC))
UNITS = {
    **{datum: Unit(datum, datum, UnitProfile("sweeper", datum=datum)) for datum in DATUMS},
    **{unit_id: Unit(unit_id, unit_id, UnitProfile("sweeper")) for unit_id in ("a/b", "ü", "w")},
}
READER = BatchReader(Directory("zq", UNITS, Rules()))
GOOD: dict[str, Any] = {"time": FIX_TIME_US // 1000, "lon": 122.2573668, "lat": 40.6733782}


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as ingest hands it over."""

    key: str
    mqtt_topic: str
    payload: bytes
    received_us: int


def told(least: float, most: float) -> st.SearchStrategy[Any]:
    """A number at the edges and beyond the decimals that are kept, or what is no such number."""
    halves = st.integers(int(least * 200), int(most * 200)).map(lambda n: n / 200)
    odd: st.SearchStrategy[Any] = st.sampled_from(
        [None, -0.0, -1, least, most, most * 2, "x", True, [], 1e300]
    )
    return st.one_of(st.none(), st.floats(least, most), halves, st.integers(int(least), int(most)), odd)


def moments(time_us: int) -> st.SearchStrategy[Any]:
    """One instant in the ways in which devices write it, and others."""
    moment = from_us(time_us)
    ways = [time_us // 1000, time_us / 1000, moment.isoformat(), moment.isoformat().replace("+00:00", "Z")]
    bad = [None, "2024-05-01T06:00:05", "yesterday", True, 1e300, -1e306, 2**62, -(2**63), 10**30, 9e15]
    late = [(time_us - 31 * 86_400_000_000) // 1000, (time_us + 301_500_000) // 1000]
    return st.one_of(st.sampled_from(ways), st.sampled_from([*ways, *bad, *late]))


@st.composite
def bodies(draw: st.DrawFn) -> Any:
    """A report as a device may send it; few moments, so that identities meet."""
    body = {**GOOD, "time": draw(moments(FIX_TIME_US + draw(st.integers(0, 3)) * 5_000_000))}
    if draw(st.booleans()):
        return body
    places = st.one_of(st.sampled_from([0, 1e-6, -180.0, 180.5, None, "1", 122, 1e-9]), st.floats(-181, 181))
    equipment = {name: st.sampled_from([None, True, False, 1, "on"]) for name in EQUIPMENT}
    more: dict[str, st.SearchStrategy[Any]] = {
        "lon": places,
        "lat": places,
        "speed_kmh": told(0, 500),
        "heading_deg": told(0, 360),
        "accuracy_m": told(0, 100_000),
        "satellites": st.sampled_from([None, 0, 14, 14.0, 1_001]),
        "seq": st.sampled_from([None, 0, -1, 2**63 - 1, -(2**63), 2**63, 1.5]),
        "historical": st.sampled_from([None, True, False, 0]),
        "equipment": st.none()
        | st.fixed_dictionaries({}, optional=equipment | dict.fromkeys(LEVELS, told(0, 100))),
        "unit": st.sampled_from([None, "WGS-84", "GCJ-02", 7]),
        "district": st.sampled_from([None, "zq", "xy"]),
        "volts": st.just(12.5),
    }
    names = draw(st.lists(st.sampled_from([*more]), max_size=4, unique=True))
    return body | {name: draw(more[name]) for name in names}


@st.composite
def messages(draw: st.DrawFn) -> Sent:
    """One message, good, odd or broken."""
    unit_id = draw(st.sampled_from(["WGS-84"] * 4 + [*UNITS, "nobody"]))
    kind = draw(st.sampled_from(["fix"] * 6 + ["equipment", "online", "ack"]))
    content = draw(st.one_of(bodies(), st.lists(bodies(), max_size=4), st.sampled_from([[], 1, 0, None])))
    if kind == "equipment" and isinstance(content, dict) and draw(st.booleans()):
        content = {"time": content["time"], "brush": draw(st.sampled_from([True, False, None]))}
    payload = json.dumps(content, ensure_ascii=draw(st.booleans())).encode()
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(payload)))
        payload = (
            payload[:at]
            + draw(st.sampled_from([b"", b"]", b",", b"\xff", b"{", b'"', b" ]["]))
            + payload[at + 1 :]
        )
    received_us = FIX_TIME_US + draw(st.sampled_from([0, 1_500_000, -300_000_000, 30 * 86_400_000_000]))
    return Sent(unit_id, f"swept/v1/zq/{unit_id}/{kind}", payload, received_us)


LISTS = st.lists(messages(), max_size=8).flatmap(lambda sent: st.permutations(sent + sent[: len(sent) // 3]))


def one_by_one(
    sent: list[Sent],
) -> tuple[list[tuple[Report, int, int]], list[tuple[Rejection, int, int]], Any]:
    reports, refused, online = [], [], {}
    for number, one in enumerate(sent):
        decoded = decode(one.mqtt_topic, one.payload, one.received_us, READER.directory)
        reports += [(report, number, element) for element, report in enumerate(decoded.reports)]
        refused += [(refusal, number, element) for element, refusal in enumerate(decoded.rejections)]
        if decoded.online is not None:
            online[decoded.online[0]] = decoded.online[1], number
    return reports, refused, online


def rows(batch: Batch) -> list[str]:
    """The reports in full; repr tells -0.0 from 0.0 and one NaN is as another."""
    return [repr(batch.report(row)) for row in range(len(batch))]


@settings(max_examples=400, deadline=None)
@given(LISTS)
def test_property_messages_say_the_same_together_as_one_by_one(sent: list[Sent]) -> None:
    reports, refused, online = one_by_one(sent)
    read = READER.read(sent)
    assert rows(read.batch) == [repr(report) for report, _, _ in reports]
    assert read.batch.message.tolist() == [message for _, message, _ in reports]
    assert read.batch.element.tolist() == [element for _, _, element in reports]
    assert list(read.refused) == refused
    assert read.online == online


def by_columns(batch: Batch, before: dict[Identity, Report]) -> Settled:
    """As the worker settles a batch: it knows each unit's newest report and asks for what isn't newer."""
    last_us: dict[str, int] = {}
    for unit_id, _, moment_us in before:
        last_us[unit_id] = max(moment_us, last_us.get(unit_id, moment_us))
    asked = batch.known_until(last_us)
    twins = [
        (row, before[key])
        for row, key in zip(asked.tolist(), batch.identities(asked), strict=True)
        if key in before
    ]
    compared = compare(batch, committed(twins))
    rivals = batch.identities(np.flatnonzero(compared.contested & compared.there))
    return settle(batch, compared, {key: before[key] for key in rivals})


def committed(twins: list[tuple[int, Report]]) -> Committed | None:
    """As the store gives it."""
    if not twins:
        return None
    units = tuple(sorted({report.unit_id for _, report in twins}))
    columns = Batch.of(units, [(report, 0, 0) for _, report in twins])
    told = np.array([report.extra is not None for _, report in twins])
    return Committed(np.array([row for row, _ in twins]), columns.reports, columns.satellites, told)


@settings(max_examples=300, deadline=None)
@given(st.lists(LISTS, max_size=3))
def test_property_identities_are_settled_the_same_by_columns_as_one_by_one(batches: list[list[Sent]]) -> None:
    before: dict[Identity, Report] = {}
    for sent in batches:
        reports = [report for report, _, _ in one_by_one(sent)[0]]
        keys = {identity(report) for report in reports}
        expected = resolve({key: one for key, one in before.items() if key in keys}, reports)
        batch = READER.read(sent).batch
        settled = by_columns(batch, before)
        wanted = sorted(expected.accepted, key=lambda one: (one.unit_id, one.fix_time_us, one.kind))
        assert rows(settled.accepted) == [repr(one) for one in wanted]
        assert list(map(repr, settled.replaced)) == list(map(repr, expected.replaced))
        assert settled.conflicts == expected.conflicts
        assert settled.duplicates == expected.duplicates
        for report, row in settled.contested:
            assert repr(report) == repr(reports[row])
        before |= {identity(one): one for one in expected.accepted}


@given(LISTS)
def test_property_each_units_columns_are_those_of_its_reports(sent: list[Sent]) -> None:
    settled = by_columns(READER.read(sent).batch, {})
    found = dict(settled.accepted.by_unit())
    assert list(found) == settled.accepted.units()
    reports = [settled.accepted.report(row) for row in range(len(settled.accepted))]
    for unit_id, columns in found.items():
        expected = ReportColumns.of(one for one in reports if one.unit_id == unit_id)
        for name in ReportColumns.__slots__:
            mine, theirs = getattr(columns, name), getattr(expected, name)
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs)


def test_a_report_keeps_its_bits_through_columns() -> None:
    reports = [
        Report(
            "GCJ-02",
            Kind.EQUIPMENT,
            5,
            6,
            seq=-(2**63),
            historical=True,
            fan=False,
            water_pct=0.07,
            extra="{}",
        ),
        Report(
            "WGS-84",
            Kind.FIX,
            5,
            6,
            122.1,
            40.0,
            3.3,
            0.0,
            1e5,
            1_000,
            2**63 - 1,
            engine=True,
            hopper_pct=100.0,
        ),
    ]
    batch = Batch.of(("GCJ-02", "WGS-84"), [(one, 0, n) for n, one in enumerate(reports)])
    assert rows(batch) == [repr(one) for one in reports]


def test_good_messages_are_not_read_one_by_one() -> None:
    good = json.dumps([GOOD | {"equipment": {"brush": True}, "unit": "w"}, GOOD]).encode()
    bad = json.dumps([GOOD, GOOD | {"lon": 181}]).encode()
    many = json.dumps([GOOD] * (REPORTS_MAX + 1)).encode()
    long = json.dumps(GOOD).encode() + b" " * PAYLOAD_BYTES_MAX
    sent = [Sent("w", "swept/v1/zq/w/fix", one, FIX_TIME_US) for one in (good, bad, many, good, long)]
    read = READER.read(sent)
    assert read.odd == (1, 2, 4)
    assert read.batch.message.tolist() == [0, 0, 1, 3, 3]
    assert [(one.reason, number) for one, number, _ in read.refused] == [
        ("out_of_range", 1),
        ("too_many", 2),
        ("too_large", 4),
    ]
