"""A unit's day and its equipment: what holds, for how long, and what nobody knows."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.district import Unit, UnitProfile
from processing.equipment import Intervals
from processing.fix import EQUIPMENT, OFF, ON, UNKNOWN, Kind, Report, ReportColumns
from processing.rules import Rules
from processing.service_day import US, day_start_us
from processing.unit_day import UnitDay, unit_day

DAY = date(2024, 5, 1)
START_US = day_start_us(DAY, 0, "Asia/Shanghai")
UNIT = Unit("u1", "Sweeper", UnitProfile("sweeper"))
RULES = Rules()
M_PER_DEG = 111_044.0  # of latitude at 40 degrees


def fix(
    second: float, north_m: float = 0.0, *, brush: bool | None = True, kmh: float | None = None
) -> Report:
    at_us = START_US + round(second * US)
    lat = 40.0 + north_m / M_PER_DEG
    return Report("u1", Kind.FIX, at_us, at_us, 122.0, lat, speed_kmh=kmh, brush=brush)


def status(second: float, *, brush: bool | None) -> Report:
    at_us = START_US + round(second * US)
    return Report("u1", Kind.EQUIPMENT, at_us, at_us, brush=brush)


def day(*reports: Report, unit: Unit = UNIT) -> UnitDay:
    figures = unit_day(unit, DAY, ReportColumns.of(reports), RULES)
    assert figures is not None
    return figures


def brush(*reports: Report) -> list[tuple[int, float, float]]:
    found = Intervals("u1", RULES).take(ReportColumns.of(reports))
    assert all((one.unit_id, one.equipment) == ("u1", "brush") for one in found)
    return [(one.state, (one.from_us - START_US) / US, (one.to_us - START_US) / US) for one in found]


def test_a_day_without_a_fix_is_none() -> None:
    for reports in ((), (status(5, brush=True),), (fix(-1),), (fix(86_400),)):
        assert unit_day(UNIT, DAY, ReportColumns.of(reports), RULES) is None


def test_a_working_run_is_timed_and_measured() -> None:
    figures = day(*(fix(10 * i, 20.0 * i) for i in range(6)))
    assert (figures.fixes, figures.first_fix_us, figures.last_fix_us) == (6, START_US, START_US + 50 * US)
    assert (figures.working_s, figures.gaps) == (50.0, ())
    assert figures.driven_m == pytest.approx(100.0, abs=0.1)


def test_where_neighbours_disagree_half_the_time_was_worked() -> None:
    assert day(fix(0), fix(10, 20), fix(20, 40, brush=False), fix(30, 60, brush=False)).working_s == 15.0


def test_unknown_is_not_work_and_a_held_status_is() -> None:
    assert day(fix(0, brush=None), fix(10, 20, brush=None)).working_s == 0.0
    assert day(status(-60, brush=True), fix(0, brush=None), fix(10, 20, brush=None)).working_s == 10.0
    assert day(status(-901, brush=True), fix(0, brush=None), fix(10, 20, brush=None)).working_s == 0.0


def test_standing_and_rushing_are_not_work() -> None:
    assert day(fix(0), fix(10)).working_s == 0.0
    assert day(fix(0), fix(10, 100)).working_s == 0.0
    assert day(fix(0, kmh=0.2), fix(10, 3, kmh=0.2)).driven_m == 0.0
    assert day(fix(0, kmh=25.0), fix(10, 20, kmh=25.0)).working_s == 0.0
    assert day(fix(0, kmh=None), fix(10, 100, kmh=10.0)).working_s == 10.0


def test_holes_are_neither_worked_nor_driven() -> None:
    figures = day(fix(0), fix(121, 200), fix(122, 1200))
    assert (figures.working_s, figures.driven_m) == (0.0, 0.0)
    ((from_us, to_us, *places),) = figures.gaps
    assert (from_us, to_us) == (START_US, START_US + 121 * US)
    assert places == [122.0, 40.0, 122.0, 40.0 + 200 / M_PER_DEG]
    assert all(type(value) is float for value in places)


def test_a_badge_works_by_its_speed_alone() -> None:
    badge = Unit("u1", "Cleaner", UnitProfile("badge", working_when=()))
    assert day(fix(0, brush=None), fix(10, 10, brush=None), unit=badge).working_s == 10.0


def test_intervals_join_what_is_the_same_and_end_with_the_last_report() -> None:
    assert brush(fix(0), fix(10), fix(20, brush=False), fix(30)) == [(ON, 0, 20), (OFF, 20, 30)]


def test_a_status_holds_until_the_next_or_its_time_is_over() -> None:
    silent = [fix(second, brush=None) for second in (100, 1000, 1100)]
    assert brush(status(0, brush=True), *silent) == [(ON, 0, 900), (UNKNOWN, 900, 1100)]
    assert brush(
        status(0, brush=True), fix(10, brush=None), status(50, brush=False), fix(60, brush=None)
    ) == [
        (ON, 0, 50),
        (OFF, 50, 60),
    ]
    assert brush(status(0, brush=True), status(50, brush=None), fix(60, brush=None)) == [
        (ON, 0, 50),
        (UNKNOWN, 50, 60),
    ]


def test_what_a_fix_says_itself_comes_first_and_does_not_hold() -> None:
    assert brush(status(0, brush=True), fix(10, brush=False), fix(20, brush=None), fix(30)) == [
        (ON, 0, 10),
        (OFF, 10, 20),
        (ON, 20, 30),
    ]
    assert brush(fix(0), fix(10, brush=None), fix(20)) == [(ON, 0, 10), (UNKNOWN, 10, 20)]


def test_equipment_never_told_of_has_no_intervals() -> None:
    assert brush(fix(0, brush=None), fix(10, brush=None)) == []
    assert brush(fix(0)) == []
    assert Intervals("u1", RULES).take(ReportColumns.empty()) == []


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 4000), st.sampled_from(Kind)),
        st.sampled_from([None, False, True]),
        max_size=12,
    )
)
def test_intervals_cover_the_day_without_overlap(told: dict[tuple[int, Kind], bool | None]) -> None:
    reports = [
        fix(second, brush=state) if kind is Kind.FIX else status(second, brush=state)
        for (second, kind), state in sorted(told.items())
    ]
    found = Intervals("u1", RULES).take(ReportColumns.of(reports))
    for one, after in pairwise(found):
        assert one.to_us == after.from_us
        assert one.state != after.state
    for one in found:
        assert one.from_us < one.to_us
        assert one.equipment in EQUIPMENT
    if found:
        assert (found[0].from_us, found[-1].to_us) == (reports[0].fix_time_us, reports[-1].fix_time_us)
