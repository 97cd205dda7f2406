"""Where tracks begin, and what is known of the working state."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from processing.district import UnitProfile
from processing.fix import OFF, ON, UNKNOWN, Kind, Report, ReportColumns
from processing.rules import Rules
from processing.track import track_bounds, working_states
from tests.unit.town import T0_US

S = 1_000_000


def starts(moments_s: list[float], x_m: list[float], rules: Rules | None = None) -> list[int]:
    time_us = np.array([round(t * S) for t in moments_s])
    x = np.array(x_m, dtype=float)
    return [int(low) for low, _ in track_bounds(time_us, x, np.zeros(len(x)), rules or Rules())]


def test_ten_minutes_of_silence_are_one_track_and_a_second_more_makes_two() -> None:
    assert starts([0, 600], [0, 100]) == [0]
    assert starts([0, 601], [0, 100]) == [0, 1]


def test_a_stay_of_ten_minutes_within_25_m_ends_the_track() -> None:
    moments = [0.0, *range(60, 1260, 60)]
    x = [0.0] + [100.0 + i % 3 for i in range(19)] + [300.0]
    assert starts(moments, x) == [0, 11]


def test_a_track_ends_after_a_day() -> None:
    moments = [float(t) for t in range(0, 86_400 + 600, 300)]
    assert len(starts(moments, [50.0 * i for i in range(len(moments))])) == 2


@given(
    st.lists(st.tuples(st.floats(1, 900), st.floats(-60, 60)), min_size=1, max_size=60), st.integers(1, 59)
)
def test_a_start_depends_on_nothing_after_it(steps: list[tuple[float, float]], cut: int) -> None:
    moments = np.cumsum([dt for dt, _ in steps]).tolist()
    x = np.cumsum([dx for _, dx in steps]).tolist()
    whole = starts(moments, x)
    assert starts(moments[:cut], x[:cut]) == [i for i in whole if i < cut]


def columns(*reports: Report) -> ReportColumns:
    return ReportColumns.of(reports)


def fix(at_s: int, **told: bool | None) -> Report:
    return Report("S1", Kind.FIX, T0_US + at_s * S, T0_US, 122.27, 40.67, **told)  # type: ignore[arg-type]


def status(at_s: int, **told: bool | None) -> Report:
    return Report("S1", Kind.EQUIPMENT, T0_US + at_s * S, T0_US, **told)  # type: ignore[arg-type]


SWEEPER = UnitProfile("sweeper", working_when=("brush", "fan"))


def test_all_that_the_profile_names_must_be_on_and_any_off_means_off() -> None:
    rows = columns(
        fix(0, brush=True, fan=True), fix(1, brush=True), fix(2, brush=False), fix(3, brush=True, fan=False)
    )
    assert working_states(rows, SWEEPER, Rules())[1].tolist() == [ON, UNKNOWN, OFF, OFF]


def test_a_status_holds_until_the_next_or_until_it_is_too_old() -> None:
    rows = columns(
        status(0, brush=True, fan=True), fix(10), fix(900), fix(901), status(902, brush=None), fix(903)
    )
    assert working_states(rows, SWEEPER, Rules())[1].tolist() == [ON, ON, ON, UNKNOWN, UNKNOWN, UNKNOWN]


def test_what_a_fix_says_itself_comes_before_a_held_status() -> None:
    rows = columns(status(0, brush=True, fan=True), fix(10, brush=False), fix(20, working=True))
    assert working_states(rows, SWEEPER, Rules())[1].tolist() == [ON, OFF, ON]


def test_speed_alone_tells_for_a_profile_that_names_no_equipment() -> None:
    badge = UnitProfile("badge", "by_hand", ())
    assert working_states(columns(fix(0), fix(1)), badge, Rules())[1].tolist() == [ON, ON]
