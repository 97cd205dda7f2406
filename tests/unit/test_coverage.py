"""Coverage against a count of every millimetre, and the allowance for short gaps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.coverage import Allowance, held_mm
from processing.depth import COUNTS, Depth, depth
from processing.rules import Rules
from processing.sweep import Piece
from tests.unit.slow_count import (
    GAP_US,
    LENGTH_MM,
    START_US,
    TINY,
    Pieces,
    array,
    slow_counted,
    slow_held,
    sweeps,
)


def counted_of(pieces: Pieces, length_mm: int, gap_us: int, since_us: int, *, closed: bool) -> Depth:
    """The depth of pieces of a pass each."""
    whose = np.arange(len(pieces))
    return depth(pieces, whose, np.full(len(pieces), COUNTS), length_mm, gap_us, since_us, closed)


@settings(max_examples=150, deadline=None)
@given(
    pieces=st.lists(sweeps(reach_mm=50), max_size=9),
    k=st.integers(1, 3),
    until_us=st.integers(START_US, START_US + 200) | st.none(),
    closed=st.booleans(),
)
def test_what_is_held_is_what_counting_every_millimetre_gives(
    pieces: list[Piece], k: int, until_us: int | None, *, closed: bool
) -> None:
    fast = counted_of(array(pieces), LENGTH_MM, GAP_US, START_US - GAP_US, closed=closed)
    slow = slow_counted(pieces, [], closed=closed)
    allowance = Allowance.of(TINY, LENGTH_MM)
    expected = slow_held(slow, k, math.inf if until_us is None else until_us, closed=closed)
    until = {} if until_us is None else {"until_us": until_us}
    assert held_mm(fast, k, allowance, closed=closed, **until) == expected


@settings(max_examples=100, deadline=None)
@given(pieces=st.lists(sweeps(), max_size=9), closed=st.booleans())
def test_no_more_is_held_of_a_higher_depth_or_until_an_earlier_moment(
    pieces: list[Piece], *, closed: bool
) -> None:
    counted = counted_of(array(pieces), LENGTH_MM, GAP_US, START_US - GAP_US, closed=closed)
    allowance = Allowance.of(TINY, LENGTH_MM)
    by_depth = [held_mm(counted, k, allowance, closed=closed) for k in (1, 2, 3)]
    assert by_depth == sorted(by_depth, reverse=True)
    until = range(START_US, START_US + 200, 5)
    by_time = [held_mm(counted, 1, allowance, closed=closed, until_us=us) for us in until]
    assert by_time == sorted(by_time)


def test_what_may_be_closed_is_rounded_down_and_what_is_needed_up() -> None:
    assert Allowance.of(Rules(), 99_999) == Allowance(10_000, 9_999, 90_000)
    assert Allowance.of(Rules(), 100_000) == Allowance(10_000, 10_000, 90_000)


@pytest.mark.parametrize(
    ("stretches", "expected_mm"),
    [
        ([], 0),
        ([(5, 50), (55, 100)], 100_000),  # 5 m at the end and 5 m between
        ([(0, 89)], 89_000),  # 11 m is no short gap
        ([(6, 94)], 94_000),  # one of the two 6 m, both would be more than a tenth
        ([(0, 60), (71, 91)], 89_000),  # 9 m closed, 11 m not
        ([(0, 60), (65, 66), (71, 91)], 91_000),  # two of 5 m go before the one of 9 m
    ],
)
def test_short_gaps_are_closed_up_to_a_tenth_of_the_length(
    stretches: list[tuple[int, int]], expected_mm: int
) -> None:
    pieces = np.array([(a * 1000, b * 1000, 0, 0) for a, b in stretches], dtype=np.int64).reshape(-1, 4)
    counted = counted_of(pieces, 100_000, 1, -1, closed=False)
    assert held_mm(counted, 1, Allowance.of(Rules(), 100_000), closed=False) == expected_mm


def test_on_a_closed_street_a_gap_runs_across_the_start() -> None:
    counted = counted_of(np.array([[6_000, 94_000, 0, 0]]), 100_000, 1, -1, closed=True)
    assert held_mm(counted, 1, Allowance.of(Rules(), 100_000), closed=True) == 88_000
