"""From what released versions left to this one, on each kind of store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from processing.service_day import US
from storage import timescale
from storage.migrate import migrate, migrations, pending
from swept.main import run
from tests.integration.loaded import RECEIVED_US, point_at
from tests.integration.small_world import ROUND_M, START_US, close_logs, drive, log_of, message
from tests.timescale.debian_postgres import BIN, debian_postgres

RELEASED = Path(__file__).with_name("release_0_1_0.sql")
#: What release 0.1.0 applied; a file that was released is never changed.
SHA256 = {
    "0001_log": "d2ebe2d2a914cceb19dd23464f30548321aa26b974338853e8d524b3678579f9",
    "0002_district": "26a54be97cfc6d9a875e502f08ee6ddea375e73ae0df86cc05b271c3a1677482",
    "0003_fix": "5e42cfbf3c078007eac877d8198e6cbdef73895a10df2fe05aec3cc37aa43660",
    "0004_results": "3da04d016450d4177aaa82383c73ffa649ead5d01f4cd31da5ea28087ec1f34d",
    "0005_certainty": "67ca4eccd5338ddb5710877387023be0d591588204bb8b85babed8ceb5caff55",
}


@pytest.fixture(params=["PostgreSQL 18", "PostgreSQL 15", "TimescaleDB"])
def released_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A store as release 0.1.0 left it."""
    if request.param == "PostgreSQL 15":
        if not BIN.is_dir():
            pytest.skip(f"no {BIN}; install Debian's postgresql-15")
        with debian_postgres() as url:
            _release(url)
            yield url
        return
    fixture = {"PostgreSQL 18": "empty_store_url", "TimescaleDB": "empty_timescale_url"}[request.param]
    url = str(request.getfixturevalue(fixture))
    _release(url)
    yield url


def _release(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            """CREATE TABLE schema_migration (version integer PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL,
                                              applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"""
        )
        for one in migrations()[: len(SHA256)]:
            assert one.sha256 == SHA256[one.label], f"{one.label} was released and has changed"
            connection.execute(one.sql)
            connection.execute(
                "INSERT INTO schema_migration (version, name, sha256) VALUES (%s, %s, %s)",
                (one.version, one.name, one.sha256),
            )
        connection.execute(RELEASED.read_bytes())


Rows = list[tuple[object, ...]]

FIXES = """SELECT unit_id, fix_time_us, kind, received_us, lon, lat, speed_kmh, heading_deg, accuracy_m, satellites,
                  seq, historical, engine, brush, spray, fan, working, hopper_pct, water_pct, extra, log_id, partition,
                  log_offset, element FROM fix ORDER BY 1, 2, 3"""
FIXES_NOW = FIXES.replace("FROM fix ", "FROM fixes ").replace(
    "fix_time_us, kind, received", "fix_time_us, (kind = 'equipment')::int::smallint, received"
)
FIGURES = """SELECT street_id, service_day, work, frequency, frequency_certain, swept_mm, swept_certain_mm, length_mm,
                    cleaned_us, passes, frequency_if_observed, missing_mm, rule_version, map_version
             FROM street_day ORDER BY 1, 2, 3"""
PASSES = """SELECT unit_id, track_start_us, ordinal, street_id, service_day, piece_from_mm, piece_to_us, certainty
            FROM pass ORDER BY 1, 2, 3"""
VERSIONS = """SELECT street_id, version, passes, cleaned_us, cause, superseded_us FROM street_day_version
              ORDER BY street_id, version"""


def rows(url: str, question: str) -> Rows:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(question.encode()).fetchall()


def upgrade(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        extension = timescale.found(connection).usable
        due = pending(connection)
        assert due[0] == "0006_record"
        assert any(label.startswith("timescale/") for label in due) == extension
        assert migrate(connection) == due
        assert pending(connection) == []


def test_fixes_passes_and_figures_are_what_they_were(released_url: str) -> None:
    before = [rows(released_url, question) for question in (FIXES, PASSES, FIGURES)]
    assert [len(found) for found in before] == [133, 9, 3]
    upgrade(released_url)
    after = [rows(released_url, question) for question in (FIXES_NOW, PASSES, FIGURES)]
    assert after[1:] == before[1:]
    for old, new in zip(before[0], after[0], strict=True):
        # Places were written with seven decimals; a status has none, which was NaN.
        assert [None if value != value else value for value in old] == list(new)  # noqa: PLR0124


def test_corrections_become_the_versions_that_ceased_to_hold(released_url: str) -> None:
    upgrade(released_url)
    known = rows(released_url, VERSIONS)
    assert [(row[0], row[1], row[2], row[4]) for row in known] == [
        ("a", 1, 2, "first figures"),
        ("a", 2, 3, "late data"),
        ("b", 1, 2, "first figures"),
        ("c", 1, 2, "first figures"),
    ]
    late_us = RECEIVED_US + 15_000 * US
    assert [row[5] for row in known] == [late_us, late_us + 1_000 * US, late_us, late_us]
    now = rows(released_url, "SELECT street_id, version, cause, known_us FROM street_day ORDER BY 1")
    assert now == [
        ("a", 3, "late data", late_us + 1_000 * US),
        ("b", 2, "late data", late_us),
        ("c", 2, "late data", late_us),
    ]


def test_an_upgrade_restates_nothing_and_the_line_goes_on(
    released_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    point_at(released_url, tmp_path, monkeypatch)
    upgrade(released_url)
    figures, versions = rows(released_url, FIGURES), rows(released_url, VERSIONS)
    assert run(["process", "--once"]) == 0
    assert (rows(released_url, FIGURES), rows(released_url, VERSIONS)) == (figures, versions)
    fourth = drive(START_US + 14_400 * US, ROUND_M)
    log_of(released_url, [message("u1", fourth, RECEIVED_US + 20_000 * US)])
    close_logs()
    assert run(["process", "--once"]) == 0
    passes = rows(released_url, "SELECT street_id, passes FROM street_day WHERE shift_id = '' ORDER BY 1")
    assert passes == [("a", 4), ("b", 4), ("c", 4)]
    hours = rows(released_url, "SELECT sum(fixes), sum(working_m) > 1000 FROM unit_hour")
    day = rows(released_url, "SELECT sum(fixes), sum(working_m) > 1000 FROM unit_day")
    assert hours == day
    assert run(["migrate", "--check"]) == 0
    assert "the store has all migrations" in capsys.readouterr().out
