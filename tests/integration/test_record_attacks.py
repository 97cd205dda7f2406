"""Attacks on the record: what a reviewer found that closing, versions and reprocessing get wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from api.app import create_app
from api.server import serving
from processing.district_files import parse_district
from processing.pipeline import Core
from processing.street_files import to_geojson
from storage import district as stored
from storage import street_days
from storage.versions import Versions
from streams.cores import Cores, Dated
from streams.reprocess import Reprocess
from streams.table_log import TableLog
from streams.ticks import ticks
from streams.worker import Bounds, Worker
from swept.district import read_folder
from swept.main import run
from swept.process import current_district
from swept.settings import read_settings
from swept.versions import rule_version
from tests.integration.loaded import point_at, write_folder
from tests.integration.small_world import (
    ROUND_M,
    START_US,
    clear,
    close_logs,
    district,
    drive,
    log_of,
    lonlat,
    message,
    results,
)

DAY = date(2024, 5, 1)
AFTER = DAY + timedelta(days=1)
S_US = 1_000_000
HOUR_US = 3_600 * S_US
NEXT_DAY_US = START_US + 18 * HOUR_US
MADE = Versions("rules-1", "map-1")


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    yield
    close_logs()


@pytest.fixture
def folder(tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small world's district, loaded into the store; nothing is reported yet."""
    point_at(store_url, tmp_path / "home", monkeypatch)
    made = write_folder(tmp_path / "district")
    assert run(["district", "load", str(made)]) == 0
    return made


def core(**changes: Any) -> Core:
    return Core(replace(district(), **({"roster": {"early": ("u1", "u2")}} | changes)))


def work(store_url: str, log: TableLog, made: Core, **options: Any) -> None:
    worker = Worker(store_url, log, made, MADE.rule_version, **options)
    try:
        worker.drain()
    finally:
        worker.close()


def sent(unit_id: str, fixes: list[dict[str, Any]], received_us: int | None = None) -> list[Any]:
    parts = [fixes[n : n + 6] for n in range(0, len(fixes), 6)]
    return [message(unit_id, part, received_us or part[-1]["time"] * 1_000 + S_US) for part in parts]


def a_round(unit_id: str, start_us: int, received_us: int | None = None) -> list[Any]:
    return sent(unit_id, drive(start_us, ROUND_M), received_us)


def ticked(log: TableLog, us: int) -> None:
    log.append(ticks("test", log.partitions, us))


def processed(store_url: str, envelopes: list[Any], tick_us: int | None = None) -> None:
    log = log_of(store_url, envelopes)
    if tick_us is not None:
        ticked(log, tick_us)
    close_logs()
    assert run(["process", "--once"]) == 0


def rows(connection: psycopg.Connection, query: str, *values: object) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode(), values).fetchall()


def redrawn(folder: Path, *, without: str = "") -> None:
    """Alley A 60 m longer, and one street less."""
    a, b, c = district().streets
    streets = (replace(a, parts=((lonlat(0, 0), lonlat(0, 360)),)), b, c)
    (folder / "streets.geojson").write_bytes(to_geojson([s for s in streets if s.street_id != without]))


# Versions


def test_a_figure_that_goes_and_comes_again_on_an_open_day_can_still_be_restated(
    store_url: str, connection: psycopg.Connection
) -> None:
    there = drive(START_US, [(0, 300), (120, 300)])
    elsewhere = [one | {"lat": one["lat"] - 0.03} for one in there]
    later = drive(START_US + 3 * HOUR_US, [(200, 0), (350, 0)])
    log = log_of(store_url, sent("u1", there) + sent("u1", later))
    made = core()
    work(store_url, log, made)
    assert rows(connection, "SELECT version FROM street_day WHERE street_id = 'c' AND shift_id = ''") == [
        (1,)
    ]
    # The same moments told again, late: of two with one identity the first in byte order counts.
    log.append(sent("u1", elsewhere, START_US + 4 * HOUR_US))
    ticked(log, NEXT_DAY_US + HOUR_US)
    work(store_url, log, made)
    assert rows(connection, "SELECT version FROM street_day_version WHERE street_id = 'c' AND shift_id = ''")
    log.append(a_round("u2", START_US + 5 * HOUR_US, NEXT_DAY_US + 2 * HOUR_US))
    work(store_url, log, made)
    found = rows(connection, "SELECT frequency FROM street_day WHERE street_id = 'c' AND shift_id = ''")
    assert found == [(1,)]


