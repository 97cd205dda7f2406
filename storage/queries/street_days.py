"""What is recorded of each street and service day, now or as of a moment?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class StreetDayRow:
    """A street-day of the work that the street requires, with what the map of that day says of the street.

    While the day is open there is no verdict, and no version where nothing was recorded.
    """

    service_day: date
    street_id: str
    name: str
    grade: int
    subdistrict: str
    contractor: str
    work: str
    open: bool
    frequency: int
    frequency_certain: int
    required: int
    swept_mm: int
    swept_certain_mm: int
    length_mm: int
    passes: int
    verdict: str | None
    cleaned_us: list[int]
    version: int | None
    cause: str | None
    known_us: int | None
    district_version: int
    rule_version: str | None
    map_version: str | None


_COLUMNS = ", ".join(field.name for field in fields(StreetDayRow))


def street_days(
    connection: Connection[Any],
    first: date,
    last: date,
    *,
    district_id: str,
    as_of_us: int | None = None,
    street_ids: Sequence[str] | None = None,
    rows_max: int | None = None,
) -> list[StreetDayRow]:
    """The whole days from `first` to `last`, both included, of all or of these streets; by day, then street."""
    listed = None if street_ids is None else list(street_ids)
    with connection.cursor(row_factory=class_row(StreetDayRow)) as cursor:
        return cursor.execute(
            f"""SELECT {_COLUMNS} FROM swept_street_days(%s, %s, %s::bigint, %s)
                WHERE shift_id = '' AND (%s::text[] IS NULL OR street_id = ANY(%s::text[]))
                ORDER BY service_day, street_id LIMIT %s""",  # noqa: S608 - the names are our own
            (first, last, as_of_us, district_id, listed, listed, rows_max),
            prepare=False,
        ).fetchall()
