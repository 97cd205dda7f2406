"""What the commands say of a store on TimescaleDB."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from storage import retention
from storage.migrate import TIMESCALE, migrations
from swept.main import run
from swept.maintain import maintain
from tests.integration.loaded import count_a_round, point_at
from tests.integration.test_retention import DAY_US, NOW_US, count, world


@pytest.fixture(autouse=True)
def place(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(store_url, tmp_path, monkeypatch)
    monkeypatch.setenv("COLUMNS", "200")


def test_fixes_go_by_whole_chunks_and_the_rest_as_everywhere(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "KEEP_DAYS_MIN", 1)
    world(connection)
    dropped = retention.drop_old(connection, 3)
    assert (dropped.chunks, dropped.fixes, dropped.records, dropped.packs, dropped.dead_letters) == (
        1,
        0,
        4,
        1,
        6,
    )
    # A chunk goes when all of it is old, so up to a week more is kept, and never less than was asked.
    assert count(connection, "fix", f"fix_time_us >= {NOW_US - 3 * DAY_US}") == 2 * (3 * 24 + 1)
    assert count(connection, "fix", f"fix_time_us < {NOW_US - 10 * DAY_US}") == 0


def test_maintain_says_what_it_did(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    maintain()
    assert capsys.readouterr().out == "nothing was received yet, so nothing is old\n"
    world(connection)
    connection.execute("UPDATE checkpoint SET received_us = %s", (NOW_US + 65 * DAY_US,))
    monkeypatch.setenv("SWEPT_RAW_KEEP_DAYS", "66")
    connection.close()
    maintain()
    said = capsys.readouterr().out
    assert said.startswith("dropped what is older than 66 days (before 2024-04-29 22:00 UTC): ")
    assert "1 chunks of fixes, 4 records of the log, 1 packs of records, 8 refusals\n" in said
    assert said.endswith("refreshed the hours of fixes\ncompressed 1 chunks\n")


def test_status_says_which_store_it_is_with_its_chunks_and_policies(
    store_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count_a_round(tmp_path, store_url)
    with psycopg.connect(store_url, autocommit=True) as connection:
        connection.execute("ANALYZE fix")
    capsys.readouterr()
    assert run(["status"]) == 0
    lines = [line.split("│") for line in capsys.readouterr().out.splitlines() if "│" in line]
    said = {name.strip(): value.strip() for _, name, value, _ in lines}
    assert said["store"].startswith("PostgreSQL 17.5, TimescaleDB 2.")
    assert said["chunks of fix"] == "1, of them 0 compressed"
    assert said["policies"].startswith(
        "compress fix after 30 days; compress pass after 30 days; refresh fix_hour"
    )
    assert said["store holds"].startswith("about 88 fixes")


def test_migrate_check_names_what_is_missing_of_either_series(
    store_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["migrate", "--check"]) == 0
    with psycopg.connect(store_url, autocommit=True) as connection:
        connection.execute("DELETE FROM timescale_migration WHERE version = 2")
    capsys.readouterr()
    assert run(["migrate", "--check"]) == 1
    last = next(one for one in migrations(TIMESCALE) if one.version == 2)
    assert f"missing {last.label}" in capsys.readouterr().out
