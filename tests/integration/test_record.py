"""The record of street-days on a real store: closing a day, restating it, other maps, and computing it again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg
import pytest

from processing.district import District
from processing.era import FIRST_DAY
from processing.pipeline import Core
from processing.rules import Rules
from processing.street_files import to_geojson
from storage import district as stored
from storage import street_days
from storage.queries.corrections import corrections
from storage.street_days import Key
from storage.versions import Versions
from streams.cores import Cores, Dated
from streams.reprocess import Reprocess
from streams.table_log import TableLog
from streams.ticks import ticks
from streams.worker import Bounds, Worker
from swept.main import run
from swept.versions import rule_version
from tests.integration.loaded import point_at, write_folder
from tests.integration.small_world import (
    ROUND_M,
    START_US,
    close_logs,
    district,
    drive,
    log_of,
    lonlat,
    message,
    results,
)

DAY = date(2024, 5, 1)
HOUR_US = 3_600_000_000
NEXT_DAY_US = START_US + 18 * HOUR_US
A, B, C = (Key(street_id, DAY, "sweeping") for street_id in "abc")


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    yield
    close_logs()


@lru_cache(maxsize=1)
def core() -> Core:
    small = district()
    roster: dict[str, tuple[str, ...]] = {"early": ("u1", "u2")}
    return Core(replace(small, roster=roster))


def work(store_url: str, log: TableLog, **options: Any) -> Worker:
    worker = Worker(store_url, log, core(), "rules-1", **options)
    worker.drain()
    worker.close()
    return worker


def a_round(unit_id: str, start_us: int, received_us: int | None = None) -> list[Any]:
    fixes = drive(start_us, ROUND_M)
    parts = [fixes[n : n + 6] for n in range(0, len(fixes), 6)]
    return [message(unit_id, part, received_us or part[-1]["time"] * 1_000 + 500_000) for part in parts]


def a_shift(unit_id: str) -> list[Any]:
    """From six to two without a silence: rounds, and stands between them."""
    out: list[Any] = []
    for hour in range(8):
        start_us = START_US + hour * HOUR_US
        out += a_round(unit_id, start_us)
        last = drive(start_us, ROUND_M)[-1]
        seconds = range(last["time"] // 1_000 + 60, (start_us + HOUR_US) // 1_000_000, 60)
        stands = [
            last | {"time": at * 1_000, "speed_kmh": 0.0, "equipment": {"brush": False}} for at in seconds
        ]
        out += [message(unit_id, [one], one["time"] * 1_000) for one in stands]
    return out


def recorded(connection: psycopg.Connection, day: date = DAY) -> dict[Key, street_days.Kept]:
    return street_days.read(connection, [(street_id, day) for street_id in "abc"])


def ticked(log: TableLog, us: int) -> None:
    log.append(ticks("test", log.partitions, us))


def test_a_day_is_closed_with_a_verdict_for_each_street_once_all_partitions_are_past_it(
    store_url: str, connection: psycopg.Connection
) -> None:
    log = log_of(store_url, a_shift("u1") + a_shift("u2"))
    work(store_url, log)
    assert {one.recorded.verdict for one in recorded(connection).values()} == {None}
    ticked(log, NEXT_DAY_US + HOUR_US // 12)  # five minutes past: a straggler may still come
    work(store_url, log)
    assert street_days.last_closed(connection) is None
    ticked(log, NEXT_DAY_US + HOUR_US // 5)
    work(store_url, log)
    assert street_days.last_closed(connection) == DAY
    kept = recorded(connection)
    assert {key: (one.recorded.verdict, one.version) for key, one in kept.items() if not key.shift_id} == {
        A: ("swept", 1),
        B: ("swept", 1),
        C: ("swept", 1),
    }
    assert kept[A].recorded.required == 1
    assert kept[A].recorded.figures.frequency == 8
    early = kept[A._replace(shift_id="early")].recorded
    assert (early.figures.frequency, early.required, early.verdict) == (8, 0, None)
    assert corrections(connection, DAY, DAY) == []


def test_a_day_without_a_report_is_closed_too_and_says_no_data(
    store_url: str, connection: psycopg.Connection
) -> None:
    log = log_of(store_url, a_shift("u1"))
    ticked(log, NEXT_DAY_US + 25 * HOUR_US)
    work(store_url, log)
    following = DAY + timedelta(days=1)
    assert street_days.last_closed(connection) == following
    kept = recorded(connection, following)
    assert {(one.recorded.verdict, one.recorded.figures.frequency) for one in kept.values()} == {
        ("no data", 0)
    }
    assert {one.cause for one in kept.values()} == {"day closed"}


def test_what_comes_for_a_closed_day_restates_figure_and_verdict_and_keeps_both(
    store_url: str, connection: psycopg.Connection
) -> None:
    log = log_of(store_url, a_shift("u1")[:26])
    ticked(log, NEXT_DAY_US + HOUR_US)
    work(store_url, log)
    before = recorded(connection)
    assert before[B].recorded.verdict == "no data"
    # In order as far as its own unit is concerned, and late all the same.
    log.append(a_round("u2", START_US + 2 * HOUR_US, NEXT_DAY_US + 30 * HOUR_US))
    work(store_url, log)
    after = recorded(connection)
    assert (after[B].recorded.verdict, after[B].recorded.figures.frequency) == ("swept", 2)
    assert (after[B].version, after[B].cause) == (2, "late data")
    made = {one.key: one for one in corrections(connection, DAY, DAY)}
    assert made[B].old == before[B]
    assert made[B].new == after[B]
    assert made[B].at_us == NEXT_DAY_US + 30 * HOUR_US
    as_of = (
        "SELECT verdict, frequency FROM swept_versions(%s, %s, %s) WHERE street_id = 'b' AND shift_id = ''"
    )
    for moment_us, expected in ((NEXT_DAY_US + 2 * HOUR_US, ("no data", 1)), (None, ("swept", 2))):
        assert connection.execute(as_of.encode(), (DAY, DAY, moment_us)).fetchall() == [expected]


def test_a_silence_that_late_reports_fill_changes_the_verdict_of_streets_nobody_touched(
    store_url: str, connection: psycopg.Connection
) -> None:
    stands = drive(START_US, [(-150, 0), (-140, 0)])[0] | {"speed_kmh": 0.0, "equipment": {"brush": False}}
    times = range(START_US // 1000, (START_US + 8 * HOUR_US) // 1000, 60_000)
    standing = [stands | {"time": at} for at in times]
    log = log_of(store_url, [message(u, standing[:60], START_US + HOUR_US) for u in ("u1", "u2")])
    ticked(log, NEXT_DAY_US + HOUR_US)
    work(store_url, log)
    assert {one.recorded.verdict for one in recorded(connection).values()} == {"no data"}
    log.append([message(u, standing[59:], NEXT_DAY_US + 9 * HOUR_US) for u in ("u1", "u2")])
    work(store_url, log)
    kept = recorded(connection)
    assert {one.recorded.verdict for one in kept.values()} == {"not swept"}
    assert {one.cause for one in kept.values()} == {"late data"}


def test_the_record_is_the_same_whatever_the_batches(store_url: str, connection: psycopg.Connection) -> None:
    """Figures and verdicts of closed days, not the numbers of versions."""
    seen = []
    for records_max in (10_000, 7):
        small_clear(connection)
        log = log_of(store_url, a_shift("u1")[:40])
        ticked(log, NEXT_DAY_US + HOUR_US)
        log.append(a_round("u2", START_US + 2 * HOUR_US, NEXT_DAY_US + 30 * HOUR_US))
        ticked(log, NEXT_DAY_US + 31 * HOUR_US)
        work(store_url, log, bounds=Bounds(records_max=records_max))
        both = recorded(connection) | recorded(connection, DAY + timedelta(days=1))
        seen.append({key: one.recorded for key, one in both.items()})
    assert seen[0] == seen[1]
    assert len({key.service_day for key in seen[0]}) == 2


def small_clear(connection: psycopg.Connection) -> None:
    tables = connection.execute(
        "SELECT relname FROM pg_stat_user_tables WHERE relname NOT LIKE '%migration'"
    ).fetchall()
    connection.execute(f"TRUNCATE {', '.join(row[0] for row in tables)} RESTART IDENTITY".encode())


# Maps


def longer() -> District:
    """The small district with alley A drawn 60 m longer, and lane C under another name."""
    small = district()
    a, b, c = small.streets
    longer_a = replace(a, parts=((lonlat(0, 0), lonlat(0, 360)),))
    return replace(small, streets=(longer_a, b, replace(c, name="Lane C, renamed")), map_version="map-2")


def rewrite(folder: Path, new: District) -> None:
    (folder / "streets.geojson").write_bytes(to_geojson(new.streets))


@pytest.fixture
def folder(tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small world loaded into the store, of which two days are on record."""
    point_at(store_url, tmp_path / "home", monkeypatch)
    made = write_folder(tmp_path / "district")
    assert run(["district", "load", str(made)]) == 0
    log = log_of(store_url, a_round("u1", START_US))
    log.append(a_round("u1", START_US + 24 * HOUR_US))
    ticked(log, NEXT_DAY_US + 25 * HOUR_US)
    close_logs()
    assert run(["process", "--once"]) == 0
    return made


