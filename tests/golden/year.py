"""A golden year: a made-up town of 12 streets, its units, and all that they did in 365 days, from a seed.

The zone changes its clocks, the day starts at 04:00, and the night shift ends with it. Everything awkward is in
it: tandems, there and back, meeting machines, holes, stops, doubtful passes, sweeps exactly 30 minutes after one
another or across the start of the day, silent units, days without anything, a map that changes in summer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from random import Random

from tests.golden.slow import (
    US,
    Pass,
    Piece,
    Place,
    Shift,
    Silence,
    Street,
    Unit,
    UnitDay,
    clock_us,
)

ZONE = "Europe/Berlin"
DAY_START_S = 4 * 3600
FIRST, LAST = date(2025, 1, 1), date(2025, 12, 31)
#: From this day on the second map is in force.
REDRAWN = date(2025, 7, 1)
#: From this day on days are still open.
OPEN_FROM = date(2025, 12, 27)
MINUTE_US = 60 * US

SHIFTS = (
    Shift("day", "Day", 6 * 3600, 14 * 3600, ("u1", "u2", "u3")),
    Shift("night", "Night", 20 * 3600, 28 * 3600, ("u2", "u4")),
)
UNITS = (
    Unit("u1", "sweeping", 40.0, 10.0),
    Unit("u2", "sweeping", 40.0, 10.0),
    Unit("u3", "washing", 50.0, 15.0),
    Unit("u4", "sweeping", 25.0, 8.0),
)


@dataclass(frozen=True, slots=True)
class Year:
    """Passes are in the order of their start."""

    days: tuple[date, ...]
    passes: tuple[Pass, ...]
    unit_days: tuple[UnitDay, ...]


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def window(day: date) -> tuple[int, int]:
    """The instants at which a service day begins and ends."""
    return clock_us(day, DAY_START_S, ZONE), clock_us(day + timedelta(days=1), DAY_START_S, ZONE)


def shift_window(day: date, shift: Shift) -> tuple[int, int]:
    return clock_us(day, shift.start_s, ZONE), clock_us(day, shift.end_s, ZONE)


# The town


def line(x: float, y: float, length_m: float) -> tuple[Place, ...]:
    """East, and the last third north."""
    bend = round(length_m * 2 / 3, 3)
    return ((x, y), (x + bend, y), (x + bend, y + length_m - bend))


def ring(x: float, y: float, side_m: float) -> tuple[Place, ...]:
    return ((x, y), (x + side_m, y), (x + side_m, y + side_m), (x, y + side_m), (x, y))


def alley(number: int, length_m: float, required: int, grade: int, **more: object) -> Street:
    """A street of the town; its place follows from its number."""
    x, y = -600.0 + 300 * (number % 4), -440.0 + 400 * (number // 4)
    closed = bool(more.pop("closed", False))
    values = {"sides": 1, "oneway": False, "work": "sweeping", **more}
    return Street(
        street_id=f"s{number:02}",
        name=f"Alley {number}",
        length_mm=round(length_m * 1000),
        line_m=ring(x, y, length_m / 4) if closed else line(x, y, length_m),
        closed=closed,
        required=required,
        grade=grade,
        subdistrict=("north", "middle", "south")[number // 4],
        contractor=("east", "west")[number % 2],
        **values,  # type: ignore[arg-type]
    )


OLD_MAP = (
    alley(0, 100, 1, 1),
    alley(1, 180, 1, 1, sides=2),
    alley(2, 250, 2, 2, oneway=True),
    alley(3, 240, 2, 1, closed=True),
    alley(4, 8, 1, 3),
    alley(5, 35, 1, 3, sides=2),
    alley(6, 900, 3, 2),
    alley(7, 400, 2, 3, sides=2),
    alley(8, 120.003, 1, 2),
    alley(9, 75, 1, 2, work="washing"),
    alley(10, 300, 1, 3, sides=2, closed=True),
    alley(11, 63.777, 3, 1),
)
#: In summer one street is renamed, one gets another contractor and grade, one has to be swept more often.
NEW_MAP = tuple(
    replace(one, name="Station Alley")
    if one.street_id == "s00"
    else replace(one, contractor="west", grade=3)
    if one.street_id == "s02"
    else replace(one, required=2)
    if one.street_id == "s08"
    else one
    for one in OLD_MAP
)


def streets(day: date) -> tuple[Street, ...]:
    """The map in force on a day."""
    return NEW_MAP if day >= REDRAWN else OLD_MAP


# What was done


def drive(
    unit: str,
    street: Street,
    at_us: int,
    pace_us: int,
    stretches: Sequence[tuple[int, int, str]],
    doubt: str | None,
) -> Pass:
    """A pass at a pace in microseconds a millimetre; a stretch is swept, unobserved, neither, or a stop before it."""
    direction = 1 if stretches[0][1] > stretches[0][0] else -1
    swept, unobserved = [], []
    clock_us = at_us
    for from_mm, to_mm, how in stretches:
        clock_us += 40 * US if how == "stop" else 0
        piece = Piece(from_mm, to_mm, clock_us, clock_us + abs(to_mm - from_mm) * pace_us)
        clock_us = piece.to_us
        if how in {"swept", "stop"}:
            swept.append(piece)
        elif how == "unobserved":
            unobserved.append(piece)
    return Pass(
        unit,
        street.street_id,
        work_of(unit),
        direction,
        at_us,
        clock_us,
        tuple(swept),
        tuple(unobserved),
        doubt,
    )


def work_of(unit: str) -> str:
    return next(one.work for one in UNITS if one.unit_id == unit)


def whole(street: Street, direction: int) -> tuple[int, int]:
    return (0, street.length_mm) if direction > 0 else (street.length_mm, 0)


def holed(rng: Random, street: Street, direction: int, how: str) -> list[tuple[int, int, str]]:
    """A run with one to three stretches of some millimetres to a third of it done otherwise."""
    count = 2 * rng.randint(1, 3)
    marks = sorted(rng.randrange(street.length_mm) for _ in range(count))
    for i in range(0, count, 2):
        if rng.random() < 0.6:  # around what is still closed
            marks[i + 1] = min(marks[i] + rng.randint(1, 12_000), street.length_mm - 1, *marks[i + 2 : i + 3])
    ends = [0, *sorted(marks), street.length_mm]
    if direction < 0:
        ends.reverse()
    return [(a, b, how if i % 2 else "swept") for i, (a, b) in enumerate(pairwise(ends)) if a != b]


def cleaning(rng: Random, street: Street, at_us: int) -> Iterator[Pass]:
    """What is meant to be one cleaning of a street, done in one of many ways."""
    units = [one.unit_id for one in UNITS if one.work == street.work]
    unit = rng.choice(units)
    pace_us = rng.randint(300, 1200)
    doubt = f"s{rng.randrange(12):02}" if rng.random() < 0.08 else None
    style = rng.choices(STYLES, WEIGHTS)[0]
    directions = (
        [1, -1] if street.sides == 2 and not street.oneway else [1 if street.oneway else rng.choice([1, -1])]
    )
    for direction in directions:
        run_us = street.length_mm * pace_us
        given: list[tuple[int, int, str]] = [(*whole(street, direction), "swept")]
        if style in {"neither", "unobserved", "stop"}:
            given = holed(rng, street, direction, style)
        elif style == "part":
            from_mm, to_mm = whole(street, direction)
            given = [(from_mm, from_mm + (to_mm - from_mm) * rng.randint(30, 99) // 100, "swept")]
        elif style == "through":
            given = [(*whole(street, direction), "neither")]
        elif style == "laps" and street.closed:
            from_mm = rng.randrange(street.length_mm)
            given = [(from_mm, from_mm + direction * street.length_mm * rng.randint(70, 160) // 100, "swept")]
        yield drive(unit, street, at_us, pace_us, given, doubt)
        if style == "tandem":
            second = rng.choice(units)
            later_us = rng.choice(
                [20 * US, 3 * MINUTE_US, 30 * MINUTE_US, 30 * MINUTE_US + 1, 31 * MINUTE_US]
            )
            yield drive(second, street, at_us + later_us, pace_us, given, None)
        elif style == "back":
            yield drive(unit, street, at_us + run_us, pace_us, [(*whole(street, -direction), "swept")], doubt)
        elif style == "meeting":
            back = [(*whole(street, -direction), "swept")]
            yield drive(rng.choice(units), street, at_us + run_us // 2, pace_us, back, None)
        at_us += run_us + rng.randint(0, 10 * MINUTE_US)


STYLES = ("plain", "neither", "unobserved", "stop", "part", "through", "laps", "tandem", "back", "meeting")
WEIGHTS = (34, 12, 10, 5, 8, 3, 8, 8, 8, 4)


def moments(rng: Random, day: date, count: int) -> list[int]:
    """When the cleanings of a day begin: in a shift, between shifts, or about the start of the day or a shift."""
    begin_us, end_us = window(day)
    found = []
    for _ in range(count):
        kind = rng.random()
        if kind < 0.12:
            edge_us = rng.choice([begin_us, end_us, *(us for one in SHIFTS for us in shift_window(day, one))])
            near_us = rng.choice([-1, 0, 1, rng.randint(-40 * MINUTE_US, 40 * MINUTE_US)])
            found.append(min(max(edge_us + near_us, begin_us), end_us - 1))
        elif kind < 0.9:
            from_us, to_us = shift_window(day, rng.choice(SHIFTS))
            found.append(rng.randrange(from_us, to_us))
        else:
            found.append(rng.randrange(begin_us, end_us))
    return found


def passes_of(rng: Random, day: date) -> Iterator[Pass]:
    for street in streets(day):
        done = street.required + rng.choices([-2, -1, 0, 1], [1, 3, 8, 2])[0]
        for at_us in moments(rng, day, max(0, done)):
            yield from cleaning(rng, street, at_us)
    if rng.random() < 0.1:  # work that the street doesn't require
        street = rng.choice(streets(day))
        unit = "u1" if street.work == "washing" else "u3"
        yield drive(unit, street, moments(rng, day, 1)[0], 500, [(*whole(street, 1), "swept")], None)


# What was heard of the units


def place(rng: Random) -> Place:
    return rng.randint(-4000, 4000) / 1.0, rng.randint(-4000, 4000) / 1.0


def unit_day(rng: Random, unit: Unit, day: date) -> UnitDay:
    """What was heard of a unit: about its shifts, with some silence in between."""
    windows = [shift_window(day, one) for one in SHIFTS if unit.unit_id in one.roster]
    begin_us, end_us = window(day)
    first_us = max(
        windows[0][0] + rng.choice([-20, -1, 0, 1, 2, 10]) * MINUTE_US + rng.randrange(US), begin_us
    )
    last_us = min(
        windows[-1][1] - rng.choice([-20, -1, 0, 1, 2, 10]) * MINUTE_US + rng.randrange(US), end_us - 1
    )
    silent, at_us = [], first_us
    for _ in range(rng.choices([0, 1, 2, 3], [6, 2, 1, 1])[0]):
        from_us = at_us + rng.randint(1, 240) * MINUTE_US + rng.randrange(US)
        to_us = from_us + rng.choice([1, 2, 4, 4, 8, 8, 12, 40]) * MINUTE_US + rng.randrange(MINUTE_US)
        if to_us < last_us:
            silent.append(Silence(from_us, to_us, place(rng), place(rng)))
            at_us = to_us
    driven_m = rng.randint(0, 400_000) / 8
    return UnitDay(
        unit.unit_id, day, rng.randint(2, 6000), first_us, last_us, place(rng), place(rng), tuple(silent),
        driven_m, rng.randint(0, int(driven_m)) / 1.0, rng.randint(0, 8 * 3600 * 4) / 4,
    )  # fmt: skip


def make(seed: int, first: date = FIRST, last: date = LAST) -> Year:
    """The year of a seed."""
    rng = Random(seed)
    passes: list[Pass] = []
    unit_days: list[UnitDay] = []
    for day in days(first, last):
        mood = rng.random()
        if mood < 0.04:  # nothing at all
            continue
        passes.extend(passes_of(rng, day))
        silent = 0.3 if mood < 0.15 else 0.0
        unit_days.extend(unit_day(rng, unit, day) for unit in UNITS if rng.random() >= silent)
    return Year(tuple(days(first, last)), tuple(apart(passes)), tuple(unit_days))


def apart(passes: Iterable[Pass]) -> list[Pass]:
    """In the order of their start, without two of a unit that start together."""
    first: dict[tuple[int, str], Pass] = {}
    for one in passes:
        first.setdefault((one.enter_us, one.unit), one)
    return [first[key] for key in sorted(first)]
