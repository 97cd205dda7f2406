"""What is there to prove about a street and a service day: tracks, reports with their places, raw records?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from psycopg import Connection
from psycopg.rows import class_row

from processing.fix import Kind, Report
from processing.silence import Suspect
from storage import reader
from storage.place import Place


class TrackRow(NamedTuple):
    """A track as the store has it."""

    unit_id: str
    start_us: int
    end_us: int
    fixes: int
    suspected_datum: str | None
    rule_version: str
    map_version: str

    @property
    def suspect(self) -> Suspect | None:
        """The track, where it seems to be in another datum than its unit's."""
        if self.suspected_datum is None:
            return None
        return Suspect(self.unit_id, self.start_us, self.end_us, self.fixes, self.suspected_datum)


def tracks(connection: Connection[Any], from_us: int, to_us: int) -> list[TrackRow]:
    """The tracks of all units that reach into from_us <= t < to_us."""
    # A track is a day long at most, which bounds where one that reaches in can start.
    with connection.cursor(row_factory=class_row(TrackRow)) as cursor:
        return cursor.execute(
            """SELECT unit_id, start_us, end_us, fixes, suspected_datum, rule_version, map_version FROM track
               WHERE start_us >= %s - 2 * 86400000000::bigint AND start_us < %s AND end_us >= %s
               ORDER BY unit_id, start_us""",
            (from_us, to_us, from_us),
        ).fetchall()


def reports(
    connection: Connection[Any], unit_id: str, tracks: Sequence[tuple[int, int]], hold_us: int
) -> list[tuple[Report, Place]]:
    """A unit's reports in tracks (start, end), and those of the equipment that may hold at their start."""
    rows = connection.execute(
        """SELECT DISTINCT kind, fix_time_us
           FROM unnest(%s::bigint[], %s::bigint[]) AS wanted (start_us, end_us)
           JOIN fix ON unit_id = %s AND fix_time_us <= end_us
               AND fix_time_us >= CASE kind WHEN 1 THEN start_us - %s ELSE start_us END""",
        ([one[0] for one in tracks], [one[1] for one in tracks], unit_id, hold_us),
    ).fetchall()
    found, places = reader.existing(connection, [(unit_id, Kind(row[0]), int(row[1])) for row in rows])
    return [(found[key], places[key]) for key in sorted(found)]


def log_id(connection: Connection[Any]) -> str | None:
    """The log of which the store has the records, None where it has none."""
    row = connection.execute("SELECT log_id FROM log").fetchone()
    return None if row is None else str(row[0])


def version_like(
    connection: Connection[Any], district_id: str, rule_digest: str, map_version: str
) -> int | None:
    """The newest version of a district with this map and these rules, of whatever release."""
    row = connection.execute(
        """SELECT max(version) FROM district_version
           WHERE district_id = %s AND map_version = %s AND right(rule_version, %s) = %s""",
        (district_id, map_version, len(rule_digest) + 1, f"+{rule_digest}"),
    ).fetchone()
    return None if row is None else row[0]
