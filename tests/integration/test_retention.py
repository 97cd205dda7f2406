from __future__ import annotations

import psycopg
import pytest

from storage import log_table, retention
from storage.log_table import Row

DAY_US = 86_400_000_000
NOW_US = 1_714_514_400_000_000


def world(connection: psycopg.Connection, committed: int = 4) -> None:
    """Fixes of two units over ten days up to now, a log of six records two days apart, and what stays."""
    log_id, _ = log_table.create(connection, 1)
    with connection.transaction():
        ends = log_table.lock_ends(connection, [0])
        ages = [10, 8, 6, 4, 2, 0]
        log_table.copy_records(connection, [Row(0, "u1", "t", b"x", NOW_US - n * DAY_US) for n in ages], ends)
    connection.execute(
        "INSERT INTO checkpoint (log_id, partition, next_offset, received_us) VALUES (%s, 0, %s, %s)",
        (log_id, committed, NOW_US),
    )
    connection.execute("INSERT INTO log_number (log_id) VALUES (%s)", (log_id,))
    connection.execute(
        """INSERT INTO fix (unit_id, fix_time_us, kind, received_us, historical, log_number, partition, log_offset,
                            element)
           SELECT unit_id, t, 0, t, false, number, 0, 0, 0
           FROM generate_series(%s::bigint, %s::bigint, 3600000000) AS t, log_number, (VALUES ('u1'), ('u2')) AS u (unit_id)""",
        (NOW_US - 10 * DAY_US, NOW_US),
    )
    connection.execute(
        """INSERT INTO raw_pack (log_id, partition, first_offset, next_offset, first_received_us, last_received_us,
                                 payload_bytes, pack)
           SELECT %s, 0, n * 10 - 100, n * 10 - 90, t, t, 1, ''
           FROM (VALUES (0, %s::bigint), (1, %s::bigint), (11, %s::bigint)) AS packs (n, t)""",
        (log_id, NOW_US - 10 * DAY_US, NOW_US, NOW_US - 10 * DAY_US),
    )
    connection.execute(
        """INSERT INTO dead_letter
           SELECT 'log', 0, n, 0, 'late', '', NULL, 't', '', %s - n * 86400000000 FROM generate_series(0, 9) AS n""",
        (NOW_US,),
    )
    connection.execute(
        """INSERT INTO held (street_id, service_day, reason, author, at_us, sha256, pack)
           VALUES ('a', '2020-01-01', 'dispute', 'me', 1, '', '')"""
    )


def count(connection: psycopg.Connection, table: str, where: str = "true") -> int:
    row = connection.execute(f"SELECT count(*) FROM {table} WHERE {where}".encode()).fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few days are enough to keep, and slices are small."""
    monkeypatch.setattr(retention, "KEEP_DAYS_MIN", 1)
    for name in ("_RECORDS_A_SLICE", "_LETTERS_A_SLICE", "_PACKS_A_SLICE"):
        monkeypatch.setattr(retention, name, 2)


@pytest.mark.usefixtures("short")
def test_what_is_raw_and_old_goes_and_nothing_else(connection: psycopg.Connection) -> None:
    world(connection)
    dropped = retention.drop_old(connection, 5)
    before_us = NOW_US - 5 * DAY_US
    assert dropped == retention.Dropped(before_us, 0, fixes=2 * 5 * 24, records=3, packs=1, dead_letters=4)
    assert count(connection, "fix", f"fix_time_us < {before_us}") == 0
    assert count(connection, "fix") == 2 * (5 * 24 + 1)
    assert count(connection, "log_record") == 3
    assert log_table.size(connection) == (3, 3)
    assert count(connection, "raw_pack") == 2
    assert count(connection, "dead_letter", f"received_us < {before_us}") == 0
    assert count(connection, "held") == 1


@pytest.mark.usefixtures("short")
def test_a_second_run_finds_nothing_to_do(connection: psycopg.Connection) -> None:
    world(connection)
    first = retention.drop_old(connection, 5)
    assert retention.drop_old(connection, 5) == retention.Dropped(first.before_us, 0, 0, 0, 0, 0)


@pytest.mark.usefixtures("short")
def test_records_that_nobody_has_committed_are_never_old(connection: psycopg.Connection) -> None:
    world(connection, committed=2)
    assert retention.drop_old(connection, 5).records == 2
    assert count(connection, "log_record") == 4
    connection.execute("UPDATE checkpoint SET log_id = 'other'")
    assert retention.drop_old(connection, 1).records == 0


def test_less_than_what_restating_needs_is_refused(connection: psycopg.Connection) -> None:
    with pytest.raises(ValueError, match="60 days"):
        retention.drop_old(connection, 59)


def test_an_empty_store_keeps_what_it_has(connection: psycopg.Connection) -> None:
    dropped = retention.drop_old(connection, 730)
    assert dropped.before_us < 0
    assert (dropped.fixes, dropped.records, dropped.packs, dropped.dead_letters) == (0, 0, 0, 0)
