"""How often was each street cleaned, by service day?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Connection

from processing.frequency import StreetDay
from storage.reader import STREET_DAY_COLUMNS, street_day_of


@dataclass(frozen=True, slots=True)
class Figures:
    """A street-day and the versions that made it."""

    street_day: StreetDay
    rule_version: str
    map_version: str


def frequency(
    connection: Connection[Any], first: date, last: date, street_ids: Sequence[str] | None = None
) -> list[Figures]:
    """The figures from `first` to `last`, both included, of all or of these streets."""
    cursor = connection.cursor(binary=True)
    cursor.execute(
        f"""SELECT {", ".join(STREET_DAY_COLUMNS)}, rule_version, map_version FROM street_day
            WHERE service_day BETWEEN %s AND %s AND (%s::text[] IS NULL OR street_id = ANY(%s::text[]))
            ORDER BY service_day, street_id, work""",  # noqa: S608 - the names are our own
        (first, last, *[None if street_ids is None else list(street_ids)] * 2),
    )
    return [Figures(street_day_of(row[:-2]), row[-2], row[-1]) for row in cursor]