def test_one_version_holds_at_each_moment_also_where_a_partition_lags(
    store_url: str, connection: psycopg.Connection
) -> None:
    made = core()
    log = log_of(store_url, a_round("u1", START_US))
    ticked(log, NEXT_DAY_US + HOUR_US)
    work(store_url, log, made)
    assert street_days.last_closed(connection) == DAY
    log.append(a_round("u1", START_US + 2 * HOUR_US, NEXT_DAY_US + 40 * HOUR_US))  # partition 0
    log.append(a_round("u4", START_US + 4 * HOUR_US, NEXT_DAY_US + 20 * HOUR_US))  # partition 1
    for partition in (0, 1):
        work(store_url, log, made, partitions=[partition])
    held = "SELECT count(*) FROM swept_versions(%s, %s, %s) WHERE street_id = 'a' AND shift_id = ''"
    moments_us = [NEXT_DAY_US + hours * HOUR_US for hours in (2, 30, 50)]
    assert [rows(connection, held, DAY, DAY, moment_us) for moment_us in moments_us] == [[(1,)]] * 3


def test_what_was_settled_is_read_as_of_its_moment_after_reprocessing_too(
    folder: Path, store_url: str, connection: psycopg.Connection
) -> None:
    closing_us = NEXT_DAY_US + 2 * HOUR_US
    processed(store_url, a_round("u1", START_US), closing_us)
    held = """SELECT length_mm, frequency, verdict FROM swept_versions(%s, %s, %s)
              WHERE street_id = 'a' AND shift_id = ''"""
    before = rows(connection, held, DAY, DAY, closing_us)
    assert len(before) == 1
    redrawn(folder)
    assert run(["district", "load", str(folder), "--from", "2024-06-01"]) == 0
    assert run(["reprocess", "--from", "2024-05-01", "--to", "2024-05-01", "--map", "2"]) == 0
    assert rows(connection, held, DAY, DAY, None) != before
    assert rows(connection, held, DAY, DAY, closing_us) == before


# Closing


def test_all_days_that_are_over_are_closed_however_few_batches_there_were(
    store_url: str, connection: psycopg.Connection
) -> None:
    log = log_of(store_url, a_round("u1", START_US) + a_round("u1", START_US + 20 * 24 * HOUR_US))
    ticked(log, NEXT_DAY_US + 21 * 24 * HOUR_US + HOUR_US)
    work(store_url, log, core())
    assert street_days.last_closed(connection) == DAY + timedelta(days=21)


def test_a_day_before_the_first_that_was_closed_is_closed_too(
    store_url: str, connection: psycopg.Connection
) -> None:
    made = core()
    log = log_of(store_url, a_round("u1", START_US))
    ticked(log, NEXT_DAY_US + HOUR_US)
    work(store_url, log, made)
    # What another unit kept in memory since two days before.
    log.append(a_round("u2", START_US - 48 * HOUR_US, NEXT_DAY_US + 2 * HOUR_US))
    ticked(log, NEXT_DAY_US + 30 * HOUR_US)
    work(store_url, log, made)
    day = DAY - timedelta(days=2)
    assert street_days.closed_days(connection, [day]) == {day}


def test_without_shifts_a_verdict_is_the_same_whatever_the_batches(
    store_url: str, connection: psycopg.Connection
) -> None:
    """A unit that goes on within eight hours was expected until midnight: that is known only then."""
    made, seen = core(shifts=(), roster={}), []
    for records_max in (10_000, 2):
        clear(store_url)
        log = log_of(store_url, a_round("u1", START_US + 14 * HOUR_US))
        ticked(log, NEXT_DAY_US + HOUR_US)
        log.append(a_round("u1", NEXT_DAY_US + 2 * HOUR_US))
        ticked(log, NEXT_DAY_US + 3 * HOUR_US)
        work(store_url, log, made, bounds=Bounds(records_max=records_max))
        found = rows(
            connection, "SELECT verdict FROM street_day WHERE street_id = 'b' AND service_day = %s", DAY
        )
        seen.append(found)
    assert seen[0] == seen[1]


