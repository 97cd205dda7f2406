"""Which maps and rules made the figures of a period, and where were its streets?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

Lines = tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True, slots=True)
class VersionSpan:
    """A version, and the service days whose figures it made."""

    version: str
    first_day: date
    last_day: date
    days: int


@dataclass(frozen=True, slots=True)
class StreetLine:
    """A street as the newest map of a period has it; lines are WGS-84 (lon, lat)."""

    street_id: str
    name: str
    subdistrict: str
    length_m: float
    lines: Lines


def rule_spans(
    connection: Connection[Any], first: date, last: date, *, district_id: str, as_of_us: int | None = None
) -> list[VersionSpan]:
    """The rule versions of the recorded street-days; by their first day."""
    return _spans(connection, "rule_version", (first, last, as_of_us, district_id))


def map_spans(
    connection: Connection[Any], first: date, last: date, *, district_id: str, as_of_us: int | None = None
) -> list[VersionSpan]:
    """The map versions of the recorded street-days; by their first day."""
    return _spans(connection, "map_version", (first, last, as_of_us, district_id))


def _spans(connection: Connection[Any], column: str, parameters: tuple[Any, ...]) -> list[VersionSpan]:
    with connection.cursor(row_factory=class_row(VersionSpan)) as cursor:
        return cursor.execute(
            f"""SELECT {column} AS version, min(service_day) AS first_day, max(service_day) AS last_day,
                       count(DISTINCT service_day) AS days
                FROM swept_street_days(%s, %s, %s::bigint, %s)
                WHERE shift_id = '' AND {column} IS NOT NULL
                GROUP BY 1 ORDER BY 2, 1""".encode(),  # noqa: S608 - the names are our own
            parameters,
            prepare=False,
        ).fetchall()


def street_lines(
    connection: Connection[Any],
    first: date,
    last: date,
    *,
    district_id: str,
    as_of_us: int | None = None,
    street_ids: Sequence[str] | None = None,
) -> list[StreetLine]:
    """Where each street was that has a street-day in the period; by id."""
    listed = None if street_ids is None else list(street_ids)
    rows = connection.execute(
        """SELECT street_id, name, subdistrict, length_mm / 1000.0::float8, line
           FROM (SELECT street_id, max(district_version) AS version
                 FROM swept_street_days(%s, %s, %s::bigint, %s)
                 WHERE shift_id = '' AND (%s::text[] IS NULL OR street_id = ANY(%s::text[]))
                 GROUP BY 1) AS newest
           JOIN district_street USING (street_id, version)
           WHERE district_id = %s ORDER BY street_id""",
        (first, last, as_of_us, district_id, listed, listed, district_id),
        prepare=False,
    )
    return [StreetLine(row[0], row[1], row[2], row[3], _lines(row[4])) for row in rows]


def _lines(value: Any) -> Lines:  # noqa: ANN401 - JSON, or its text where the column was given a string
    parts = json.loads(value) if isinstance(value, str) else value
    return tuple(tuple((float(lon), float(lat)) for lon, lat in part) for part in parts)
