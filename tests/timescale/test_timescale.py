"""What TimescaleDB adds, on the real extension."""

from __future__ import annotations

import psycopg
import pytest

from storage import timescale
from storage.migrate import TIMESCALE, SchemaError, migrate, migrations, pending

DAY_US = 86_400_000_000
#: A Wednesday morning, as the small world's.
START_US = 1_714_514_400_000_000


def hear(connection: psycopg.Connection, received_us: int) -> None:
    """The district clock: something was received then."""
    connection.execute(
        """INSERT INTO checkpoint (log_id, partition, next_offset, received_us) VALUES ('log', 0, 1, %s)
           ON CONFLICT (log_id, partition) DO UPDATE SET received_us = excluded.received_us""",
        (received_us,),
    )


def write_fixes(connection: psycopg.Connection, first_us: int, count: int, unit_id: str = "u1") -> None:
    connection.execute("INSERT INTO log_number (log_id) VALUES ('log') ON CONFLICT DO NOTHING")
    connection.execute(
        """INSERT INTO fix (unit_id, fix_time_us, kind, received_us, lon_e7, lat_e7, historical, brush, water_pct_e2,
                            log_number, partition, log_offset, element)
           SELECT %s, t, 0, t, 1222573668, 406733782, false, true, 9000, number, 0, 0, 0
           FROM generate_series(%s::bigint, %s::bigint, 5000000) AS t, log_number""",
        (unit_id, first_us, first_us + (count - 1) * 5_000_000),
    )


def hours(connection: psycopg.Connection) -> dict[int, int]:
    return dict(connection.execute("SELECT hour_us, fixes FROM fix_hour WHERE unit_id = 'u1'").fetchall())


def test_a_store_with_the_extension_gets_both_series_and_each_once(empty_timescale_url: str) -> None:
    with psycopg.connect(empty_timescale_url, autocommit=True) as connection:
        labels = [one.label for one in (*migrations(), *migrations(TIMESCALE))]
        assert pending(connection) == labels
        assert migrate(connection) == labels
        assert migrate(connection) == pending(connection) == []
        assert [one.table for one in timescale.sizes(connection)] == ["fix", "pass"]
        assert timescale.found(connection).words.startswith("TimescaleDB 2.")


def test_a_file_of_the_extensions_series_that_changed_is_refused(connection: psycopg.Connection) -> None:
    connection.execute("UPDATE timescale_migration SET sha256 = 'other' WHERE version = 1")
    for ask in (migrate, pending):
        with pytest.raises(SchemaError, match="timescale/0001_hypertables was changed"):
            ask(connection)


def test_chunks_are_compressed_once_no_late_fix_can_reach_them(connection: psycopg.Connection) -> None:
    write_fixes(connection, START_US, 1_000)
    hear(connection, START_US + 30 * DAY_US)
    assert timescale.run_policies(connection, "compress") == 0
    hear(connection, START_US + 38 * DAY_US)
    assert timescale.run_policies(connection, "compress") == 1
    fix = timescale.sizes(connection)[0]
    assert (fix.chunks, fix.compressed) == (1, 1)
    assert fix.after_bytes < fix.before_bytes / 3


def test_autovacuum_leaves_new_chunks_alone_and_looks_at_few_of_their_rows(
    connection: psycopg.Connection,
) -> None:
    write_fixes(connection, START_US, 1)
    told = connection.execute(
        """SELECT reloptions, (SELECT array_agg(DISTINCT attstattarget) FROM pg_attribute
                               WHERE attrelid = chunk.oid AND attnum > 0 AND NOT attisdropped)
           FROM show_chunks('fix') AS name, pg_class AS chunk WHERE chunk.oid = name"""
    ).fetchall()
    assert told == [(["autovacuum_vacuum_insert_threshold=-1"], [10])]


def test_compressed_fixes_are_read_refused_twice_replaced_and_joined_as_rows_are(
    connection: psycopg.Connection,
) -> None:
    write_fixes(connection, START_US, 1_000)
    hear(connection, START_US + 40 * DAY_US)
    timescale.run_policies(connection, "compress")
    with pytest.raises(psycopg.errors.UniqueViolation):
        write_fixes(connection, START_US + 5_000_000, 1)
    gone = connection.execute(
        "DELETE FROM fix WHERE unit_id = 'u1' AND fix_time_us = %s AND kind = 0", (START_US,)
    )
    assert gone.rowcount == 1
    write_fixes(connection, START_US - 5_000_000, 2)
    row = connection.execute("SELECT count(*), min(fix_time_us) FROM fix WHERE unit_id = 'u1'").fetchone()
    assert row == (1_001, START_US - 5_000_000)


def test_late_fixes_are_in_the_hours_once_their_window_is_refreshed(connection: psycopg.Connection) -> None:
    hear(connection, START_US + 3 * DAY_US)
    write_fixes(connection, START_US, 100)
    write_fixes(connection, START_US + 2 * DAY_US, 100)
    timescale.refresh(connection, START_US, START_US + 2 * DAY_US)
    assert hours(connection) == {START_US: 100, START_US + 2 * DAY_US: 100}
    write_fixes(connection, START_US + 600_000_000, 7)
    assert hours(connection)[START_US] == 100  # what is materialized stays until it is refreshed
    timescale.refresh(connection, START_US + 600_000_000, START_US + 600_000_001)
    assert hours(connection) == {START_US: 107, START_US + 2 * DAY_US: 100}


def test_hours_outlive_the_fixes_they_were_made_of(connection: psycopg.Connection) -> None:
    hear(connection, START_US + 3 * DAY_US)
    write_fixes(connection, START_US, 100)
    write_fixes(connection, START_US + 30 * DAY_US, 100)
    timescale.refresh(connection, START_US, START_US + 31 * DAY_US)
    hear(connection, START_US + 100 * DAY_US)
    timescale.keep(connection, 80 * DAY_US)
    assert timescale.run_policies(connection, "drop") == 1
    assert connection.execute("SELECT count(*) FROM fix").fetchone() == (100,)
    timescale.refresh(connection, 0, START_US + 100 * DAY_US)
    assert hours(connection) == {START_US: 100, START_US + 30 * DAY_US: 100}


def test_how_long_fixes_are_kept_is_one_policy_that_can_be_changed(connection: psycopg.Connection) -> None:
    timescale.keep(connection, 80 * DAY_US)
    timescale.keep(connection, 80 * DAY_US)
    timescale.keep(connection, 90 * DAY_US)
    found = [one for one in timescale.policies(connection) if one.does == "drop"]
    assert [(one.table, one.after_us) for one in found] == [("fix", 90 * DAY_US)]


def test_the_hours_have_the_same_columns_as_on_plain_postgresql(connection: psycopg.Connection) -> None:
    question = """SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
                  WHERE attrelid = to_regclass('fix_hour') AND attnum > 0 ORDER BY attnum"""
    there = connection.execute(question).fetchall()
    plain = next(one.sql for one in migrations() if one.version == 8).split("CREATE VIEW fix_hour AS")[1]
    connection.execute(f"CREATE VIEW plain_hour AS {plain}".encode())
    assert connection.execute(question.replace("fix_hour", "plain_hour").encode()).fetchall() == there
