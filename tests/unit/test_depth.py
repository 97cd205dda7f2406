"""Depth against a count of every millimetre, and by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.depth import Depth, depth, swept_pieces, unobserved_pieces
from processing.sweep import Piece
from tests.unit.slow_count import GAP_US, LENGTH_MM, START_US, array, slow_counted, sweeps

TODAY = st.lists(sweeps(reach_mm=50), max_size=9)
BEFORE = st.lists(sweeps(first_us=-60, last_us=10, reach_mm=50), max_size=3)


def count(today: list[Piece], before: list[Piece], *, closed: bool = False) -> Depth:
    since_us = START_US - GAP_US
    return depth(array(today), array(before), LENGTH_MM, GAP_US, since_us, closed=closed)


@settings(max_examples=150, deadline=None)
@given(today=TODAY, before=BEFORE, closed=st.booleans())
def test_the_counted_sweeps_are_those_of_every_millimetre(
    today: list[Piece], before: list[Piece], *, closed: bool
) -> None:
    fast = count(today, before, closed=closed)
    slow = slow_counted(today, before, closed=closed)
    counted = [
        [Piece(*map(int, fast.pieces[row])) for row in cell if row >= 0]
        for cell in np.repeat(fast.counted, np.diff(fast.cuts_mm), axis=0)
    ]
    assert counted == slow
    assert np.repeat(fast.depth, np.diff(fast.cuts_mm)).tolist() == [len(here) for here in slow]


def test_a_sweep_counts_only_when_it_is_more_than_the_gap_later() -> None:
    def at(us: int) -> Piece:
        return Piece(0, LENGTH_MM, START_US + us, START_US + us)

    assert count([at(0), at(GAP_US)], []).depth.tolist() == [1]
    assert count([at(0), at(GAP_US + 1)], []).depth.tolist() == [2]
    assert count([at(0)], [at(-GAP_US)]).depth.tolist() == [0]
    assert count([at(0)], [at(-GAP_US - 1)]).depth.tolist() == [1]


def test_the_street_is_cut_where_sweeps_end_and_compared_at_the_middle() -> None:
    there = Piece(0, 20, START_US, START_US + 20)
    back = Piece(20, 0, START_US + 20, START_US + 60)  # at 10 mm: 30 us later, not more
    assert count([there, back], []).cuts_mm.tolist() == [0, 20, LENGTH_MM]
    assert count([there, back], []).depth.tolist() == [1, 0]
    assert count([there, back, Piece(0, 8, START_US, START_US)], []).depth.tolist() == [2, 1, 0]


def test_no_passes_have_no_pieces() -> None:
    assert swept_pieces([]).shape == unobserved_pieces([]).shape == (0, 4)
    assert count([], []).depth.tolist() == [0]
