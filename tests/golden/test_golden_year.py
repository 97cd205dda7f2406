"""A year of a town: what swept says of it is what the definitions say, worked out slowly and by itself."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, timedelta
from functools import cache
from typing import NamedTuple

from processing.frequency import street_day
from processing.rules import Rules
from tests.golden import slow, translate, year

RULES = Rules(timezone=year.ZONE, day_start_s=year.DAY_START_S)
SEED = 4


class Key(NamedTuple):
    """Of a street and a window: '' is the whole day."""

    street: str
    day: date
    shift: str


@cache
def golden() -> year.Year:
    return year.make(SEED)


@cache
def by_street_day() -> dict[tuple[str, date], list[slow.Pass]]:
    """The passes that concern a street-day: those of the day and of the day before."""
    found: dict[tuple[str, date], list[slow.Pass]] = defaultdict(list)
    starts = [year.window(day)[0] for day in golden().days]
    day = -1
    for one in golden().passes:
        while day + 1 < len(starts) and one.enter_us >= starts[day + 1]:
            day += 1
        for service_day in (golden().days[day], golden().days[day] + timedelta(days=1)):
            found[one.street, service_day].append(one)
    return found


def windows(day: date) -> dict[str, tuple[int, int]]:
    return {"": year.window(day)} | {one.shift_id: year.shift_window(day, one) for one in year.SHIFTS}


@cache
def slow_figures() -> dict[Key, slow.Figures]:
    """Every street's figures of the work it requires, of each day and shift."""
    return {
        Key(street.street_id, day, shift): slow.figures(
            street, street.work, by_street_day()[street.street_id, day], *window
        )
        for day in golden().days
        for street in year.streets(day)
        for shift, window in windows(day).items()
    }


def test_the_figures_of_every_street_day_and_shift_are_those_of_the_slow_count() -> None:
    differ = {}
    for key, expected in slow_figures().items():
        street = next(one for one in year.streets(key.day) if one.street_id == key.street)
        fast = street_day(
            translate.street(street),
            translate.reference(street),
            key.day,
            street.work,
            translate.passes(by_street_day()[key.street, key.day]),
            RULES,
            windows(key.day)[key.shift] if key.shift else None,
        )
        if translate.figures(fast) != expected:
            differ[key] = (translate.figures(fast), expected)
    assert not differ, (len(differ), list(differ.items())[:3])


def test_the_year_holds_what_it_is_meant_to_hold() -> None:
    whole_days = {key: value for key, value in slow_figures().items() if not key.shift}
    assert set(Counter(value.frequency for value in whole_days.values())) >= {0, 1, 2, 3, 4}
    assert sum(value.frequency != value.frequency_certain for value in whole_days.values()) > 50
    assert sum(value.frequency != value.frequency_if_observed for value in whole_days.values()) > 50
    hours = Counter((end - begin) // (3600 * slow.US) for begin, end in map(year.window, golden().days))
    assert hours == {24: 363, 23: 1, 25: 1}
