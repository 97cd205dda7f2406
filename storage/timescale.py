"""TimescaleDB where the server has it: never required, and all SQL that only it understands.

The tables and views have the same names and columns without it, so that every question is the same SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection

#: The first release whose columnstore has the names that storage/schema/timescale uses.
VERSION_MIN = (2, 18)
HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Found:
    """What the server has: the extension's version in this database and that which could be made in it."""

    installed: str | None
    available: str | None
    may_create: bool

    @property
    def usable(self) -> bool:
        """Whether `migrate` makes use of it, or would."""
        if self.installed is not None:
            return _is_new_enough(self.installed)
        return self.available is not None and self.may_create and _is_new_enough(self.available)

    @property
    def words(self) -> str:
        """For a person: what there is, and what would have to be done to use it."""
        least = ".".join(map(str, VERSION_MIN))
        version = self.installed or self.available
        if version is None:
            return "the server has no TimescaleDB; plain tables serve"
        if not _is_new_enough(version):
            return f"TimescaleDB {version} is older than {least}; update it and run swept migrate"
        if self.installed is None and not self.may_create:
            return (
                f"TimescaleDB {version} isn't in this database, and this user may not create extensions; let one "
                "who may run CREATE EXTENSION timescaledb, then run swept migrate"
            )
        return f"TimescaleDB {version}"


def found(connection: Connection[Any]) -> Found:
    """What the server has; asks only."""
    row = connection.execute(
        """SELECT (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),
                  (SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb'),
                  rolsuper OR has_database_privilege(current_database(), 'CREATE') AND coalesce(
                      (SELECT bool_or(trusted) FROM pg_available_extension_versions
                       WHERE name = 'timescaledb'), false)
           FROM pg_roles WHERE rolname = current_user"""
    ).fetchone()
    assert row is not None
    return Found(*row)


def ensure(connection: Connection[Any]) -> bool:
    """Make the extension in this database where that can be done; whether it is there and serves.

    A server on which it can't be made after all (its library isn't preloaded, say) is a plain one.
    """
    there = found(connection)
    if there.usable and there.installed is None:
        try:
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        except psycopg.Error:
            return False
    return there.usable


def is_hypertable(connection: Connection[Any], table: str) -> bool:
    """Whether the table is one; False without the extension."""
    if connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchone() is None:
        return False
    row = connection.execute(
        """SELECT 1 FROM timescaledb_information.hypertables
           WHERE format('%%I.%%I', hypertable_schema, hypertable_name)::regclass = to_regclass(%s)""",
        (table,),
    ).fetchone()
    return row is not None


def refresh(connection: Connection[Any], from_us: int, to_us: int) -> None:
    """Bring the hours of from_us <= fix_time < to_us up to date in the continuous aggregate.

    For late fixes, which lie before what policies look at. The server commits in between, so the connection must
    be in autocommit and in no transaction: call it after the commit that wrote them. Hours in which nothing changed
    cost nothing, and on plain PostgreSQL, where a view is always up to date, it does nothing.
    """
    if not is_hypertable(connection, "fix"):
        return
    # Hours whose fixes were dropped keep what they had: a refresh would empty them.
    oldest = connection.execute(
        "SELECT min(range_start_integer) FROM timescaledb_information.chunks WHERE hypertable_name = 'fix'"
    ).fetchone()
    if oldest is None or oldest[0] is None:
        return
    first_us = max(from_us - from_us % HOUR_US, oldest[0] + -oldest[0] % HOUR_US)
    last_us = to_us + -to_us % HOUR_US
    if first_us < last_us:
        connection.execute(
            "CALL refresh_continuous_aggregate('fix_hour', %s::bigint, %s::bigint)", (first_us, last_us)
        )


@dataclass(frozen=True, slots=True)
class Size:
    """A hypertable: chunks, those of them that are compressed, and these chunks' bytes before and after."""

    table: str
    chunks: int
    compressed: int
    before_bytes: int
    after_bytes: int


def sizes(connection: Connection[Any]) -> list[Size]:
    """The hypertables; none without TimescaleDB."""
    tables = [table for table in ("fix", "pass") if is_hypertable(connection, table)]
    rows = [
        connection.execute(
            """SELECT count(*), count(*) FILTER (WHERE is_compressed),
                      (SELECT coalesce(sum(before_compression_total_bytes), 0)::bigint
                       FROM hypertable_columnstore_stats(%(table)s::text::regclass)),
                      (SELECT coalesce(sum(after_compression_total_bytes), 0)::bigint
                       FROM hypertable_columnstore_stats(%(table)s::text::regclass))
               FROM timescaledb_information.chunks WHERE hypertable_name = %(table)s::text""",
            {"table": table},
        ).fetchone()
        for table in tables
    ]
    return [Size(table, *row) for table, row in zip(tables, rows, strict=True) if row is not None]


@dataclass(frozen=True, slots=True)
class Policy:
    """A job of the server's: what it does to which table, how old (us) that has to be, and its last run."""

    job_id: int
    does: str
    table: str
    after_us: int
    failed: bool


def policies(connection: Connection[Any]) -> list[Policy]:
    """The policies on our tables, in order of their numbers; none without TimescaleDB."""
    if not is_hypertable(connection, "fix"):
        return []
    rows = connection.execute(
        """SELECT job_id, CASE proc_name WHEN 'policy_retention' THEN 'drop' WHEN 'policy_compression' THEN 'compress'
                          ELSE 'refresh' END, jobs.hypertable_name,
                  coalesce(config ->> 'drop_after', config ->> 'compress_after', config ->> 'end_offset')::bigint,
                  coalesce(last_run_status = 'Failed', false)
           FROM timescaledb_information.jobs LEFT JOIN timescaledb_information.job_stats USING (job_id)
           WHERE proc_name IN ('policy_retention', 'policy_compression', 'policy_refresh_continuous_aggregate')
             AND jobs.hypertable_name IN ('fix', 'pass', 'fix_hour')
           ORDER BY job_id"""
    )
    return [Policy(*row) for row in rows]


def keep(connection: Connection[Any], keep_us: int) -> None:
    """Let the server drop chunks of fixes that are older than this, by the district clock."""
    if any(one.does == "drop" and one.after_us == keep_us for one in policies(connection)):
        return
    with connection.transaction():
        connection.execute("SELECT remove_retention_policy('fix', if_exists => true)")
        connection.execute("SELECT add_retention_policy('fix', drop_after => %s::bigint)", (keep_us,))


def run_policies(connection: Connection[Any], does: str) -> int:
    """Run the policies that `drop`, `compress` or `refresh` now, as a server without background workers never does.

    Outside of a transaction. Gives how many chunks were dropped or compressed.
    """
    before = sizes(connection)
    for policy in policies(connection):
        if policy.does == does:
            connection.execute("CALL run_job(%s)", (policy.job_id,))
    after = sizes(connection)
    if does == "drop":
        return sum(one.chunks for one in before) - sum(one.chunks for one in after)
    return sum(one.compressed for one in after) - sum(one.compressed for one in before)


def rows(connection: Connection[Any], table: str) -> int | None:
    """About how many rows a hypertable has, as the planner estimates; None where it is none."""
    if not is_hypertable(connection, table):
        return None
    row = connection.execute("SELECT approximate_row_count(to_regclass(%s))", (table,)).fetchone()
    return 0 if row is None else int(row[0])


def _is_new_enough(version: str) -> bool:
    return tuple(int(part) for part in version.split("-", maxsplit=1)[0].split(".")[:2]) >= VERSION_MIN
