"""The five words, their order, and what a gap is long enough for."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.district import Street
from processing.frequency import StreetDay
from processing.linear_reference import Reference
from processing.service_day import US
from processing.verdict import Gap, Verdict, verdict

STREET = Street("s", "Alley", (((0.0, 0.0), (1.0, 0.0)),), required=2)
XY = np.array([[0.0, 0.0], [100.0, 0.0]])
LINE = Reference("s", 100_000, closed=False, xy=XY, along_m=XY[:, 0])
NOTHING = StreetDay("s", date(2024, 5, 1), "sweeping", 0, 0, 0, 0, 100_000, (), 0, 0, 180_000)
#: Seen 100 m beside the street, then 100 m beyond its end; 36 km/h is 10 m/s, 18 km/h is 5 m/s.
GAP = Gap("u1", 0, 0, (50.0, 100.0), (200.0, 0.0), 36.0, 18.0)


def gap(duration_s: float, **changes: object) -> Gap:
    return replace(GAP, to_us=round(duration_s * US), **changes)  # type: ignore[arg-type]


def test_a_street_that_is_certainly_swept_is_swept_whatever_the_gaps() -> None:
    figures = replace(NOTHING, frequency=2, frequency_certain=2, swept_mm=100_000)
    assert verdict(STREET, LINE, figures, [gap(10_000)]) is Verdict.SWEPT


def test_ambiguous_comes_before_no_data() -> None:
    figures = replace(NOTHING, frequency=2, frequency_certain=1, swept_mm=100_000)
    assert verdict(STREET, LINE, figures, [gap(10_000)]) is Verdict.AMBIGUOUS


def test_unobserved_metres_that_would_do_are_no_data() -> None:
    figures = replace(NOTHING, frequency=1, frequency_certain=1, frequency_if_observed=2, swept_mm=100_000)
    assert verdict(STREET, LINE, figures, []) is Verdict.NO_DATA


def test_a_short_street_is_partial_or_not_swept() -> None:
    assert verdict(STREET, LINE, replace(NOTHING, swept_mm=1), []) is Verdict.PARTIAL
    assert verdict(STREET, LINE, NOTHING, []) is Verdict.NOT_SWEPT
    assert verdict(STREET, LINE, None, []) is Verdict.NOT_SWEPT


def test_a_gap_must_be_long_enough_to_come_work_and_go() -> None:
    # 100 m there and 100 m on at 10 m/s, twice 90 m at 5 m/s.
    assert verdict(STREET, LINE, None, [gap(55.9)]) is Verdict.NOT_SWEPT
    assert verdict(STREET, LINE, None, [gap(56)]) is Verdict.NO_DATA


def test_what_is_swept_already_is_not_missing() -> None:
    half = replace(NOTHING, swept_mm=40_000, missing_mm=140_000)
    assert verdict(STREET, LINE, half, [gap(47.9)]) is Verdict.PARTIAL
    assert verdict(STREET, LINE, half, [gap(48)]) is Verdict.NO_DATA
    once = replace(NOTHING, frequency=1, frequency_certain=1, swept_mm=100_000, missing_mm=90_000)
    assert verdict(STREET, LINE, once, [gap(38)]) is Verdict.NO_DATA
    assert verdict(STREET, LINE, once, [gap(37.9)]) is Verdict.PARTIAL


def test_a_unit_that_was_not_seen_may_have_been_at_the_street() -> None:
    assert verdict(STREET, LINE, None, [gap(46, from_xy=None)]) is Verdict.NO_DATA
    assert verdict(STREET, LINE, None, [gap(36, from_xy=None, to_xy=None)]) is Verdict.NO_DATA
    assert verdict(STREET, LINE, None, [gap(35.9, from_xy=None, to_xy=None)]) is Verdict.NOT_SWEPT


def test_two_sides_are_twice_the_work() -> None:
    both = replace(STREET, sides=2)
    assert verdict(both, LINE, None, [gap(91.9)]) is Verdict.NOT_SWEPT
    assert verdict(both, LINE, None, [gap(92)]) is Verdict.NO_DATA
    assert verdict(replace(both, oneway=True), LINE, None, [gap(56)]) is Verdict.NO_DATA


@pytest.mark.parametrize("speeds", [{"top_speed_kmh": 0.0}, {"work_kmh_max": 0.0}])
def test_a_unit_without_a_speed_reaches_nothing(speeds: dict[str, float]) -> None:
    assert verdict(STREET, LINE, None, [gap(10_000, **speeds)]) is Verdict.NOT_SWEPT


@given(st.floats(0, 500), st.integers(0, 2), st.integers(0, 100_000))
def test_a_longer_gap_never_takes_the_benefit_of_the_doubt_away(
    duration_s: float, frequency: int, swept_mm: int
) -> None:
    figures = replace(NOTHING, frequency=frequency, frequency_certain=0, swept_mm=swept_mm)
    if verdict(STREET, LINE, figures, [gap(duration_s)]) is Verdict.NO_DATA:
        assert verdict(STREET, LINE, figures, [gap(duration_s + 1)]) is Verdict.NO_DATA
