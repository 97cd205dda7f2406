"""Depth against a count of every millimetre, and by hand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.depth import BEFORE, COUNTS, Depth, depth
from processing.sweep import Piece
from tests.unit.slow_count import GAP_US, LENGTH_MM, START_US, array, slow_counted, sweeps

TODAYS = st.lists(sweeps(reach_mm=50), max_size=9)
BEFORES = st.lists(sweeps(first_us=-60, last_us=10, reach_mm=50), max_size=3)


def count(today: Sequence[Piece], before: Sequence[Piece], *, closed: bool = False) -> Depth:
    """Pieces of a pass each."""
    return of_passes([[one] for one in today], [[one] for one in before], closed=closed)


def of_passes(
    today: Sequence[Sequence[Piece]], before: Sequence[Sequence[Piece]], *, closed: bool = False
) -> Depth:
    passes = [*today, *before]
    whose = np.repeat(np.arange(len(passes)), np.array([len(one) for one in passes], dtype=np.int64))
    roles = np.repeat([COUNTS, BEFORE], [len(today), len(before)])
    pieces = array([piece for one in passes for piece in one])
    return depth(pieces, whose, roles, LENGTH_MM, GAP_US, START_US - GAP_US, closed)


def each_mm(found: Depth) -> list[list[Piece]]:
    """The pieces of the counted sweeps of each millimetre."""
    out = []
    for mm, row in enumerate(np.repeat(found.counted, np.diff(found.cuts_mm), axis=0)):
        sweeps = [found.pieces[slice(*found.sweeps[sweep])].tolist() for sweep in row if sweep >= 0]
        out.append(
            [
                Piece(*piece)
                for pieces in sweeps
                for piece in pieces
                if min(piece[:2]) <= mm and mm + 1 <= max(piece[:2])
            ]
        )
    return out


@settings(max_examples=150, deadline=None)
@given(today=TODAYS, before=BEFORES, closed=st.booleans())
def test_the_counted_sweeps_are_those_of_every_millimetre(
    today: list[Piece], before: list[Piece], *, closed: bool
) -> None:
    assert each_mm(count(today, before, closed=closed)) == slow_counted(today, before, closed=closed)


@st.composite
def drives(draw: st.DrawFn, first_us: int = 0) -> list[Piece]:
    """A pass of many pieces, most of which go on where the last one ended, some later and some further on."""
    ahead = draw(st.sampled_from([1, -1]))
    at_mm = draw(st.integers(-20, LENGTH_MM + 20))
    at_us = START_US + draw(st.integers(first_us, 200))
    pieces = []
    for _ in range(draw(st.integers(1, 12))):
        run_mm, run_us = draw(st.integers(1, 12)), draw(st.integers(0, 12))
        pieces.append(Piece(at_mm, at_mm + ahead * run_mm, at_us, at_us + run_us))
        at_mm += ahead * (run_mm + draw(st.sampled_from([0, 0, 0, 3])))
        at_us += run_us + draw(st.sampled_from([0, 0, 0, 5, 40]))
    return pieces


@settings(max_examples=300, deadline=None)
@given(
    today=st.lists(drives(), max_size=6),
    before=st.lists(drives(first_us=-80), max_size=2),
    closed=st.booleans(),
)
def test_pieces_that_go_on_count_as_each_of_them_would(
    today: list[list[Piece]], before: list[list[Piece]], *, closed: bool
) -> None:
    slow = slow_counted([*chain(*today)], [*chain(*before)], closed=closed)
    assert each_mm(of_passes(today, before, closed=closed)) == slow


def test_a_stretch_is_cut_no_finer_than_doubt_asks_for() -> None:
    def drive(from_us: int) -> list[Piece]:
        return [Piece(mm, mm + 1, from_us + mm, from_us + mm + 1) for mm in range(LENGTH_MM)]

    # Far apart, or one right behind the other: one stretch. Nearly the gap apart: as many as it takes.
    assert of_passes([drive(START_US), drive(START_US + 200)], []).cuts_mm.tolist() == [0, LENGTH_MM]
    slower = [Piece(mm, mm + 1, START_US + 25 + 2 * mm, START_US + 27 + 2 * mm) for mm in range(LENGTH_MM)]
    doubtful = of_passes([drive(START_US), slower], [])
    assert 2 < len(doubtful.cuts_mm) < LENGTH_MM
    assert depths(doubtful) == [1, 2]


def depths(found: Depth) -> list[int]:
    """The depths in the order of the street, each once."""
    each = (found.counted >= 0).sum(axis=1).tolist()
    return [n for i, n in enumerate(each) if i == 0 or each[i - 1] != n]


def test_a_sweep_counts_only_when_it_is_more_than_the_gap_later() -> None:
    def at(us: int) -> Piece:
        return Piece(0, LENGTH_MM, START_US + us, START_US + us)

    assert depths(count([at(0), at(GAP_US)], [])) == [1]
    assert depths(count([at(0), at(GAP_US + 1)], [])) == [2]
    assert depths(count([at(0)], [at(-GAP_US)])) == [0]
    assert depths(count([at(0)], [at(-GAP_US - 1)])) == [1]


def test_the_street_is_cut_where_sweeps_end_and_compared_at_the_middle() -> None:
    there = Piece(0, 20, START_US, START_US + 20)
    back = Piece(20, 0, START_US + 20, START_US + 60)  # at 10 mm: 30 us later, not more
    assert count([there, back], []).cuts_mm.tolist() == [0, 20, LENGTH_MM]
    assert depths(count([there, back], [])) == [1, 0]
    assert depths(count([there, back, Piece(0, 8, START_US, START_US)], [])) == [2, 1, 0]


def test_without_a_sweep_nothing_is_counted() -> None:
    assert depths(count([], [])) == [0]
