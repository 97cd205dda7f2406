"""Moments on the district's wall clock, also where it is put back and forward."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from reports import shown
from reports.columns import COLUMNS
from tests.unit.reports import samples

NEW_YORK = "America/New_York"
# Summer time ended in New York on 2026-11-01 at 06:00 UTC and began on 2026-03-08 at 07:00 UTC.
ENDED = datetime(2026, 11, 1, 6, tzinfo=UTC)


def test_the_hour_that_a_25_hour_day_has_twice_is_told_apart() -> None:
    before, after = ENDED - timedelta(minutes=30), ENDED + timedelta(minutes=30)
    day = date(2026, 11, 1)
    assert shown.clock(before, NEW_YORK, day) == "01:30 (UTC-4)"
    assert shown.clock(after, NEW_YORK, day) == "01:30 (UTC-5)"
    assert shown.clock(ENDED + timedelta(hours=1), NEW_YORK, day) == "02:00"
    assert shown.instant(before, NEW_YORK) == "2026-11-01 01:30:00 (UTC-4)"


def test_the_hour_that_a_23_hour_day_lacks_is_not_shown() -> None:
    began = datetime(2026, 3, 8, 7, tzinfo=UTC)
    day = date(2026, 3, 8)
    assert shown.clock(began - timedelta(minutes=1), NEW_YORK, day) == "01:59"
    assert shown.clock(began, NEW_YORK, day) == "03:00"


def test_a_time_after_midnight_of_a_day_that_began_before_it_has_its_date() -> None:
    moment = datetime(2026, 3, 1, 17, 12, tzinfo=UTC)
    assert shown.clock(moment, "Asia/Shanghai", date(2026, 3, 1)) == "03-02 01:12"
    assert shown.clock(moment, "Asia/Shanghai", None) == "03-02 01:12"
    assert shown.clock(moment, "Asia/Shanghai", date(2026, 3, 2)) == "01:12"


def test_times_of_a_row_are_those_of_its_service_day() -> None:
    document = replace(samples.per_day(2), timezone=NEW_YORK)
    moments = (ENDED - timedelta(minutes=30), ENDED + timedelta(minutes=30))
    text = shown.cell(moments, COLUMNS["cleaned_at"], document, date(2026, 11, 1))
    assert text == "01:30 (UTC-4)  01:30 (UTC-5)"


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0.0 %"), (0.0001, "0.1 %"), (0.5, "50.0 %"), (0.99999, "99.9 %"), (1.0, "100.0 %")],
)
def test_a_share_is_shown_as_all_or_none_only_where_it_is(share: float, text: str) -> None:
    assert shown.cell(share, COLUMNS["coverage"], samples.per_day(1)) == text


def test_control_characters_are_not_shown() -> None:
    assert shown.plain("a\tb\r\nc\x00\u202ed\ud800") == "a b c d"


def test_words_of_a_verdict_are_in_the_reports_language() -> None:
    column = COLUMNS["verdict"]
    assert shown.cell("no data", column, samples.per_day(1, language="zh")) == "无数据"
    assert shown.cell("no data", column, samples.per_day(1, language="en")) == "no data"


def test_half_hours_of_an_offset_are_shown() -> None:
    assert shown.instant(ENDED, "Asia/Kolkata", always=True) == "2026-11-01 11:30:00 (UTC+5:30)"
    assert shown.instant(ENDED, "America/St_Johns", always=True).endswith("(UTC-3:30)")
