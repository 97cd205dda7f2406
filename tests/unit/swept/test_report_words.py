from __future__ import annotations

from datetime import date
from typing import get_args

import pytest

from storage.excuses import KINDS, Excuse, beside
from storage.queries.figures import BY, EACH
from swept import excuse, report
from swept.report_tables import bucket_name, duration


def test_the_command_line_knows_the_words_that_the_store_knows() -> None:
    assert get_args(report.Each) == EACH
    assert get_args(report.By) == BY
    assert get_args(excuse.Kind) == KINDS


@pytest.mark.parametrize(
    ("first", "each", "name"),
    [
        (date(2026, 12, 28), "week", "2026-W53"),
        (date(2027, 1, 1), "week", "2026-W53"),  # a week that is cut at the period's start keeps its name
        (date(2024, 12, 30), "week", "2025-W01"),
        (date(2024, 2, 29), "month", "2024-02"),
        (date(2024, 2, 29), "day", "2024-02-29"),
    ],
)
def test_a_stretch_of_time_is_named_by_its_first_day(first: date, each: str, name: str) -> None:
    assert bucket_name(first, each) == name


def test_a_long_time_is_told_in_days() -> None:
    assert [duration(hours) for hours in (None, 0.25, 47.4, 48.0, 73.6)] == [
        "",
        "0.2 h",
        "47.4 h",
        "2 d 0 h",
        "3 d 2 h",
    ]


def test_excuses_stand_beside_each_of_their_days_in_the_period_and_a_kind_is_told_once() -> None:
    def excused(number: int, first: int, last: int, kind: str) -> Excuse:
        days = date(2026, 6, first), date(2026, 6, last)
        return Excuse(number, "a", *days, kind, "why", "who", 0, None, None)

    found = [excused(1, 1, 3, "road works"), excused(2, 3, 9, "rain"), excused(3, 3, 3, "road works")]
    assert beside(found, date(2026, 6, 2), date(2026, 6, 4)) == {
        ("a", date(2026, 6, 2)): "road works",
        ("a", date(2026, 6, 3)): "road works, rain",
        ("a", date(2026, 6, 4)): "rain",
    }
