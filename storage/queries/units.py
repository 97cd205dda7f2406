"""Where is each unit, is it connected, and in what state is its equipment?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from processing.datum_guard import FIXES_MIN


@dataclass(frozen=True, slots=True)
class UnitNow:
    """A unit's newest fix by device time, its newest equipment report, and whether it is connected.

    `suspected_datum` is of its newest track that is long enough to tell.
    """

    unit_id: str
    online: bool | None
    fix_time_us: int | None
    received_us: int | None
    lon: float | None
    lat: float | None
    speed_kmh: float | None
    heading_deg: float | None
    equipment_time_us: int | None
    engine: bool | None
    brush: bool | None
    spray: bool | None
    fan: bool | None
    working: bool | None
    hopper_pct: float | None
    water_pct: float | None
    suspected_datum: str | None


def units_now(connection: Connection[Any], unit_ids: list[str]) -> list[UnitNow]:
    """One row for each of the units, whether or not it has ever reported."""
    with connection.cursor(row_factory=class_row(UnitNow)) as cursor:
        return cursor.execute(
            """SELECT wanted.unit_id, unit_online.online, place.fix_time_us, place.received_us,
                      place.lon_e7 / 1e7::float8 AS lon, place.lat_e7 / 1e7::float8 AS lat,
                      place.speed_kmh_e2 / 100::float8 AS speed_kmh,
                      place.heading_deg_e2 / 100::float8 AS heading_deg,
                      told.fix_time_us AS equipment_time_us, told.engine, told.brush, told.spray, told.fan,
                      told.working, told.hopper_pct_e2 / 100::float8 AS hopper_pct,
                      told.water_pct_e2 / 100::float8 AS water_pct,
                      judged.suspected_datum
               FROM unnest(%s::text[]) AS wanted (unit_id)
               LEFT JOIN unit_online USING (unit_id)
               LEFT JOIN LATERAL (
                   SELECT * FROM fix WHERE fix.unit_id = wanted.unit_id AND kind = 0
                   ORDER BY fix_time_us DESC LIMIT 1) AS place ON true
               LEFT JOIN LATERAL (
                   SELECT * FROM fix WHERE fix.unit_id = wanted.unit_id
                     AND fix_time_us >= place.fix_time_us - 3600000000
                     AND num_nonnulls(engine, brush, spray, fan, working, hopper_pct_e2, water_pct_e2) > 0
                   ORDER BY fix_time_us DESC, kind DESC LIMIT 1) AS told ON true
               LEFT JOIN LATERAL (
                   SELECT suspected_datum FROM track WHERE track.unit_id = wanted.unit_id AND fixes >= %s
                   ORDER BY start_us DESC LIMIT 1) AS judged ON true
               ORDER BY wanted.unit_id""",
            (unit_ids, FIXES_MIN),
        ).fetchall()
