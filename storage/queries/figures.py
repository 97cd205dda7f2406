"""How often, how much, and with what verdicts: over any stretches of time, by what streets have in common?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, get_args

from psycopg import Connection
from psycopg.rows import class_row

from processing.shares import percents
from processing.verdict import Verdict

Each = Literal["day", "week", "month", "period"]
By = Literal["street", "grade", "subdistrict", "contractor", "district", "shift"]
EACH: tuple[Each, ...] = get_args(Each)
BY: tuple[By, ...] = get_args(By)


@dataclass(frozen=True, slots=True)
class Figures:
    """The street-days of a stretch of time and of one key, added up (docs/DEFINITIONS.md, "From figures to totals").

    Of a shift, what belongs to a whole day is None: requirement, verdicts, and what follows from them.
    """

    bucket_first: date
    bucket_last: date
    key: str
    name: str
    street_days: int
    cleanings: int
    cleanings_certain: int
    required: int | None
    shortfall: int | None
    compliant: int | None
    compliance: float | None
    swept_m: float
    length_m: float
    coverage: float | None
    swept: int | None
    ambiguous: int | None
    no_data: int | None
    partial: int | None
    not_swept: int | None
    open: int
    excused: int | None
    passes: int

    @property
    def verdicts(self) -> dict[str, int]:
        """How many street-days have each verdict, in the order in which verdicts are tried."""
        counts = (self.swept, self.ambiguous, self.no_data, self.partial, self.not_swept)
        return {word.value: count or 0 for word, count in zip(Verdict, counts, strict=True)}

    @property
    def percents(self) -> dict[str, int]:
        """Each verdict's share of the closed street-days in whole percents; empty where none is closed."""
        return percents(self.verdicts)


def figures(
    connection: Connection[Any],
    first: date,
    last: date,
    each: Each,
    by: By,
    *,
    district_id: str,
    as_of_us: int | None = None,
    street_ids: Sequence[str] | None = None,
    rows_max: int | None = None,
) -> list[Figures]:
    """The figures from `first` to `last`, both included, of all or of these streets; by time, then key."""
    with connection.cursor(row_factory=class_row(Figures)) as cursor:
        # Planned anew each time: what is asked decides which tables are read at all.
        return cursor.execute(
            """SELECT * FROM swept_figures(%s, %s, %s, %s, %s::bigint, %s, %s::text[])
               ORDER BY bucket_first, key LIMIT %s""",
            (first, last, each, by, as_of_us, district_id, _listed(street_ids), rows_max),
            prepare=False,
        ).fetchall()


def _listed(street_ids: Sequence[str] | None) -> list[str] | None:
    return None if street_ids is None else list(street_ids)
