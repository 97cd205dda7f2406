"""What is raw goes after a time: fixes, original records and refusals. What was computed of them stays.

Age is counted by the district clock. A record that no worker has committed is never old, and evidence that is
held (table `held`) isn't touched. On TimescaleDB whole chunks of fixes are dropped, by a policy of the server's;
on plain PostgreSQL rows are deleted in slices, each a short transaction, so that nobody waits for long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from storage import log_table, timescale

DAY_US = 86_400_000_000
#: Late fixes come for 30 days, and a day's figures look at its neighbours; below twice that it can't be.
KEEP_DAYS_MIN = 60
_RECORDS_A_SLICE = 10_000
_LETTERS_A_SLICE = 5_000
#: A pack is up to 16 MB.
_PACKS_A_SLICE = 20


@dataclass(frozen=True, slots=True)
class Dropped:
    """What a run of retention dropped; chunks on TimescaleDB, rows of fixes elsewhere."""

    before_us: int
    chunks: int
    fixes: int
    records: int
    packs: int
    dead_letters: int


def drop_old(connection: Connection[Any], keep_days: int) -> Dropped:
    """Drop what is older than `keep_days`. The connection must be in autocommit, in no transaction.

    May be killed at any moment and run again. Raises ValueError below `KEEP_DAYS_MIN`.
    """
    if keep_days < KEEP_DAYS_MIN:
        raise ValueError(f"raw data is kept for {KEEP_DAYS_MIN} days at least")
    row = connection.execute("SELECT swept_now_us()").fetchone()
    before_us = (row[0] if row is not None else 0) - keep_days * DAY_US
    chunks = fixes = 0
    if timescale.is_hypertable(connection, "fix"):
        timescale.keep(connection, keep_days * DAY_US)
        chunks = timescale.run_policies(connection, "drop")
    else:
        fixes = sum(_delete_fixes(connection, unit_id, before_us) for unit_id in _units(connection))
    return Dropped(
        before_us,
        chunks,
        fixes,
        _trim_log(connection, before_us),
        _delete_packs(connection, before_us),
        _delete_letters(connection, before_us),
    )


def _units(connection: Connection[Any]) -> list[str]:
    """The units that have fixes; a step through the index for each, where DISTINCT would read all rows."""
    rows = connection.execute(
        """WITH RECURSIVE unit (unit_id) AS (
               SELECT min(unit_id) FROM fix
               UNION ALL
               SELECT (SELECT min(fix.unit_id) FROM fix WHERE fix.unit_id > unit.unit_id) FROM unit
               WHERE unit.unit_id IS NOT NULL)
           SELECT unit_id FROM unit WHERE unit_id IS NOT NULL"""
    )
    return [unit_id for (unit_id,) in rows]


def _delete_fixes(connection: Connection[Any], unit_id: str, before_us: int) -> int:
    """A unit's old fixes, a day of them in a transaction."""
    deleted = 0
    while True:
        oldest = connection.execute(
            "SELECT min(fix_time_us) FROM fix WHERE unit_id = %s AND fix_time_us < %s", (unit_id, before_us)
        ).fetchone()
        if oldest is None or oldest[0] is None:
            return deleted
        deleted += connection.execute(
            "DELETE FROM fix WHERE unit_id = %s AND fix_time_us >= %s AND fix_time_us < %s",
            (unit_id, oldest[0], min(oldest[0] + DAY_US, before_us)),
        ).rowcount


def _trim_log(connection: Connection[Any], before_us: int) -> int:
    """The oldest records of the log's partitions, up to the first that is young or that nobody has committed."""
    rows = connection.execute(
        """SELECT partition, first_offset,
                  least(next_offset, (SELECT min("offset") FROM log_record AS r
                                      WHERE r.partition = p.partition AND received_us >= %s))
           FROM (SELECT partition, p.first_offset, c.next_offset
                 FROM log JOIN checkpoint AS c USING (log_id) JOIN log_partition AS p USING (partition)) AS p""",
        (before_us,),
    ).fetchall()
    deleted = 0
    for partition, first, upto in rows:
        for start in range(first, upto, _RECORDS_A_SLICE):
            deleted += log_table.trim(connection, {partition: min(start + _RECORDS_A_SLICE, upto)})
    return deleted


def _delete_packs(connection: Connection[Any], before_us: int) -> int:
    return _sliced(
        connection,
        """DELETE FROM raw_pack WHERE (log_id, partition, first_offset) IN (
               SELECT log_id, partition, first_offset
               FROM raw_pack JOIN checkpoint AS c USING (log_id, partition)
               WHERE last_received_us < %s AND raw_pack.next_offset <= c.next_offset
               ORDER BY log_id, partition, first_offset LIMIT %s)""",
        before_us,
        _PACKS_A_SLICE,
    )


def _delete_letters(connection: Connection[Any], before_us: int) -> int:
    return _sliced(
        connection,
        """DELETE FROM dead_letter WHERE (log_id, partition, log_offset, element) IN (
               SELECT log_id, partition, log_offset, element FROM dead_letter
               WHERE received_us < %s ORDER BY received_us LIMIT %s)""",
        before_us,
        _LETTERS_A_SLICE,
    )


def _sliced(connection: Connection[Any], statement: str, before_us: int, slice_rows: int) -> int:
    """Repeat a statement until it deletes nothing more; how many rows."""
    total = 0
    while deleted := connection.execute(statement.encode(), (before_us, slice_rows)).rowcount:
        total += deleted
    return total
