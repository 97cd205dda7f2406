"""What a demo leaves behind, as bytes that can be compared: a table's rows in the order of its key.

All that counts is in it. Left out is how a report travelled (when it was received, its place in the log) and
when and why a row was written, since a kill may change those and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from processing.decode import Directory, decode
from processing.district import District
from processing.fix import Kind, Report
from processing.frequency import StreetDay
from processing.sweep import Pass
from simulators.channel import Delivery
from storage.reader import PASS_COLUMNS, pass_of
from storage.street_days import FIGURES, figures_of

TABLES = ("pass", "street_day", "track", "unit_day", "equipment_interval", "fix")
TRAVELLED = ("updated_at", "received_us", "log_id", "log_number", "partition", "log_offset", "element",
             "version", "cause", "begun_us", "known_us")  # fmt: skip
Identity = tuple[str, Kind, int]


@dataclass(frozen=True, slots=True)
class Dump:
    """A table's rows as lines of text, sorted."""

    lines: tuple[bytes, ...]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(b"".join(self.lines)).hexdigest()

    def difference(self, other: Dump) -> list[str]:
        """The first rows that only one of both has."""
        mine, others = set(self.lines), set(other.lines)
        only = [f"- {line!r}" for line in self.lines if line not in others]
        return only[:5] + [f"+ {line!r}" for line in other.lines if line not in mine][:5]


def dumps(connection: psycopg.Connection[Any]) -> dict[str, Dump]:
    """All that counts; of refusals what and why, once, since a record that is sent again is refused again."""
    found = {table: _dump(connection, _rows(connection, table)) for table in TABLES}
    refused = sql.SQL(
        "SELECT DISTINCT reason, unit_id, mqtt_topic, encode(payload, 'hex') FROM dead_letter ORDER BY 1, 2, 3, 4"
    )
    return found | {"dead_letter": _dump(connection, refused)}


def _rows(connection: psycopg.Connection[Any], table: str) -> sql.Composed:
    names = connection.execute(
        """SELECT column_name FROM information_schema.columns
           WHERE table_schema = 'public' AND table_name = %s AND column_name <> ALL(%s)
           ORDER BY ordinal_position""",
        (table, list(TRAVELLED)),
    )
    columns = sql.SQL(", ").join(sql.Identifier(name) for (name,) in names)
    return sql.SQL("SELECT {0} FROM {1} ORDER BY ({0})").format(columns, sql.Identifier(table))


def _dump(connection: psycopg.Connection[Any], rows: sql.Composable) -> Dump:
    with connection.cursor().copy(sql.SQL("COPY ({}) TO STDOUT").format(rows)) as copy:
        return Dump(tuple(b"".join(map(bytes, copy)).splitlines(keepends=True)))


def sent(district: District, deliveries: Iterable[Delivery]) -> tuple[list[Report], set[bytes]]:
    """All reports that devices sent, copies included, and the messages that are refused."""
    directory = Directory.of(district)
    reports: list[Report] = []
    refused: set[bytes] = set()
    for delivery in deliveries:
        decoded = decode(delivery.mqtt_topic, delivery.payload, delivery.deliver_at_us, directory)
        reports += decoded.reports
        refused |= {rejection.payload for rejection in decoded.rejections}
    return reports, refused


def identities(connection: psycopg.Connection[Any]) -> list[Identity]:
    """The identity of every row of fix."""
    rows = connection.execute("SELECT unit_id, kind, fix_time_us FROM fix")
    return [(unit_id, Kind(kind), moment_us) for unit_id, kind, moment_us in rows]


def refusals(connection: psycopg.Connection[Any]) -> set[bytes]:
    """The bytes of all that was refused."""
    return {bytes(payload) for (payload,) in connection.execute("SELECT payload FROM dead_letter")}


def passes(connection: psycopg.Connection[Any]) -> list[Pass]:
    """All passes, in the order of their key."""
    query = f"SELECT {', '.join(PASS_COLUMNS)} FROM pass ORDER BY unit_id, track_start_us, ordinal"
    return [pass_of(row) for row in connection.execute(query.encode())]


def street_days(connection: psycopg.Connection[Any]) -> list[StreetDay]:
    """All figures of whole days, in the order of their key."""
    query = f"""SELECT {", ".join(FIGURES)} FROM street_day WHERE shift_id = ''
                ORDER BY street_id, service_day, work"""
    return [figures_of(row) for row in connection.execute(query.encode())]
