"""A report's numbers are the same from the wire and from the store, to the last bit."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processing.batch import Batch
from processing.datum import DATUMS
from processing.decode import Directory, decode
from processing.district import Unit, UnitProfile
from processing.fix import EQUIPMENT, LEVELS, Kind, Report, ReportColumns
from processing.order import identity
from processing.rules import Rules
from storage import fixes, reader
from storage.copy_binary import Texts, copy_in
from storage.migrate import migrations
from storage.place import Place
from storage.queries.unit_track import unit_track
from storage.queries.units import units_now
from tests.integration.written import write

MOMENT_US = 1_714_525_200_123_456
UNITS = {datum: Unit(datum, datum, UnitProfile("sweeper", datum=datum)) for datum in DATUMS}
DIRECTORY = Directory("d", UNITS, Rules())
COLUMNS = ("fix_time_us", "kind", "lon", "lat", "speed_kmh", "heading_deg", "accuracy_m", "equipment")


def told(least: float, most: float) -> st.SearchStrategy[float | None]:
    return st.none() | st.floats(least, most) | st.sampled_from([least, most, math.nextafter(most, 0), -0.0])


@st.composite
def bodies(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """What a device may send, at the edges and beyond the decimals that are kept."""
    equipment = {name: draw(st.none() | st.booleans()) for name in EQUIPMENT}
    return {
        "time": (MOMENT_US + number * 1_000_000) // 1000,
        "lon": draw(st.floats(-180, 180).filter(lambda x: abs(x) > 1e-4) | st.sampled_from([180.0, -180.0])),
        "lat": draw(st.floats(-90, 90) | st.sampled_from([90.0, -90.0])),
        "speed_kmh": draw(told(0, 500)),
        "heading_deg": draw(told(0, 360)),
        "accuracy_m": draw(told(0, 100_000)),
        "satellites": draw(st.none() | st.integers(0, 1_000)),
        "seq": draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
        "historical": draw(st.booleans()),
        "equipment": equipment | {name: draw(told(0, 100)) for name in LEVELS},
        "外": draw(st.text(max_size=5).filter(lambda text: text.isprintable())),
    }


@given(st.sampled_from(DATUMS), st.integers(1, 5).flatmap(lambda n: st.tuples(*map(bodies, range(n)))))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_property_what_is_decoded_comes_back_from_the_store_bit_for_bit(
    connection: psycopg.Connection, datum: str, sent: tuple[dict[str, Any], ...]
) -> None:
    topic = f"swept/v1/d/{datum}/fix"
    payload = json.dumps(sent).encode()
    reports = decode(topic, payload, MOMENT_US, DIRECTORY).reports
    assert len(reports) == len(sent)
    with connection.transaction(force_rollback=True):
        write(connection, reports, partition=3)
        found, places = reader.existing(connection, map(identity, reports))
        (columns,) = reader.reports(connection, [reader.Window(datum, 0, 2**62)])
        track = unit_track(connection, datum, 0, 2**62, 100)
        (now,) = units_now(connection, [datum])
    assert [repr(found[identity(one)]) for one in reports] == [repr(one) for one in reports]
    assert [places[identity(one)] for one in reports] == [Place("log", 3, n, 0) for n in range(len(reports))]
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(columns, name), getattr(ReportColumns.of(reports), name))
    assert [(one.lon, one.lat, one.speed_kmh, one.heading_deg) for one in track] == [
        (one.lon, one.lat, one.speed_kmh, one.heading_deg) for one in reports
    ]
    assert (now.lon, now.lat, now.speed_kmh) == (reports[-1].lon, reports[-1].lat, reports[-1].speed_kmh)


def test_a_status_has_no_place_and_every_state_is_kept(connection: psycopg.Connection) -> None:
    status = Report("u", Kind.EQUIPMENT, MOMENT_US, 8, brush=False, fan=True, water_pct=12.34)
    write(connection, [status])
    found, _ = reader.existing(connection, [identity(status)])
    assert repr(found[identity(status)]) == repr(status)
    row = connection.execute("SELECT kind, lon, brush, spray, water_pct, log_id FROM fixes").fetchone()
    assert row == ("equipment", None, False, None, 12.34, "log")


def test_heading_is_kept_below_360_degrees() -> None:
    body = {"time": MOMENT_US // 1000, "lon": 122.0, "lat": 40.0, "heading_deg": 359.996}
    (report,) = decode("swept/v1/d/WGS-84/fix", json.dumps(body).encode(), MOMENT_US, DIRECTORY).reports
    assert report.heading_deg == 0.0


def batch(first: int, rows: int) -> Batch:
    made = (
        Report("u", Kind.FIX, MOMENT_US + n * 5_000_000, 0, 122.0 + n / 1e7, 40.0, speed_kmh=n / 100)
        for n in range(first, first + rows)
    )
    return Batch.of(("u",), [(report, number, 0) for number, report in enumerate(made)])


def test_many_at_once_are_written_once(connection: psycopg.Connection) -> None:
    def merge(first: int, rows: int) -> int:
        records = np.column_stack([np.ones(rows, dtype=np.int64), 100 + np.arange(rows)])
        return fixes.merge(connection, "log", fixes.columns_of(batch(first, rows), records))

    assert merge(0, 1_000) == 1_000
    assert merge(0, 1_000) == 0
    assert merge(900, 200) == 100
    (found,) = reader.reports(connection, [reader.Window("u", 0, 2**62)])
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(found, name), getattr(batch(0, 1_100).reports, name))


def test_a_number_that_does_not_fit_is_refused_before_anything_is_written(
    connection: psycopg.Connection,
) -> None:
    connection.execute("CREATE TABLE narrow (number smallint, name text)")
    types = {"number": "int2", "name": "text"}
    with pytest.raises(ValueError, match="fit into int2"):
        copy_in(connection, "narrow", types, {"number": np.array([1, 40_000]), "name": Texts.of(["x", "x"])})
    masked = np.ma.masked_array(np.array([1, 40_000]), np.array([False, True]))
    copy_in(connection, "narrow", types, {"number": masked, "name": Texts.of(["车", None])})
    copy_in(connection, "narrow", types, {"number": np.array([], dtype=int), "name": Texts.of([])})
    assert connection.execute("SELECT * FROM narrow ORDER BY 1").fetchall() == [(1, "车"), (None, None)]


def test_fixes_of_the_release_before_are_converted(empty_store_url: str) -> None:
    *before, ours = (one.sql.encode() for one in migrations() if one.version <= 7)
    with psycopg.connect(empty_store_url, autocommit=True) as connection:
        for one in before:
            connection.execute(one)
        connection.execute(
            """INSERT INTO fix (unit_id, fix_time_us, kind, received_us, lon, lat, speed_kmh, heading_deg,
                                accuracy_m, satellites, seq, historical, brush, hopper_pct, extra,
                                log_id, partition, log_offset, element)
               VALUES ('u', 5, 0, 7, 122.25736684, 40.6733782, 6.4, 359.996, 1e5, 14, -3, true, true, 40.126,
                       '{}', 'l', 3, 9, 1),
                      ('u', 5, 1, 8, 'NaN', 'NaN', NULL, NULL, NULL, NULL, NULL, false, false, NULL, NULL,
                       'm', 2, 8, 0)"""
        )
        connection.execute(ours)
        wanted = [("u", Kind.FIX, 5), ("u", Kind.EQUIPMENT, 5)]
        found, places = reader.existing(connection, wanted)
    fix = Report(
        "u", Kind.FIX, 5, 7, 122.2573668, 40.6733782, 6.4, 0.0, 1e5, 14, -3,
        historical=True, brush=True, hopper_pct=40.13, extra="{}",
    )  # fmt: skip
    status = Report("u", Kind.EQUIPMENT, 5, 8, brush=False)
    assert [repr(found[key]) for key in wanted] == [repr(fix), repr(status)]
    assert [places[key] for key in wanted] == [Place("l", 3, 9, 1), Place("m", 2, 8, 0)]


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_property_what_was_committed_is_found_for_each_row_that_asks(
    connection: psycopg.Connection, data: st.DataObject
) -> None:
    """Near and far instants, rows that ask twice, and committed ones between those that are asked for."""
    some = st.builds(
        Report,
        st.sampled_from(["a", "b"]),
        st.sampled_from(Kind),
        st.sampled_from([MOMENT_US + n * 10_000_000 for n in (0, 1, 2, 3, 9, 900)]),
        st.just(0),
        satellites=st.sampled_from([None, 0, 14]),
        brush=st.sampled_from([None, True]),
        extra=st.sampled_from([None, "{}"]),
    )
    before = {identity(one): one for one in data.draw(st.lists(some, max_size=12))}
    asked = data.draw(st.lists(some, max_size=12))
    batch = Batch.of(("a", "b"), [(one, number, 0) for number, one in enumerate(asked)])
    rows = np.array(
        data.draw(st.lists(st.integers(0, len(asked) - 1), unique=True)) if asked else [], dtype=int
    )
    with connection.transaction(force_rollback=True):
        write(connection, list(before.values()))
        found = reader.committed(connection, batch, rows)
    expected = {row: before[key] for row in rows.tolist() if (key := identity(asked[row])) in before}
    if found is None:
        assert len(rows) == 0
        return
    told = dict(zip(found.rows.tolist(), range(len(found.rows)), strict=True))
    assert told.keys() == expected.keys()
    columns = ReportColumns.of(expected[row] for row in found.rows.tolist())
    for name in (*COLUMNS, "levels"):
        np.testing.assert_array_equal(getattr(found.reports, name), getattr(columns, name))
    for row, place in told.items():
        assert found.extra[place] == (expected[row].extra is not None)
        np.testing.assert_equal(
            found.satellites[place], np.nan if expected[row].satellites is None else expected[row].satellites
        )
