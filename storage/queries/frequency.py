"""How often was each street cleaned, by service day?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Connection

from storage.street_days import COLUMNS, Recorded, kept_of


@dataclass(frozen=True, slots=True)
class NamedDay:
    """A recorded street-day and the street's name on the map that made it; None where that isn't kept."""

    recorded: Recorded
    name: str | None


def frequency(
    connection: Connection[Any],
    district_id: str,
    first: date,
    last: date,
    street_ids: Sequence[str] | None = None,
) -> list[NamedDay]:
    """The street-days from `first` to `last`, both included, of all or of these streets; shifts aren't."""
    cursor = connection.cursor(binary=True)
    cursor.execute(
        f"""SELECT {", ".join("d." + name for name in COLUMNS)}, named.name
            FROM street_day AS d LEFT JOIN district_street AS named
                ON named.district_id = %s AND named.version = d.district_version
                   AND named.street_id = d.street_id
            WHERE d.service_day BETWEEN %s AND %s AND d.shift_id = ''
              AND (%s::text[] IS NULL OR d.street_id = ANY(%s::text[]))
            ORDER BY d.service_day, d.street_id, d.work""",  # noqa: S608 - the names are our own
        (district_id, first, last, *[None if street_ids is None else list(street_ids)] * 2),
    )
    return [NamedDay(kept_of(row[:-1]).recorded, row[-1]) for row in cursor]
