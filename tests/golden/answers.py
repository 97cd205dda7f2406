"""What the slow count says of the golden year; worked out once a session."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from typing import NamedTuple

from tests.golden import slow, year
from tests.golden.questions import StreetDay

SEED = 4
#: When the year was written, when its days were closed, when late reports came.
LOADED_US, CLOSED_US, LATE_US = (slow.clock_us(date(2026, 1, day), 0, year.ZONE) for day in (7, 8, 9))
#: Street, first and last day, when it was entered, and when withdrawn.
EXCUSES = (
    ("s01", date(2025, 3, 3), date(2025, 3, 28), LOADED_US, None),
    ("s06", date(2025, 6, 1), date(2025, 9, 30), LOADED_US, None),
    ("s06", date(2025, 9, 15), date(2025, 10, 15), LOADED_US, None),
    ("s11", date(2025, 1, 1), date(2025, 12, 31), LOADED_US, CLOSED_US),
    ("s04", date(2025, 12, 20), date(2026, 1, 20), LOADED_US, None),
    ("s07", date(2025, 2, 1), date(2025, 2, 28), LATE_US, None),
    ("s08", date(2025, 8, 1), date(2025, 8, 31), LOADED_US, LATE_US),
)
#: The year and some open days about it, of which nothing is known.
DAYS = year.days(date(2024, 12, 29), date(2026, 1, 5))


class Key(NamedTuple):
    """A street and a window; '' is the whole day."""

    street: str
    day: date
    shift: str


@cache
def golden() -> year.Year:
    return year.make(SEED)


@cache
def late() -> tuple[slow.Pass, ...]:
    """Passes that became known when their days were closed already."""
    known_us = year.window(year.OPEN_FROM)[0] - 2 * 24 * 3600 * slow.US
    return tuple(one for one in golden().passes[5::97] if one.enter_us < known_us)


def windows(day: date) -> dict[str, tuple[int, int]]:
    return {"": year.window(day)} | {one.shift_id: year.shift_window(day, one) for one in year.SHIFTS}


@cache
def passes(*, without_late: bool = False) -> dict[tuple[str, date], tuple[slow.Pass, ...]]:
    """The passes that concern a street-day: those of the day and of the day before."""
    found: dict[tuple[str, date], list[slow.Pass]] = defaultdict(list)
    gone = set(late()) if without_late else set()
    starts = [year.window(day)[0] for day in golden().days]
    at = -1
    for one in golden().passes:
        while at + 1 < len(starts) and one.enter_us >= starts[at + 1]:
            at += 1
        if one not in gone:
            for day in (golden().days[at], golden().days[at] + timedelta(days=1)):
                found[one.street, day].append(one)
    return defaultdict(tuple, {key: tuple(given) for key, given in found.items()})


@cache
def figures(*, without_late: bool = False) -> dict[Key, slow.Figures]:
    """Every street's figures of the work it requires, of each day and shift."""
    given = passes(without_late=without_late)
    known = figures() if without_late else {}
    found = {}
    for day in DAYS:
        for street in year.streets(day):
            concern = given[street.street_id, day]
            for shift, window in windows(day).items():
                key = Key(street.street_id, day, shift)
                if known and concern == passes()[street.street_id, day]:
                    found[key] = known[key]
                else:
                    found[key] = slow.figures(street, street.work, concern, *window)
    return found


@cache
def silences(*, roster: bool = True) -> dict[date, list[tuple[slow.Unit, slow.Silence]]]:
    """When units of the roster, or without one those that reported, weren't heard of in their shifts."""
    rows = {(one.unit, one.day): one for one in golden().unit_days}
    return {
        day: [
            (unit, silence)
            for shift in year.SHIFTS
            for unit in year.UNITS
            if (unit.unit_id in shift.roster if roster else (unit.unit_id, day) in rows)
            for silence in slow.silences(
                unit.unit_id, rows.get((unit.unit_id, day)), *year.shift_window(day, shift)
            )
        ]
        for day in golden().days
    }


@cache
def record(*, without_late: bool = False) -> Sequence[StreetDay]:
    """All street-days with what is said of them."""
    known = figures(without_late=without_late)
    return [
        StreetDay(
            street,
            day,
            (whole := known[Key(street.street_id, day, "")]),
            tuple(
                (one.shift_id, one.name, known[Key(street.street_id, day, one.shift_id)])
                for one in year.SHIFTS
            ),
            slow.verdict(street, whole, silences()[day]) if year.FIRST <= day < year.OPEN_FROM else None,
            excused(street.street_id, day, CLOSED_US if without_late else LATE_US),
        )
        for day in DAYS
        for street in year.streets(day)
    ]


def excused(street_id: str, day: date, as_of_us: int) -> bool:
    return any(
        street_id == street
        and first <= day <= last
        and entered_us <= as_of_us < (withdrawn_us or slow.END_US)
        for street, first, last, entered_us, withdrawn_us in EXCUSES
    )
