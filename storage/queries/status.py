"""How far has the line come, and what time is it in the district?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from storage import timescale


@dataclass(frozen=True, slots=True)
class Position:
    """How far one partition of one log has been processed."""

    log_id: str
    partition: int
    next_offset: int
    received_us: int
    """When the newest record before it was received, by the district's clock; 0: there was none."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Rows of the big tables, as the planner estimates them, so that asking is cheap."""

    fixes: int
    passes: int
    street_days: int
    dead_letters: int


def positions(connection: Connection[Any]) -> list[Position]:
    """The committed position of every partition."""
    rows = connection.execute(
        "SELECT log_id, partition, next_offset, coalesce(received_us, 0) FROM checkpoint ORDER BY 1, 2"
    )
    return [Position(*row) for row in rows]


def newest_received_us(connection: Connection[Any], unit_ids: list[str]) -> int | None:
    """When ingest saw the newest fix of the units that are processed: 'now', in the district's clock."""
    row = connection.execute(
        """SELECT max(newest.received_us) FROM unnest(%s::text[]) AS wanted (unit_id), LATERAL (
               SELECT received_us FROM fix WHERE fix.unit_id = wanted.unit_id
               ORDER BY fix_time_us DESC LIMIT 1) AS newest""",
        (unit_ids,),
    ).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def heard_us(connection: Connection[Any]) -> int:
    """When the newest record that is processed was received, a tick or a report of any unit; 0: none was."""
    row = connection.execute("SELECT swept_now_us()").fetchone()
    return int(row[0]) if row is not None else 0


def closed_days(connection: Connection[Any]) -> int:
    """How many service days are closed."""
    row = connection.execute("SELECT count(*) FROM closed_day").fetchone()
    return int(row[0]) if row is not None else 0


def totals(connection: Connection[Any]) -> Totals:
    """About how much the store holds."""
    rows = connection.execute(
        """SELECT relname, greatest(n_live_tup, 0) FROM pg_stat_user_tables
           WHERE relname IN ('fix', 'pass', 'street_day', 'dead_letter')"""
    )
    found = {row[0]: int(row[1]) for row in rows}
    for table in ("fix", "pass"):
        # Rows of a hypertable are counted with its chunks.
        in_chunks = timescale.rows(connection, table)
        found[table] = found.get(table, 0) if in_chunks is None else in_chunks
    return Totals(*(found.get(name, 0) for name in ("fix", "pass", "street_day", "dead_letter")))
