"""Writing and reading on a real PostgreSQL: what goes in comes out, exactly."""

from __future__ import annotations

from datetime import date

import numpy as np
import psycopg

from processing.fix import EQUIPMENT, Kind, Reason, Rejection, Report, ReportColumns
from processing.frequency import StreetDay
from processing.order import identity
from processing.sweep import Pass, Passes, Piece
from storage import district, reader, street_days, writer
from storage.place import Place
from storage.queries.corrections import Correction, corrections
from storage.queries.dead_letters import dead_letters
from storage.queries.passes import passes_between, passes_of_day
from storage.street_days import Change, Kept, Recorded
from storage.versions import Versions
from tests.integration.small_world import district as small_district
from tests.integration.written import write

DAY = date(2024, 5, 1)
VERSIONS = Versions("rules", "map")
FULL = Report(
    "u",
    Kind.FIX,
    1_714_525_200_123_456,
    7,
    lon=122.2573668,
    lat=40.6733782,
    speed_kmh=6.4,
    heading_deg=86.2,
    accuracy_m=4.0,
    satellites=14,
    seq=812,
    historical=True,
    engine=True,
    brush=False,
    fan=True,
    hopper_pct=40.0,
    extra='{"x":1}',
)
BARE = Report("u", Kind.EQUIPMENT, FULL.fix_time_us, 8, brush=False)
LATER = Report("u", Kind.FIX, FULL.fix_time_us + 5_000_000, 9, 122.0, 40.0)


def place(offset: int) -> Place:
    return Place("log", 0, offset, 0)


def test_reports_come_back_as_they_went_in(connection: psycopg.Connection) -> None:
    reports = [FULL, BARE, LATER]
    write(connection, reports)
    found, places = reader.existing(connection, map(identity, reports))
    assert {key: one.canonical() for key, one in found.items()} == {
        identity(one): one.canonical() for one in reports
    }
    assert found[identity(FULL)] == FULL
    assert places[identity(LATER)] == place(2)
    (columns,) = reader.reports(connection, [reader.Window("u", 0, 2**62)])
    expected = ReportColumns.of(sorted(reports, key=lambda one: (one.fix_time_us, one.kind)))
    for name in ("fix_time_us", "kind", "lon", "lat", "speed_kmh", "heading_deg", "accuracy_m", "equipment"):
        np.testing.assert_array_equal(getattr(columns, name), getattr(expected, name))
    assert columns.equipment.shape == (3, len(EQUIPMENT))
    windows = [
        reader.Window(*one) for one in (("u", 0, FULL.fix_time_us), ("nobody", 0, 2**62), ("u", 0, 2**62))
    ]
    assert [len(found) for found in reader.reports(connection, windows)] == [0, 0, len(columns)]
    assert reader.last_fix_us(connection, ["u", "nobody"]) == {"u": LATER.fix_time_us}


def test_a_winner_takes_the_place_of_the_report_it_replaces(connection: psycopg.Connection) -> None:
    rival = Report("u", Kind.FIX, LATER.fix_time_us, 1, 121.0, 40.0)
    write(connection, [LATER])
    write(connection, [rival], [LATER], offset=1)
    found, places = reader.existing(connection, [identity(LATER)])
    assert found == {identity(LATER): rival}
    assert places[identity(LATER)] == place(1)


def test_any_bytes_and_any_text_are_kept_in_dead_letters_once(connection: psycopg.Connection) -> None:
    letter = Rejection(Reason.NOT_JSON, "nul \0 and \ud800", "t/\0", bytes(range(256)), 5, "u\0")
    writer.dead_letters(connection, [(letter, place(3))])
    writer.dead_letters(connection, [(letter, place(3))])
    (kept,), complete = dead_letters(connection, 10)
    assert complete
    assert kept.payload == bytes(range(256))
    assert kept.detail == "nul \\0 and \\ud800"
    assert dead_letters(connection, 10, reason="conflict") == ([], True)


def test_passes_come_back_as_they_went_in(connection: psycopg.Connection) -> None:
    pieces = (Piece(0, 900, 10, 20), Piece(1_000, 2_000, 30, 40))
    swept = Pass("u", 5, 0, "a", "sweeping", 1, 10, 40, 0, 2_000, pieces, (Piece(900, 1_000, 20, 30),), "b")
    through = Pass("u", 5, 1, "a", "sweeping", -1, 50, 60, 2_000, 0, ())
    writer.passes(connection, [], [(swept, DAY), (through, DAY)])
    assert passes_of_day(connection, "a", DAY) == [swept, through]
    assert reader.passes_of_tracks(connection, [("u", 5)]) == [swept, through]
    assert reader.passes_of_street_days(connection, [("a", DAY, 0)]) == [
        ("a", DAY, True, swept),
        ("a", DAY, True, through),
    ]
    following = date(2024, 5, 2)
    assert reader.passes_of_street_days(connection, [("a", following, 40)]) == [
        ("a", following, False, swept)
    ]
    assert reader.passes_of_street_days(connection, [("a", following, 41)]) == []
    asked = [("none", DAY, 0), ("a", following, 40), ("a", DAY, 0), ("a", following, 41)]
    counted = [(starts.tolist(), passes) for starts, passes in reader.counted_passes(connection, asked)]
    assert [starts for starts, _ in counted] == [[], [False], [True, True], []]
    for (_, found), wanted in zip(counted, ([], [swept], [swept, through], []), strict=True):
        for column, expected in zip(found[1:], Passes.of("a", wanted)[1:], strict=True):
            assert (column.dtype, column.shape) == (expected.dtype, expected.shape)
            assert column.tolist() == expected.tolist()
    assert reader.counted_passes(connection, []) == []
    writer.passes(connection, [swept], [])
    assert passes_of_day(connection, "a", DAY) == [through]
    assert passes_between(connection, "a", 0, 100) == []


