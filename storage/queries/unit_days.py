"""What did each unit do on a service day, and when was it silent?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from processing.silence import GapRow, Seen


@dataclass(frozen=True, slots=True)
class UnitDayRow:
    """A unit-day, with the places of its first and last fix (degrees) for the silence before and after."""

    unit_id: str
    service_day: date
    fixes: int
    first_fix_us: int
    last_fix_us: int
    working_s: float
    driven_m: float
    gaps: list[GapRow]
    first_lon: float | None
    first_lat: float | None
    last_lon: float | None
    last_lat: float | None

    @property
    def seen(self) -> Seen:
        """When and where the unit was heard of."""
        return Seen(
            self.unit_id,
            self.service_day,
            self.first_fix_us,
            self.last_fix_us,
            self.gaps,
            self.first_lon,
            self.first_lat,
            self.last_lon,
            self.last_lat,
        )


def unit_days(connection: Connection[Any], first: date, last: date) -> list[UnitDayRow]:
    """The unit-days from `first` to `last`, both included."""
    with connection.cursor(row_factory=class_row(UnitDayRow)) as cursor:
        return cursor.execute(
            """SELECT unit_day.unit_id, service_day, fixes, first_fix_us, last_fix_us, working_s, driven_m,
                      gaps, begun.lon_e7 / 1e7::float8 AS first_lon, begun.lat_e7 / 1e7::float8 AS first_lat,
                      ended.lon_e7 / 1e7::float8 AS last_lon, ended.lat_e7 / 1e7::float8 AS last_lat
               FROM unit_day
               LEFT JOIN fix AS begun ON begun.unit_id = unit_day.unit_id AND begun.kind = 0
                   AND begun.fix_time_us = first_fix_us
               LEFT JOIN fix AS ended ON ended.unit_id = unit_day.unit_id AND ended.kind = 0
                   AND ended.fix_time_us = last_fix_us
               WHERE service_day BETWEEN %s AND %s
               ORDER BY service_day, unit_day.unit_id""",
            (first, last),
        ).fetchall()