# Maps


def test_a_street_that_a_map_has_no_more_leaves_the_days_that_are_computed_on_it(
    folder: Path, store_url: str, connection: psycopg.Connection
) -> None:
    processed(store_url, a_round("u1", START_US), NEXT_DAY_US + HOUR_US)
    redrawn(folder, without="b")
    assert run(["district", "load", str(folder), "--from", "2024-06-01"]) == 0
    assert run(["reprocess", "--from", "2024-05-01", "--to", "2024-05-01", "--map", "2"]) == 0
    found = rows(connection, "SELECT DISTINCT street_id FROM swept_street_days(%s, %s) ORDER BY 1", DAY, DAY)
    assert found == [("a",), ("c",)]


def test_on_a_closed_day_each_whole_day_of_required_work_has_a_verdict_also_after_a_map_was_loaded(
    folder: Path, store_url: str, connection: psycopg.Connection
) -> None:
    processed(store_url, a_round("u1", START_US))
    redrawn(folder, without="b")
    assert run(["district", "load", str(folder)]) == 0
    processed(store_url, [], NEXT_DAY_US + HOUR_US)
    assert street_days.last_closed(connection) == DAY
    found = rows(
        connection,
        "SELECT street_id FROM swept_street_days(%s, %s) WHERE shift_id = '' AND verdict IS NULL",
        *(DAY, DAY),
    )
    assert found == []


def test_the_day_on_which_a_map_is_loaded_is_computed_with_the_one_that_is_in_force_for_it(
    folder: Path, store_url: str, connection: psycopg.Connection
) -> None:
    processed(store_url, a_round("u1", START_US))
    redrawn(folder)
    assert run(["district", "load", str(folder)]) == 0
    processed(store_url, a_round("u1", START_US + 4 * HOUR_US), NEXT_DAY_US + HOUR_US)
    assert street_days.last_closed(connection) == DAY
    force = stored.version_of(stored.in_force(connection, "test"), DAY)
    made_by = rows(connection, "SELECT DISTINCT map_version FROM track")
    assert len(made_by) == 1, f"tracks of one day are on {made_by}"
    assert rows(connection, "SELECT DISTINCT district_version FROM street_day") == [(force,)]


# Reprocessing


def test_reprocessing_by_what_is_in_force_already_changes_nothing(
    store_url: str, connection: psycopg.Connection
) -> None:
    """A unit that stands over midnight and goes on: its tracks share a fix, and nothing parts them."""
    evening = drive(NEXT_DAY_US - 900 * S_US, ROUND_M)
    last = evening[-1]
    stands = [
        last | {"time": last["time"] + n * 60_000, "speed_kmh": 0.0, "equipment": {"brush": False}}
        for n in range(1, 16)
    ]
    made = core()
    work(store_url, log_of(store_url, sent("u1", evening + stands)), made)
    before = results(store_url)
    done = Reprocess(Cores(Dated(made, MADE)), 2, "reprocessed", NEXT_DAY_US).run(connection, [AFTER])
    after = results(store_url)
    assert after["track"] == before["track"]
    assert after["pass"] == before["pass"]
    assert done.tracks == 0


def test_reprocessing_by_a_rule_that_cuts_tracks_elsewhere_loses_no_pass(
    folder: Path, store_url: str, connection: psycopg.Connection
) -> None:
    """Two rounds around midnight with six minutes between them: one track by ten minutes, two by five."""
    again_us = NEXT_DAY_US + 500 * S_US
    both = a_round("u1", NEXT_DAY_US - 300 * S_US) + a_round("u1", again_us)
    processed(store_url, both, NEXT_DAY_US + 30 * HOUR_US)
    assert len(rows(connection, "SELECT FROM track")) == 1
    query = "SELECT street_id, enter_us FROM pass WHERE enter_us >= %s ORDER BY 2"
    before = rows(connection, query, again_us)
    assert len(before) == 3
    (folder / "rules.toml").write_text("track_gap_s_max = 300.0\n", encoding="utf-8")
    assert run(["district", "load", str(folder), "--from", "2024-06-01"]) == 0
    assert run(["reprocess", "--from", "2024-05-01", "--to", "2024-05-01", "--rule", "2"]) == 0
    assert rows(connection, query, again_us) == before


