"""Which recorded figures changed later, from what to what, and why?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Connection

from storage.street_days import COLUMNS, Kept, Key, kept_of


@dataclass(frozen=True, slots=True)
class Correction:
    """A restated street-day: what it was, what it became, and when; its cause is that of `new`.

    None stands for no figure: nothing had been recorded of that street and day.
    """

    key: Key
    old: Kept | None
    new: Kept
    at_us: int


def corrections(
    connection: Connection[Any], first: date, last: date, street_id: str | None = None
) -> list[Correction]:
    """The restatements of figures from `first` to `last`, both included, in the order they were made."""
    columns = ", ".join(COLUMNS)
    cursor = connection.cursor(binary=True)
    cursor.execute(
        f"""SELECT {columns} FROM street_day
            WHERE service_day BETWEEN %s AND %s AND (%s::text IS NULL OR street_id = %s::text)
            UNION ALL
            SELECT {columns} FROM street_day_version
            WHERE service_day BETWEEN %s AND %s AND (%s::text IS NULL OR street_id = %s::text)
            ORDER BY street_id, service_day, work, shift_id, version""",  # noqa: S608 - the names are our own
        (first, last, street_id, street_id) * 2,
    )
    found: list[Correction] = []
    before: Kept | None = None
    for row in cursor:
        now = kept_of(row)
        old = before if before is not None and before.recorded.key == now.recorded.key else None
        if old is not None or now.cause == LATE:
            found.append(Correction(now.recorded.key, old, now, now.begun_us))
        before = now
    return sorted(found, key=lambda one: one.at_us)


LATE = "late data"
"""A first version with this cause was made when others thought that nothing had been done."""