def lengths(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    return connection.execute(
        """SELECT service_day - date '2024-05-01', length_mm > 350000, frequency, district_version, version
           FROM street_day WHERE street_id = 'a' AND shift_id = '' ORDER BY 1"""
    ).fetchall()


def test_a_map_that_is_redrawn_serves_from_its_day_on_and_late_data_stays_on_the_old(
    folder: Path, store_url: str, connection: psycopg.Connection
) -> None:
    assert lengths(connection) == [(0, False, 1, 1, 1), (1, False, 1, 1, 1)]
    rewrite(folder, longer())
    assert run(["district", "load", str(folder), "--from", "2024-05-03"]) == 0
    timeline = stored.in_force(connection, "test")
    assert [(one.version, one.first_day) for one in timeline] == [(1, FIRST_DAY), (2, date(2024, 5, 3))]
    log = log_of(store_url, a_round("u1", START_US + 2 * HOUR_US, NEXT_DAY_US + 30 * HOUR_US))
    log.append(a_round("u1", START_US + 48 * HOUR_US))
    ticked(log, NEXT_DAY_US + 49 * HOUR_US)
    close_logs()
    assert run(["process", "--once"]) == 0
    assert lengths(connection) == [(0, False, 2, 1, 2), (1, False, 1, 1, 1), (2, True, 0, 2, 1)]
    names = connection.execute(
        """SELECT DISTINCT service_day - date '2024-05-01', name
           FROM swept_street_days('2024-05-01', '2024-05-03') WHERE street_id = 'c' ORDER BY 1"""
    ).fetchall()
    assert names == [(0, "Lane C"), (1, "Lane C"), (2, "Lane C, renamed")]


def test_a_street_that_is_split_keeps_its_history_and_its_halves_begin_theirs(
    folder: Path, store_url: str, connection: psycopg.Connection
) -> None:
    a, *others = district().streets
    south = replace(a, line_id="a-south", parts=((lonlat(0, 0), lonlat(0, 150)),))
    north = replace(a, line_id="a-north", parts=((lonlat(0, 150), lonlat(0, 300)),))
    rewrite(folder, replace(district(), streets=(south, north, *others)))
    assert run(["district", "load", str(folder), "--from", "2024-05-03"]) == 0
    log = log_of(store_url, a_round("u1", START_US + 2 * HOUR_US, NEXT_DAY_US + 30 * HOUR_US))
    log.append(a_round("u1", START_US + 48 * HOUR_US))
    ticked(log, NEXT_DAY_US + 49 * HOUR_US)
    close_logs()
    assert run(["process", "--once"]) == 0
    found = connection.execute(
        """SELECT service_day - date '2024-05-01', street_id, frequency, version FROM street_day
           WHERE street_id LIKE 'a%' AND shift_id = '' ORDER BY 1, 2"""
    ).fetchall()
    assert found == [(0, "a", 2, 2), (1, "a", 1, 1), (2, "a-north", 1, 1), (2, "a-south", 1, 1)]


def test_reprocessing_on_another_map_restates_its_days_and_only_those(
    folder: Path, connection: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    rewrite(folder, longer())
    assert run(["district", "load", str(folder), "--from", "2024-06-01"]) == 0
    before = street_days.read(connection, [("a", DAY)])
    assert run(["reprocess", "--from", "2024-05-01", "--to", "2024-05-01", "--map", "2"]) == 0
    assert lengths(connection) == [(0, True, 0, 2, 2), (1, False, 1, 1, 1)]
    made = [one for one in corrections(connection, DAY, DAY, "a") if not one.key.shift_id]
    assert [(one.old, one.new.cause) for one in made] == [(before[A], "reprocessed with map 2")]
    # Again it does nothing, and back it gives what was before, as a third version.
    assert run(["reprocess", "--from", "2024-05-01", "--to", "2024-05-01", "--map", "2"]) == 0
    assert lengths(connection)[0] == (0, True, 0, 2, 2)
    assert "0 tracks matched again, 0 streets restated" in capsys.readouterr().out
    assert run(["reprocess", "--from", "2024-05-01", "--to", "2024-05-01", "--map", "1"]) == 0
    again = street_days.read(connection, [("a", DAY)])[A]
    assert again.recorded.content == before[A].recorded.content
    assert again.recorded.map_version == before[A].recorded.map_version
    assert again.version == 3
    assert run(["district", "list"]) == 0
    told = capsys.readouterr().out
    assert "in force for until 2024-05-31" in told
    assert "in force for 2024-06-01 on" in told


def test_reprocessing_by_other_rules_takes_only_the_rules(
    folder: Path, connection: psycopg.Connection
) -> None:
    (folder / "rules.toml").write_text("close_gap_m = 0.0\n", encoding="utf-8")
    rewrite(folder, longer())
    assert run(["district", "load", str(folder), "--from", "2024-06-01"]) == 0
    assert run(["reprocess", "--from", "2024-05-01", "--to", "2024-05-01", "--rule", "2"]) == 0
    (first, *_) = lengths(connection)
    assert first[1:] == (False, 1, 3, 2)  # the old length, a combined version of the district, restated
    made_by = connection.execute("SELECT DISTINCT rule_version FROM street_day WHERE service_day = %s", [DAY])
    assert made_by.fetchall() == [(rule_version(Rules(close_gap_m=0.0)),)]
    # The combined version is for that day alone: what is served and processed is still the newest map.
    assert stored.standing(stored.in_force(connection, "test")) == 2


def test_an_upgrade_by_itself_restates_nothing(store_url: str, connection: psycopg.Connection) -> None:
    log = log_of(store_url, a_round("u1", START_US))
    ticked(log, NEXT_DAY_US + HOUR_US)
    work(store_url, log)
    before = recorded(connection)
    log.append(a_round("u2", NEXT_DAY_US + 7 * HOUR_US))
    worker = Worker(store_url, log, core(), "rules-2")
    worker.drain()
    worker.close()
    assert recorded(connection) == before


def test_reprocessing_beside_a_live_worker_loses_nothing(
    store_url: str, connection: psycopg.Connection
) -> None:
    log = log_of(store_url, [])
    stop = threading.Event()
    worker = Worker(store_url, log, core(), "rules-1", bounds=Bounds(records_max=3))
    live = threading.Thread(target=worker.run, args=[stop.is_set, 0.01])
    live.start()
    appender = TableLog(store_url)
    try:
        for n, one in enumerate(a_shift("u1")[:60] + a_round("u2", START_US + 2 * HOUR_US)):
            appender.append([one])
            if n % 15 == 14:
                cores = Cores(Dated(core(), Versions(f"rules-{n}", "map-1")))
                Reprocess(cores, 2, "reprocessed", START_US + 20 * HOUR_US).run(connection, [DAY])
        wait_for(connection, appender)
    finally:
        stop.set()
        live.join()
        worker.close()
        appender.close()
    assert worker.counts.refused == 0
    found = results(store_url)
    small_clear(connection)
    work(store_url, log_of(store_url, a_shift("u1")[:60] + a_round("u2", START_US + 2 * HOUR_US)))
    undisturbed = results(store_url)
    assert found["street_day"] == undisturbed["street_day"]
    assert found["pass"] == undisturbed["pass"]


def wait_for(connection: psycopg.Connection, log: TableLog) -> None:
    for _ in range(600):
        done = connection.execute("SELECT coalesce(sum(next_offset), 0) FROM checkpoint").fetchone()
        if done is not None and done[0] == sum(log.ends().values()):
            return
        threading.Event().wait(0.1)
    raise AssertionError("the worker never came to the log's end")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--from", "2024-05-02", "--to", "2024-05-01"], "exchange them"),
        (["--from", "2024-05-01", "--to", "2024-05-01", "--map", "9"], "no such version"),
        (["--from", "2030-01-01", "--to", "2030-12-31"], "nothing is on record"),
        (["--from", "yesterday", "--to", "2024-05-01"], "write it like"),
    ],
)
def test_reprocess_says_what_is_wrong_with_what_was_asked(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["reprocess", *arguments]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_days_whose_reports_were_dropped_are_not_counted_as_days_without_any(
    connection: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    before = recorded(connection)
    middle_us = START_US + HOUR_US // 60
    connection.execute("DELETE FROM fix WHERE fix_time_us < %s", [middle_us])
    assert run(["reprocess", "--from", "2024-05-01", "--to", "2024-05-02"]) == 2
    assert "ask for days after 2024-05-01" in capsys.readouterr().err
    assert run(["reprocess", "--from", "2024-05-02", "--to", "2024-05-02"]) == 0
    assert recorded(connection) == before


def test_a_folder_whose_days_begin_elsewhere_is_refused_once_days_are_on_record(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toml = (folder / "district.toml").read_text(encoding="utf-8")
    (folder / "district.toml").write_text(f'{toml}timezone = "Europe/Berlin"\n', encoding="utf-8")
    assert run(["district", "load", str(folder)]) == 2
    assert "one service day" in capsys.readouterr().err
