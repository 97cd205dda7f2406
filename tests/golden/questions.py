"""What the record is asked, answered by going through it row by row."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

from tests.golden.slow import Figures, Pass, Street, UnitDay

VERDICTS = ("swept", "ambiguous", "no data", "partial", "not swept")


@dataclass(frozen=True, slots=True)
class StreetDay:
    """What is said of a street and a service day; `verdict` is None while the day is open."""

    street: Street
    day: date
    figures: Figures
    shifts: tuple[tuple[str, str, Figures], ...]
    verdict: str | None
    excused: bool


def bucket(day: date, each: str, first: date, last: date) -> tuple[date, date]:
    """The stretch of time that a day falls in, cut at the period's ends."""
    if each == "day":
        begin, end = day, day
    elif each == "week":
        begin = day - timedelta(days=day.isoweekday() - 1)
        end = begin + timedelta(days=6)
    elif each == "month":
        begin = day.replace(day=1)
        end = (begin + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    else:
        begin, end = first, last
    return max(begin, first), min(end, last)


def keys(one: StreetDay, by: str, district: str) -> list[tuple[str, str, Figures]]:
    """Key, name and figures of each part that a street-day has."""
    if by == "shift":
        return list(one.shifts)
    street = one.street
    if by == "street":
        return [(street.street_id, street.name, one.figures)]
    key = {
        "grade": str(street.grade),
        "subdistrict": street.subdistrict,
        "contractor": street.contractor,
        "district": district,
    }[by]
    return [(key, key, one.figures)]


def totals(
    record: Iterable[StreetDay], first: date, last: date, each: str, by: str, district: str
) -> list[tuple[Any, ...]]:
    """A row for each stretch of time and key, in their order."""
    groups: dict[tuple[date, date, str], list[tuple[StreetDay, str, Figures]]] = defaultdict(list)
    for one in record:
        if first <= one.day <= last:
            for key, name, figures in keys(one, by, district):
                groups[(*bucket(one.day, each, first, last), key)].append((one, name, figures))
    return [(*group, *row(parts, whole=by != "shift")) for group, parts in sorted(groups.items())]


def row(parts: Sequence[tuple[StreetDay, str, Figures]], *, whole: bool) -> tuple[Any, ...]:
    """The columns of a total; what is of whole days only is None by shift."""
    newest = max(parts, key=lambda part: part[0].day)
    closed = [(one, figures) for one, _, figures in parts if one.verdict is not None]
    swept_mm = sum(figures.swept_mm for _, _, figures in parts)
    length_mm = sum(figures.length_mm for _, _, figures in parts)
    shortfall = sum(max(0, one.street.required - figures.frequency) for one, figures in closed)
    compliant = sum(figures.frequency >= one.street.required for one, figures in closed)
    judged = (
        sum(one.street.required for one, _, _ in parts),
        shortfall,
        compliant,
        compliant / len(closed) if closed else None,
    )
    said = [sum(one.verdict == word for one, _ in closed) for word in VERDICTS]
    excused = sum(one.excused and one.verdict != "swept" for one, _ in closed)
    return (
        newest[1],
        len(parts),
        sum(figures.frequency for _, _, figures in parts),
        sum(figures.frequency_certain for _, _, figures in parts),
        *(judged if whole else (None,) * 4),
        swept_mm / 1000,
        length_mm / 1000,
        swept_mm / length_mm if length_mm else None,
        *(said if whole else (None,) * 5),
        len(parts) - len(closed),
        excused if whole else None,
        sum(figures.passes for _, _, figures in parts),
    )


def shares(counts: Mapping[str, int]) -> dict[str, int]:
    """Whole percents that add up to 100; of nothing there are none.

    What is left goes to the largest remainders, of equal ones to the first.
    """
    total = sum(counts.values())
    if not total:
        return {}
    percents = {word: Fraction(100 * count, total) for word, count in counts.items()}
    whole = {word: math.floor(share) for word, share in percents.items()}
    for word in sorted(percents, key=lambda word: whole[word] - percents[word])[: 100 - sum(whole.values())]:
        whole[word] += 1
    return whole


def cleanings(
    record: Iterable[StreetDay], street_id: str, first: date, last: date
) -> list[tuple[date, int, int]]:
    """Each cleaning of a street: its day, its number on that day, when."""
    return [
        (one.day, number, cleaned_us)
        for one in sorted(record, key=lambda one: one.day)
        if one.street.street_id == street_id and first <= one.day <= last
        for number, cleaned_us in enumerate(one.figures.cleaned_us, 1)
    ]


def longest_without(
    record: Sequence[StreetDay], first: date, last: date, from_us: int, to_us: int
) -> list[tuple[str, str, int, int, int]]:
    """For each street the longest time without a cleaning, of equal ones the earliest."""
    names = {one.street.street_id: one.street.name for one in record if first <= one.day <= last}
    found = []
    for street_id, name in sorted(names.items()):
        known = cleanings(record, street_id, first - timedelta(days=1), last)
        times = sorted(us for _, _, us in known if from_us < us < to_us)
        begin, end = max(pairwise([from_us, *times, to_us]), key=lambda pair: (pair[1] - pair[0], -pair[0]))
        found.append((street_id, name, begin, end, len(times)))
    return found


def on_street(passes: Iterable[Pass], street_id: str, from_us: int, to_us: int) -> list[tuple[int, str, int]]:
    """Who was on a street: when they came, who, when they left."""
    return sorted(
        (one.enter_us, one.unit, one.leave_us)
        for one in passes
        if one.street == street_id and one.enter_us < to_us and one.leave_us >= from_us
    )


def unit_totals(unit_days: Iterable[UnitDay], first: date, last: date, each: str) -> list[tuple[Any, ...]]:
    """What each unit drove, and what of it was work."""
    groups: dict[tuple[date, date, str], list[UnitDay]] = defaultdict(list)
    for one in unit_days:
        if first <= one.day <= last:
            groups[(*bucket(one.day, each, first, last), one.unit)].append(one)
    return [
        (
            *group,
            len(rows),
            sum(one.fixes for one in rows),
            (driven_m := sum(one.driven_m for one in rows)),
            (working_m := sum(one.working_m for one in rows)),
            working_m / driven_m if driven_m else None,
            sum(one.working_s for one in rows),
        )
        for group, rows in sorted(groups.items())
    ]
