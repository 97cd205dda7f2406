"""Which silence is a gap in the shift: cut at its ends, whole in the middle, over midnight without shifts."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from processing.district import District, Shift, Street, Unit, UnitProfile
from processing.geodesy import LocalProjection
from processing.linear_reference import Reference
from processing.service_day import US, day_start_us
from processing.silence import GapRow, Ground, Seen, Suspect, gaps_of_day
from processing.verdict import Gap, Verdict, verdict

DAY = date(2024, 5, 1)
DAY_US = day_start_us(DAY, 0, "Asia/Shanghai")
HOUR_US = 3_600 * US
DEPOT = (122.2855, 40.67)  # some 3 km from the street
STREET = Street("a", "A", (((122.25, 40.67), (122.253, 40.67)),))
MORNING = Shift("day", "Day", 8 * 3_600, 14 * 3_600)


def context(*shifts: Shift) -> Ground:
    units = (Unit("u1", "One", UnitProfile("sweeper")),)
    district = District("d", "D", (STREET,), (), units, shifts)
    return Ground(district, LocalProjection(122.25, 40.67))


def at(hour: float, day: int = 0) -> int:
    return DAY_US + round((hour + 24 * day) * HOUR_US)


def seen(first_h: float, last_h: float, *silent: tuple[float, float], day: int = 0) -> Seen:
    gaps: list[GapRow] = [(at(low, day), at(high, day), *DEPOT, *DEPOT) for low, high in silent]
    service_day = DAY + timedelta(days=day)
    return Seen(
        "u1", service_day, at(first_h, day), at(last_h, day), gaps, *DEPOT, *DEPOT
    )  # fmt: skip


def gaps(place: Ground, *rows: Seen, suspects: tuple[Suspect, ...] = ()) -> list[Gap]:
    return gaps_of_day(place, DAY, rows, None, suspects).get("sweeping", [])


def hours(found: list[Gap]) -> list[tuple[float, float, bool, bool]]:
    """From, to, and whether the place before and after is known."""
    return [
        (
            round((one.from_us - DAY_US) / HOUR_US, 4),
            round((one.to_us - DAY_US) / HOUR_US, 4),
            one.from_xy is not None,
            one.to_xy is not None,
        )
        for one in found
    ]


def said(found: list[Gap]) -> Verdict:
    line = np.array([[0.0, 0.0], [250.0, 0.0]])
    return verdict(STREET, Reference("a", 250_000, closed=False, xy=line, along_m=line[:, 0]), None, found)


def test_silence_before_the_shift_counts_only_as_far_as_it_lies_in_it() -> None:
    found = gaps(context(MORNING), seen(3, 15, (4.0, 8.0 + 1 / 60)))
    assert hours(found) == []
    assert said(found) is Verdict.NOT_SWEPT


def test_a_gap_over_the_end_of_the_shift_is_cut_there_and_its_place_is_unknown() -> None:
    found = gaps(context(MORNING), seen(3, 18, (13 + 50 / 60, 16)))
    assert hours(found) == [(13.8333, 14.0, True, False)]


def test_a_gap_over_the_beginning_of_the_shift_is_cut_there() -> None:
    assert hours(gaps(context(MORNING), seen(3, 18, (7, 9)))) == [(8.0, 9.0, False, True)]


def test_a_gap_within_the_shift_keeps_both_places() -> None:
    found = gaps(context(MORNING), seen(7, 15, (9, 10)))
    assert hours(found) == [(9.0, 10.0, True, True)]
    assert said(found) is Verdict.NO_DATA


def test_silence_outside_of_the_shift_is_none() -> None:
    assert gaps(context(MORNING), seen(3, 18, (4, 6), (15, 17))) == []


@pytest.mark.parametrize("row", [None, seen(3, 7), seen(15, 20)])
def test_who_was_not_seen_in_the_shift_may_have_been_anywhere_all_shift(row: Seen | None) -> None:
    # Without a roster only who reported that day is expected.
    rows = [] if row is None else [row]
    expected = [] if row is None else [(8.0, 14.0, False, False)]
    assert hours(gaps(context(MORNING), *rows)) == expected


def test_without_shifts_a_unit_is_expected_from_its_first_to_its_last_fix() -> None:
    assert gaps(context(), seen(8, 14)) == []
    assert hours(gaps(context(), seen(8, 14, (9, 10)))) == [(9.0, 10.0, True, True)]


def test_without_shifts_silence_over_midnight_counts_up_to_it_on_both_days() -> None:
    assert hours(gaps(context(), seen(20, 23.5), seen(0.5, 6, day=1))) == [(23.5, 24.0, True, False)]
    assert hours(gaps(context(), seen(15, 23.75, day=-1), seen(0.5, 6))) == [(0.0, 0.5, False, True)]


def test_a_night_off_is_no_gap() -> None:
    assert gaps(context(), seen(8, 14), seen(8, 14, day=1)) == []


def test_a_track_in_a_wrong_datum_is_as_good_as_silence() -> None:
    suspect = Suspect("u1", at(7), at(12), 900, "GCJ-02")
    found = gaps(context(MORNING), seen(7, 15), suspects=(suspect,))
    assert hours(found) == [(8.0, 12.0, False, False)]
    assert said(found) is Verdict.NO_DATA
    pieces = tuple(Suspect("u1", at(n), at(n + 0.9), 90, "GCJ-02") for n in (9, 10, 12))
    assert hours(gaps(context(MORNING), seen(7, 15), suspects=pieces)) == [
        (9.0, 10.9, False, False),
        (12.0, 12.9, False, False),
    ]
    other = Suspect("u2", at(7), at(12), 900, "GCJ-02")
    assert gaps(context(MORNING), seen(7, 15), suspects=(other,)) == []


def test_what_is_still_to_come_of_a_shift_is_no_gap() -> None:
    found = gaps_of_day(context(MORNING), DAY, [seen(7, 10)], at(10))
    assert found["sweeping"] == []