def test_a_day_can_be_computed_on_a_map_whose_fleet_lacks_a_unit_that_reported(
    folder: Path, store_url: str, connection: psycopg.Connection
) -> None:
    units = (folder / "units.toml").read_text(encoding="utf-8")
    (folder / "units.toml").write_text(units + units.replace("u1", "u2"), encoding="utf-8")
    assert run(["district", "load", str(folder)]) == 0
    processed(store_url, a_round("u1", START_US) + a_round("u2", START_US + HOUR_US), NEXT_DAY_US + HOUR_US)
    (folder / "units.toml").write_text(units, encoding="utf-8")
    redrawn(folder)
    assert run(["district", "load", str(folder), "--from", "2024-06-01"]) == 0
    assert run(["reprocess", "--from", "2024-05-01", "--to", "2024-05-01", "--map", "3"]) == 0
    found = rows(connection, "SELECT passes FROM street_day WHERE street_id = 'c' AND shift_id = ''")
    assert found == [(2,)]


def test_reprocessing_that_was_killed_goes_on_with_the_day_after_too(
    store_url: str, connection: psycopg.Connection
) -> None:
    made = core()
    a, b, c = district().streets
    other = core(streets=(replace(a, parts=((lonlat(0, 0), lonlat(0, 360)),)), b, c), map_version="map-2")
    log = log_of(store_url, a_round("u1", NEXT_DAY_US - 30 * S_US))  # its passes begin after midnight
    ticked(log, NEXT_DAY_US + 30 * HOUR_US)
    work(store_url, log, made)
    cores = Cores(Dated(other, Versions("rules-1", "map-2")))

    def killed(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Reprocess(cores, 2, "reprocessed", NEXT_DAY_US + 40 * HOUR_US).run(connection, [DAY], killed)
    Reprocess(cores, 2, "reprocessed", NEXT_DAY_US + 40 * HOUR_US).run(connection, [DAY])
    query = "SELECT map_version FROM street_day WHERE street_id = 'a' AND service_day = %s AND shift_id = ''"
    assert rows(connection, query, AFTER) == [("map-2",)]


def test_a_rule_that_joins_tracks_loses_no_pass_at_the_midnight_from_which_it_is_in_force(
    folder: Path, store_url: str, connection: psycopg.Connection
) -> None:
    """By the old rule the second round begins a track of the new day, by the new one it goes on with the old."""
    again_us = NEXT_DAY_US + 900 * S_US
    processed(store_url, a_round("u1", NEXT_DAY_US - 600 * S_US))
    (folder / "rules.toml").write_text("track_gap_s_max = 3600.0\n", encoding="utf-8")
    assert run(["district", "load", str(folder), "--from", "2024-05-02"]) == 0
    processed(store_url, a_round("u1", again_us))
    found = rows(connection, "SELECT street_id FROM pass WHERE enter_us >= %s ORDER BY enter_us", again_us)
    assert found == [("a",), ("c",), ("b",)]


def test_reprocessing_passes_over_a_short_track_that_ended_just_before_midnight(
    store_url: str, connection: psycopg.Connection
) -> None:
    made = core()
    short = drive(NEXT_DAY_US - 120 * S_US, [(-150, 0), (0, 0)])
    work(store_url, log_of(store_url, sent("u1", short) + a_round("u1", NEXT_DAY_US + 600 * S_US)), made)
    before = results(store_url)
    assert len(before["track"]) == 2
    Reprocess(Cores(Dated(made, MADE)), 2, "reprocessed", NEXT_DAY_US).run(connection, [AFTER])
    assert results(store_url)["track"] == before["track"]


def test_a_map_with_another_fleet_is_in_force_from_the_districts_own_today(
    folder: Path, store_url: str, connection: psycopg.Connection
) -> None:
    processed(store_url, a_round("u1", START_US))
    for name in ("units.toml", "shifts.toml"):
        text = (folder / name).read_text(encoding="utf-8")
        (folder / name).write_text(text.replace("u1", "v1"), encoding="utf-8")
    assert run(["district", "load", str(folder)]) == 0
    found = rows(connection, "SELECT version, first_day FROM in_force ORDER BY in_force_id DESC LIMIT 1")
    assert found in ([(2, DAY)], [(2, AFTER)])


def test_a_unit_that_the_map_in_force_lacks_is_not_measured_on_another(
    folder: Path, store_url: str, connection: psycopg.Connection
) -> None:
    """A unit that is new with the next map, and reports before that is in force."""
    processed(store_url, a_round("u1", START_US))
    redrawn(folder)
    units = (folder / "units.toml").read_text(encoding="utf-8")
    (folder / "units.toml").write_text(units + units.replace("u1", "u2"), encoding="utf-8")
    assert run(["district", "load", str(folder), "--from", "2024-05-02"]) == 0
    loop = [(-150, 0), (0, 0), (0, 360), (0, 0)]
    processed(store_url, sent("u2", drive(START_US + 4 * HOUR_US, loop)))
    query = """SELECT max(greatest(enter_mm, leave_mm)) FROM pass WHERE street_id = 'a' AND unit_id = 'u2'"""
    ((mm,),) = rows(connection, query)
    ((length_mm,),) = rows(
        connection, "SELECT length_mm FROM district_street WHERE street_id = 'a' AND version = 1"
    )
    assert rows(connection, "SELECT count(DISTINCT map_version) FROM track") == [(1,)]
    assert mm <= length_mm


@pytest.mark.parametrize("step", ["decode", "commit"])
def test_what_is_put_in_force_while_a_batch_is_under_way_counts_for_it(
    folder: Path, store_url: str, connection: psycopg.Connection, step: str
) -> None:
    """In between a reprocessing may begin and end: then nobody computes again what the worker writes now."""
    processed(store_url, a_round("u1", START_US))
    made = parse_district(read_folder(folder))
    a, *others = made.streets
    longer = replace(a, parts=((lonlat(0, 0), lonlat(0, 360)),), required=3)
    (folder / "streets.geojson").write_bytes(to_geojson((longer, *others)))
    new = parse_district(read_folder(folder))
    version, _ = stored.save(connection, new, read_folder(folder), rule_version(new.rules))
    rules = rule_version(made.rules)
    cores = Cores(Dated(Core(made), Versions(rules, made.map_version), 1), rule_version)

    def meanwhile(now: str) -> None:
        if now == step and not rows(connection, "SELECT FROM in_force WHERE version = %s", version):
            stored.put_in_force(connection, "test", version, DAY, START_US + HOUR_US, DAY)
            first = Dated(Core(made), Versions(rules, made.map_version), 1)
            Reprocess(Cores(first, rule_version), 2, "reprocessed", NEXT_DAY_US).run(connection, [DAY])

    log = log_of(store_url, a_round("u1", START_US + 2 * HOUR_US))
    ticked(log, NEXT_DAY_US + HOUR_US)
    work(store_url, log, cores.first.core, cores=cores, on_step=meanwhile)
    assert street_days.last_closed(connection) == DAY
    assert rows(connection, "SELECT DISTINCT map_version FROM track") == [(new.map_version,)]
    query = "SELECT district_version, required FROM street_day WHERE street_id = 'a' AND shift_id = ''"
    assert rows(connection, query) == [(version, 3)]


def test_the_api_shows_an_open_day_on_the_map_that_is_in_force_for_it(
    folder: Path, store_url: str, connection: psycopg.Connection
) -> None:
    processed(store_url, a_round("u1", START_US))
    redrawn(folder, without="b")
    assert run(["district", "load", str(folder), "--from", "2024-05-02"]) == 0
    served = current_district(connection, read_settings())
    made = Core(served)
    app = create_app(store_url, served, made.references, made.projection)
    with serving(app) as url, httpx.Client(base_url=f"{url}/api/v1", timeout=30) as client:
        told = client.get("/frequency", params={"from": "2024-05-01", "to": "2024-05-01"}).json()
    expected = rows(
        connection,
        "SELECT street_id, frequency FROM swept_street_days(%s, %s) WHERE shift_id = '' ORDER BY 1",
        DAY,
        DAY,
    )
    assert [(row["street_id"], row["frequency"]) for row in told] == expected


def test_what_a_killed_worker_left_open_is_closed_without_another_record(
    store_url: str, connection: psycopg.Connection
) -> None:
    made = core()
    log = log_of(store_url, a_round("u1", START_US))
    ticked(log, NEXT_DAY_US + HOUR_US)

    def killed(step: str) -> None:
        if step == "commit":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(store_url, log, made, on_step=killed)
    work(store_url, log, made)
    assert street_days.last_closed(connection) == DAY


def test_late_data_leaves_the_gaps_of_an_older_day_to_the_rules_of_that_day(
    folder: Path, store_url: str, connection: psycopg.Connection
) -> None:
    processed(
        store_url, a_round("u1", START_US) + a_round("u1", START_US + 740 * S_US), NEXT_DAY_US + HOUR_US
    )
    query = "SELECT jsonb_array_length(gaps) FROM unit_day WHERE service_day = %s"
    assert rows(connection, query, DAY) == [(1,)]
    (folder / "rules.toml").write_text("join_s_max = 599.0\n", encoding="utf-8")
    assert run(["district", "load", str(folder), "--from", "2024-06-01"]) == 0
    processed(store_url, a_round("u1", START_US + 1_200 * S_US, NEXT_DAY_US + 2 * HOUR_US))
    assert rows(connection, query, DAY) == [(1,)]


def test_a_unit_that_leaves_with_the_next_map_reports_until_then(
    folder: Path, store_url: str, connection: psycopg.Connection
) -> None:
    units = (folder / "units.toml").read_text(encoding="utf-8")
    (folder / "units.toml").write_text(units + units.replace("u1", "u2"), encoding="utf-8")
    assert run(["district", "load", str(folder)]) == 0
    processed(store_url, a_round("u1", START_US))
    (folder / "units.toml").write_text(units, encoding="utf-8")
    assert run(["district", "load", str(folder), "--from", "2024-05-02"]) == 0
    processed(store_url, a_round("u2", START_US + 4 * HOUR_US))
    assert rows(connection, "SELECT DISTINCT reason FROM dead_letter") == []
    assert rows(connection, "SELECT count(*) FROM pass WHERE unit_id = 'u2' AND service_day = %s", DAY) == [
        (3,)
    ]


def test_reprocessing_on_a_map_leaves_the_fleet_and_its_roster_as_they_were(
    folder: Path, store_url: str, connection: psycopg.Connection
) -> None:
    """`--map` takes streets and roads: a unit that is expected since June only was silent in May by rights."""
    stands = drive(START_US, [(-150, 0), (-140, 0)])[0] | {"speed_kmh": 0.0, "equipment": {"brush": False}}
    times = range(START_US // 1000, (START_US + 8 * HOUR_US) // 1000, 60_000)
    processed(store_url, sent("u1", [stands | {"time": at} for at in times]), NEXT_DAY_US + HOUR_US)
    query = "SELECT DISTINCT verdict FROM street_day WHERE shift_id = ''"
    assert rows(connection, query) == [("not swept",)]
    units = (folder / "units.toml").read_text(encoding="utf-8")
    (folder / "units.toml").write_text(units + units.replace("u1", "u2"), encoding="utf-8")
    shifts = (folder / "shifts.toml").read_text(encoding="utf-8")
    (folder / "shifts.toml").write_text(shifts.replace('["u1"]', '["u1", "u2"]'), encoding="utf-8")
    redrawn(folder)
    assert run(["district", "load", str(folder), "--from", "2024-06-01"]) == 0
    assert run(["reprocess", "--from", "2024-05-01", "--to", "2024-05-01", "--map", "2"]) == 0
    assert rows(connection, query) == [("not swept",)]
