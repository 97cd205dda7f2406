"""The cache of reports, and positions after a batch: pure parts of the loop."""

from __future__ import annotations

from datetime import date

from processing.fix import Kind, Report, ReportColumns
from processing.rules import Rules
from processing.service_day import US, day_start_us
from processing.sweep import Pass, Piece
from streams.checkpoint import next_offsets
from streams.log import Envelope, Record
from streams.recent import Recent
from streams.restate import Days

ZONE = "Asia/Shanghai"


def columns(*moments_us: int) -> ReportColumns:
    return ReportColumns.of(Report("u", Kind.FIX, moment, 0, 1.0, 2.0) for moment in moments_us)


def test_an_entry_answers_only_for_what_it_is_complete() -> None:
    recent = Recent()
    recent.put("u", 10, columns(10, 20, 30))
    held = recent.get("u", 20)
    assert held is not None
    assert held.fix_time_us.tolist() == [20, 30]
    assert recent.get("u", 9) is None
    assert recent.get("other", 20) is None


def test_none_and_too_many_rows_forget_the_unit() -> None:
    recent = Recent(rows_max=2)
    recent.put("u", 0, columns(1, 2))
    recent.put("u", 0, columns(1, 2, 3))
    assert recent.get("u", 0) is None
    recent.put("u", 0, columns(1))
    recent.put("u", 0, None)
    assert recent.get("u", 0) is None


def test_the_unit_that_was_not_used_for_longest_goes_first() -> None:
    recent = Recent(units_max=2)
    recent.put("a", 0, columns(1))
    recent.put("b", 0, columns(1))
    recent.get("a", 0)
    recent.put("c", 0, columns(1))
    assert recent.get("b", 0) is None
    assert recent.get("a", 0) is not None
    recent.clear()
    assert recent.get("a", 0) is None


def test_the_next_offset_is_after_the_last_record_of_each_partition() -> None:
    envelope = Envelope("u", "t", b"", 0)
    records = [Record(0, 4, envelope), Record(2, 9, envelope), Record(0, 5, envelope)]
    assert next_offsets(records) == {0: 6, 2: 10}
    assert next_offsets([]) == {}


def test_a_pass_that_sweeps_in_the_last_half_hour_of_its_day_touches_the_next_day_too() -> None:
    days = Days(Rules())
    day, following = date(2024, 5, 1), date(2024, 5, 2)
    midnight_us = day_start_us(following, 0, ZONE)

    def of(until_us: int) -> list[date]:
        swept = (Piece(0, 1000, until_us - US, until_us),)
        enter_us = midnight_us - 3_600 * US
        return days.of_pass(Pass("u", 0, 0, "a", "sweeping", 1, enter_us, until_us, 0, 1000, swept))

    assert of(midnight_us - 1_801 * US) == [day]
    assert of(midnight_us - 1_800 * US) == [day, following]
    assert of(midnight_us + 60 * US) == [day, following]
