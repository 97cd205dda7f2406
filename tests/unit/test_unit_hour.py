"""A unit's hours: they add up to its day, and levels are told from the sensor's wavering."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.district import Unit, UnitProfile
from processing.fix import Kind, Report, ReportColumns
from processing.rules import Rules
from processing.service_day import US, day_start_us
from processing.unit_day import HOUR_US, UnitDay, unit_day

DAY = date(2024, 5, 1)
START_US = day_start_us(DAY, 0, "Asia/Shanghai")
UNIT = Unit("u1", "Sweeper", UnitProfile("sweeper"))


def fix(second: float, north_m: float = 0.0, *, brush: bool = True, water_pct: float | None = None) -> Report:
    at_us = START_US + round(second * US)
    lat = 40.0 + north_m / 111_044.0
    return Report("u1", Kind.FIX, at_us, at_us, 122.0, lat, brush=brush, water_pct=water_pct)


def day(*reports: Report) -> UnitDay:
    figures = unit_day(UNIT, DAY, ReportColumns.of(reports), Rules())
    assert figures is not None
    return figures


def used(*levels_pct: float | None) -> float | None:
    (hour,) = day(*(fix(10 * n, water_pct=level) for n, level in enumerate(levels_pct))).hours
    return hour.water_used_pct


def test_an_hour_has_what_its_reports_and_the_joins_that_end_in_it_have() -> None:
    figures = day(*(fix(3_580 + 10 * n, 20.0 * n) for n in range(5)))
    first, second = figures.hours
    assert (first.hour_us, second.hour_us) == (START_US, START_US + HOUR_US)
    assert (first.fixes, second.fixes) == (2, 3)
    assert (first.working_s, second.working_s) == (10.0, 30.0)
    assert (first.driven_m, second.driven_m) == pytest.approx((20.0, 60.0), abs=0.1)
    assert (first.working_m, second.working_m) == (first.driven_m, second.driven_m)


def test_metres_driven_without_work_are_driven_only() -> None:
    figures = day(fix(0), fix(10, 20), fix(20, 40, brush=False), fix(30, 60, brush=False))
    assert figures.driven_m == pytest.approx(60.0, abs=0.1)
    assert figures.working_m == pytest.approx(30.0, abs=0.1)  # of the middle join half


def test_nothing_told_of_a_level_is_none_and_a_level_that_stays_is_zero() -> None:
    assert used(None, None) is None
    assert used(70, None, 70) == 0.0


def test_water_used_is_what_the_level_fell_and_a_refill_is_no_fall() -> None:
    assert used(70, 60, None, 40) == 30.0
    assert used(30, 20, 100, 90) == 20.0
    assert used(20, 30, 40, 60, 90, 80) == 10.0  # filled slowly


def test_a_level_that_wavers_uses_no_water() -> None:
    assert used(*([70, 69, 71] * 50)) == 1.0
    assert used(10, 20, *([100, 98, 99] * 50)) == 0.0


def test_a_hopper_fills_as_a_tank_empties_and_is_emptied_as_that_is_filled() -> None:
    fill = (10, 30, 60, 5, 20)
    (hour,) = day(*(replace(fix(10 * n), hopper_pct=level) for n, level in enumerate(fill))).hours
    assert hour.hopper_filled_pct == 65.0
    assert hour.water_used_pct is None


@given(
    st.lists(st.tuples(st.integers(1, 300), st.floats(0, 60), st.booleans(), st.floats(0, 100)), max_size=200)
)
def test_the_hours_add_up_to_the_day(steps: list[tuple[int, float, bool, float]]) -> None:
    second, north_m, reports = 0, 0.0, [fix(0, water_pct=50.0)]
    for gap_s, step_m, brush, level in steps:
        second, north_m = second + gap_s, north_m + step_m
        reports.append(fix(second, north_m, brush=brush, water_pct=level))
    figures = day(*reports)
    assert sum(hour.fixes for hour in figures.hours) == figures.fixes
    for name in ("driven_m", "working_m", "working_s"):
        total = sum(getattr(hour, name) for hour in figures.hours)
        assert total == pytest.approx(getattr(figures, name), abs=0.02)
    assert 0.0 <= figures.working_m <= figures.driven_m
    assert all((hour.water_used_pct or 0.0) >= 0.0 for hour in figures.hours)
