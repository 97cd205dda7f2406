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
    with connection.cursor(row_factory=class_row(TrackPoint)) as cursor:
        return cursor.execute(
            """SELECT track.start_us AS track_start_us, fix.fix_time_us,
                      lon_e7 / 1e7::float8 AS lon, lat_e7 / 1e7::float8 AS lat,
                      speed_kmh_e2 / 100::float8 AS speed_kmh, heading_deg_e2 / 100::float8 AS heading_deg
               FROM fix LEFT JOIN track ON track.unit_id = fix.unit_id
                   AND fix.fix_time_us BETWEEN track.start_us AND track.end_us
               WHERE fix.unit_id = %s AND kind = 0 AND fix_time_us >= %s AND fix_time_us < %s
               ORDER BY fix_time_us LIMIT %s""",
            (unit_id, from_us, to_us, points_max),
        ).fetchall()
