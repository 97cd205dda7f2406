"""Which published figures changed later, from what to what, and why?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class Correction:
    """A changed figure; None stands for no figure."""

    street_id: str
    service_day: date
    work: str
    cause: str
    old_figures: dict[str, Any] | None
    new_figures: dict[str, Any] | None
    at_us: int


def corrections(
    connection: Connection[Any], first: date, last: date, street_id: str | None = None
) -> list[Correction]:
    """The corrections of figures from `first` to `last`, both included, in the order they were made."""
    with connection.cursor(row_factory=class_row(Correction)) as cursor:
        return cursor.execute(
            """SELECT street_id, service_day, work, cause, old_figures, new_figures, at_us FROM correction
               WHERE service_day BETWEEN %s AND %s AND (%s::text IS NULL OR street_id = %s::text)
               ORDER BY correction_id""",
            (first, last, street_id, street_id),
        ).fetchall()
