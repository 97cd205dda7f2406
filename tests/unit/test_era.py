from __future__ import annotations

from datetime import date

import pytest

from processing.era import OutOfEra, checked_day, checked_us

US = 1_000_000


@pytest.mark.parametrize("day", [date(2000, 1, 1), date(2024, 5, 1), date(2100, 1, 1)])
def test_days_that_can_be_meant_pass(day: date) -> None:
    assert checked_day(day) == day


@pytest.mark.parametrize("day", [date.min, date(1999, 12, 31), date(2100, 1, 2), date.max])
def test_other_days_are_refused_with_what_to_do(day: date) -> None:
    with pytest.raises(OutOfEra, match="dates go from 2000-01-01 to 2100-01-01"):
        checked_day(day)


@pytest.mark.parametrize(
    ("moment_us", "told"),
    [
        (0, "in the year 1970; dates go"),
        (-(10**17), "outside of any"),
        (10**30, "outside of any calendar"),
        (-(10**30), "outside of any calendar"),
        (1_714_514_400 * 1_000, "these may be seconds; write milliseconds"),
        (5_000_000_000 * US, "in the year 2128"),
    ],
)
def test_moments_that_cannot_be_meant_are_refused_with_what_to_do(moment_us: int, told: str) -> None:
    with pytest.raises(OutOfEra, match=told):
        checked_us(moment_us)


def test_a_moment_of_this_century_passes() -> None:
    assert checked_us(1_714_514_400 * US) == 1_714_514_400 * US
