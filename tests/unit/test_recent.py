"""The cache of what was computed, and positions after a batch: pure parts of the loop."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from processing.rules import Rules
from processing.service_day import US, day_start_us
from processing.sweep import Pass, Piece
from streams.checkpoint import next_offsets
from streams.days import Days
from streams.log import Envelope, Record
from streams.recent import Bounded

ZONE = "Asia/Shanghai"


@dataclass
class Block:
    """Something of a size."""

    nbytes: int


def test_what_was_not_used_for_longest_goes_first_when_it_is_too_much() -> None:
    kept: Bounded[str, Block] = Bounded(100)
    kept.put("a", Block(40))
    kept.put("b", Block(40))
    a = kept.pop("a")
    assert a is not None
    kept.put("a", a)
    kept.put("c", Block(40))
    assert kept.pop("b") is None
    assert kept.nbytes == 80
    assert kept.pop("a") is not None
    assert kept.nbytes == 40
    kept.clear()
    assert kept.pop("c") is None
    assert kept.nbytes == 0


def test_what_alone_is_too_much_is_not_kept() -> None:
    kept: Bounded[str, Block] = Bounded(100)
    kept.put("a", Block(101))
    assert kept.pop("a") is None
    assert kept.nbytes == 0


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
