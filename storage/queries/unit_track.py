"""Which way did a unit go?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class TrackPoint:
    """A fix on a unit's way; `track_start_us` names the track it belongs to."""

    track_start_us: int | None
    fix_time_us: int
    lon: float
    lat: float
    speed_kmh: float | None
    heading_deg: float | None


def unit_track(
    connection: Connection[Any], unit_id: str, from_us: int, to_us: int, points_max: int
) -> list[TrackPoint]:
    """The unit's fixes with from_us <= fix_time < to_us in order, the first `points_max` of them."""
    # A track is a day long at most, which bounds where one that reaches in can start. The few of them are read
    # once: looked up for each fix, all tracks that the unit ever began before it would be.
    with connection.cursor(binary=True, row_factory=class_row(TrackPoint)) as cursor:
        return cursor.execute(
            """WITH reaching AS MATERIALIZED (
                   SELECT start_us, end_us FROM track
                   WHERE unit_id = %(unit)s AND end_us >= %(from)s AND start_us < %(to)s
                     AND start_us >= %(from)s - 2 * 86400000000::bigint)
               SELECT start_us AS track_start_us, fix_time_us,
                      lon_e7 / 1e7::float8 AS lon, lat_e7 / 1e7::float8 AS lat,
                      speed_kmh_e2 / 100::float8 AS speed_kmh, heading_deg_e2 / 100::float8 AS heading_deg
               FROM fix LEFT JOIN reaching ON fix_time_us BETWEEN start_us AND end_us
               WHERE unit_id = %(unit)s AND kind = 0 AND fix_time_us >= %(from)s AND fix_time_us < %(to)s
               ORDER BY fix_time_us, start_us LIMIT %(points)s""",
            {"unit": unit_id, "from": from_us, "to": to_us, "points": points_max},
        ).fetchall()