def test_figures_are_replaced_in_place_or_restated_with_what_they_were(
    connection: psycopg.Connection,
) -> None:
    first = recorded(StreetDay("a", DAY, "sweeping", 1, 1, 900, 900, 1_000, (5,), 1, 1, 100))
    second = recorded(StreetDay("a", DAY, "sweeping", 2, 1, 1_000, 900, 1_000, (5, 9), 2, 2, 0))
    key = first.key
    street_days.write(connection, [Change(key, None, first)], 10)
    assert street_days.read(connection, [("a", DAY)]) == {key: Kept(first, 1, "first figures", 10, 10)}
    street_days.write(connection, [Change(key, Kept(first, 1, "first figures", 10, 10), second)], 20)
    kept = street_days.read(connection, [("a", DAY)])[key]
    assert kept == Kept(second, 1, "first figures", 10, 20)
    assert corrections(connection, DAY, DAY) == []
    street_days.write(connection, [Change(key, kept, first, "late data")], 30)
    now = street_days.read(connection, [("a", DAY)])[key]
    assert now == Kept(first, 2, "late data", 30, 30)
    assert corrections(connection, DAY, DAY, "a") == [Correction(key, kept, now, 30)]
    assert connection.execute("SELECT superseded_us FROM street_day_version").fetchall() == [(30,)]
    street_days.write(connection, [Change(key, now, None)], 40)
    assert street_days.read(connection, [("a", DAY)]) == {}


def recorded(figures: StreetDay) -> Recorded:
    return Recorded(figures, "", 2, None, 1, *VERSIONS)


def test_what_a_track_was_made_of_and_by_which_versions_is_told(connection: psycopg.Connection) -> None:
    writer.tracks(connection, [], [writer.TrackRow("u", 5, 9, 2, b"digest", VERSIONS)])
    assert reader.track_digests(connection, [reader.Window("u", 0, 10)]) == {"u": {5: (b"digest", VERSIONS)}}
    assert reader.last_tracks_before(connection, [("u", 7), ("v", 7)]) == {"u": (5, 9)}
    assert reader.last_tracks_before(connection, [("u", 4)]) == {}


def test_a_district_is_kept_byte_for_byte_and_the_same_files_make_no_new_version(
    connection: psycopg.Connection,
) -> None:
    files = {"district.toml": b"id = 'x'", "streets.geojson": bytes(range(256))}
    town = small_district()
    assert district.files_of(connection, "test", 1) is None
    assert district.save(connection, town, files, "rules") == (1, True)
    assert district.save(connection, town, files, "other release") == (1, False)
    assert district.save(connection, town, files | {"units.toml": b""}, "rules") == (2, True)
    assert district.save(connection, town, files, "rules") == (1, False)
    assert district.files_of(connection, "test", 2) == files | {"units.toml": b""}
    assert district.files_of(connection, "test", 1) == files
    assert district.loaded(connection) == ["test"]
    names = connection.execute("SELECT name FROM district_street WHERE version = 2 ORDER BY 1").fetchall()
    assert names == [("Alley A",), ("Alley B",), ("Lane C",)]


def test_of_what_was_put_in_force_for_a_service_day_the_last_counts(connection: psycopg.Connection) -> None:
    for n in range(3):
        district.save(connection, small_district(), {"n": bytes([n])}, "rules")
    day = [date(2024, 5, n) for n in range(1, 10)]
    district.put_in_force(connection, "test", 1, day[0], 0)
    district.put_in_force(connection, "test", 2, day[4], 100)
    district.put_in_force(connection, "test", 3, day[2], 200, day[5])
    timeline = district.in_force(connection, "test")
    assert [district.version_of(timeline, one) for one in day] == [1, 1, 3, 3, 3, 3, 2, 2, 2]
    assert district.version_of(timeline, date(2024, 4, 30)) is None
    assert district.standing(timeline) == 2
    assert district.in_force(connection, "elsewhere") == []


def test_a_commit_tells_listeners_what_changed(connection: psycopg.Connection, store_url: str) -> None:
    connection.execute("LISTEN swept_commit")
    with psycopg.connect(store_url, autocommit=True) as other:
        writer.notify(other, ["u"], ["b", "a"], 3)
        writer.notify(other, [f"unit-{n:060}" for n in range(500)], [], 4)
    first, second = list(connection.notifies(timeout=10, stop_after=2))
    assert first.payload == '{"units":["u"],"streets":["a","b"],"all_listed":true,"received_us":3}'
    assert '"all_listed": false' in second.payload.replace(":f", ": f")
