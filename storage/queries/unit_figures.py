"""What did each unit drive, and what of it was work?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from storage.queries.figures import Each


@dataclass(frozen=True, slots=True)
class UnitFigures:
    """A unit's days of a stretch of time, added up; None where it wasn't kept, the share also where it didn't drive."""

    bucket_first: date
    bucket_last: date
    unit_id: str
    days: int
    fixes: int
    driven_m: float
    working_m: float | None
    working_share: float | None
    working_s: float


def unit_figures(connection: Connection[Any], first: date, last: date, each: Each) -> list[UnitFigures]:
    """The figures of every unit that reported from `first` to `last`, both included; by time, then unit."""
    with connection.cursor(row_factory=class_row(UnitFigures)) as cursor:
        return cursor.execute("SELECT * FROM swept_unit_figures(%s, %s, %s)", (first, last, each)).fetchall()
