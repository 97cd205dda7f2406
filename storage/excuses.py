"""Excuses: why a street couldn't be swept, with who says so. They stand beside the figures, never in them.

One is entered and may be withdrawn; it is never changed and never deleted, so that what was shown at any
moment can be shown again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal, get_args

from psycopg import Connection
from psycopg.rows import class_row

Kind = Literal["road works", "parked cars", "rain", "frost", "other"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Excuse:
    """An excuse for the service days from `first_day` to `last_day`; it may have been withdrawn."""

    excuse_id: int
    street_id: str
    first_day: date
    last_day: date
    kind: str
    reason: str
    author: str
    at_us: int
    withdrawn_by: str | None
    withdrawn_us: int | None


_COLUMNS = (
    "excuse_id, street_id, first_day, last_day, kind, reason, author, at_us, withdrawn_by, withdrawn_us"
)


def add(
    connection: Connection[Any],
    street_id: str,
    first: date,
    last: date,
    kind: Kind,
    reason: str,
    author: str,
    at_us: int,
) -> int:
    """Enter an excuse at a moment of the district's clock; its number."""
    row = connection.execute(
        """INSERT INTO excuse (street_id, first_day, last_day, kind, reason, author, at_us)
           VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING excuse_id""",
        (street_id, first, last, kind, reason, author, at_us),
    ).fetchone()
    assert row is not None
    return int(row[0])


def withdraw(connection: Connection[Any], excuse_id: int, author: str, at_us: int) -> bool:
    """Withdraw an excuse; False where there is none that still stands."""
    # Not before it was entered: the district's clock may have been set back since.
    return (
        connection.execute(
            """UPDATE excuse SET withdrawn_by = %s, withdrawn_us = greatest(at_us, %s)
               WHERE excuse_id = %s AND withdrawn_us IS NULL""",
            (author, at_us, excuse_id),
        ).rowcount
        == 1
    )


def excuse(connection: Connection[Any], excuse_id: int) -> Excuse | None:
    """The excuse of a number, withdrawn or not."""
    with connection.cursor(row_factory=class_row(Excuse)) as cursor:
        query = f"SELECT {_COLUMNS} FROM excuse WHERE excuse_id = %s"  # noqa: S608 - the names are our own
        return cursor.execute(query.encode(), (excuse_id,)).fetchone()


def excuses(
    connection: Connection[Any],
    first: date,
    last: date,
    *,
    as_of_us: int | None = None,
    street_ids: Sequence[str] | None = None,
    withdrawn: bool = False,
) -> list[Excuse]:
    """Those that reach into `first` to `last`, both included, and stood at a moment; by number.

    With `withdrawn` also those that were withdrawn by then.
    """
    listed = None if street_ids is None else list(street_ids)
    source = (
        """(SELECT * FROM excuse WHERE first_day <= %(last)s AND last_day >= %(first)s
            AND (%(as_of_us)s::bigint IS NULL OR at_us <= %(as_of_us)s::bigint)) AS entered"""
        if withdrawn
        else "swept_excuses(%(first)s, %(last)s, %(as_of_us)s::bigint)"
    )
    with connection.cursor(row_factory=class_row(Excuse)) as cursor:
        return cursor.execute(
            f"""SELECT {_COLUMNS} FROM {source}
                WHERE %(streets)s::text[] IS NULL OR street_id = ANY(%(streets)s::text[])
                ORDER BY excuse_id""",  # noqa: S608 - all our own
            {"first": first, "last": last, "as_of_us": as_of_us, "streets": listed},
        ).fetchall()


def beside(found: Iterable[Excuse], first: date, last: date) -> dict[tuple[str, date], str]:
    """By street and service day the kinds of excuses that stand beside it, in the order of `found`."""
    kinds: dict[tuple[str, date], str] = {}
    for one in found:
        day = max(one.first_day, first)
        while day <= min(one.last_day, last):
            known = kinds.get((one.street_id, day))
            kinds[one.street_id, day] = ", ".join(
                dict.fromkeys([*(known.split(", ") if known else ()), one.kind])
            )
            day += timedelta(days=1)
    return kinds
