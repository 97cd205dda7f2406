"""When was a street cleaned, and how long was each street without it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class Cleaning:
    """The `number`-th cleaning of a service day, and the moment from which it was one."""

    service_day: date
    number: int
    cleaned_us: int


@dataclass(frozen=True, slots=True)
class Without:
    """A street's longest time without a cleaning within a period, and how many cleanings lie in that period."""

    street_id: str
    name: str
    without_from_us: int
    without_to_us: int
    cleanings: int


def cleanings(
    connection: Connection[Any],
    street_id: str,
    first: date,
    last: date,
    *,
    district_id: str,
    as_of_us: int | None = None,
) -> list[Cleaning]:
    """The street's cleanings of the service days from `first` to `last`, both included, in order."""
    with connection.cursor(row_factory=class_row(Cleaning)) as cursor:
        return cursor.execute(
            "SELECT * FROM swept_cleanings(%s, %s, %s, %s::bigint, %s)",
            (street_id, first, last, as_of_us, district_id),
            prepare=False,
        ).fetchall()


def longest_without(
    connection: Connection[Any],
    first: date,
    last: date,
    from_us: int,
    to_us: int,
    *,
    district_id: str,
    as_of_us: int | None = None,
    street_ids: Sequence[str] | None = None,
) -> list[Without]:
    """Each street's longest time without a cleaning between two instants, those of `first` and `last`; by id."""
    with connection.cursor(row_factory=class_row(Without)) as cursor:
        return cursor.execute(
            "SELECT * FROM swept_longest_without(%s, %s, %s, %s, %s::bigint, %s, %s::text[])",
            (
                first,
                last,
                from_us,
                to_us,
                as_of_us,
                district_id,
                None if street_ids is None else list(street_ids),
            ),
            prepare=False,
        ).fetchall()
