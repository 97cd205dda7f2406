"""Depth: at how many moments, each more than 30 minutes after the one counted before, a measure was swept.

The street is cut at the ends of all swept pieces, so that between two cuts every piece covers all or nothing,
and moments are compared at the middle of each cut. A piece's moment there is linear in the measure, rounded
down to the microsecond. All arithmetic is in whole numbers and pieces are put in one canonical order first:
no order or grouping of passes, and no machine, changes a figure. What the day before swept last counts as
just swept: it is the moment that the first one of the day must be later than.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.sweep import Pass, Piece

#: (n, 4): from_mm, to_mm, from_us, to_us of pieces.
Pieces = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Depth:
    """The counted sweeps between cuts.

    `cuts_mm` is (m + 1,) and ascends from 0 to the length; `counted` is (m, k): the row in `pieces` of the
    1st, 2nd ... k-th counted sweep of each cut, -1 where there is none.
    """

    cuts_mm: NDArray[np.int64]
    pieces: Pieces
    counted: NDArray[np.int32]

    @property
    def depth(self) -> NDArray[np.int64]:
        """The depth of each cut."""
        depths: NDArray[np.int64] = (self.counted >= 0).sum(axis=1, dtype=np.int64)
        return depths


def swept_pieces(passes: Iterable[Pass]) -> Pieces:
    """The pieces that passes swept."""
    return _array(chain.from_iterable(one.swept for one in passes))


def unobserved_pieces(passes: Iterable[Pass]) -> Pieces:
    """What passes drove with unknown equipment, as if it had been swept."""
    return _array(chain.from_iterable(one.unobserved for one in passes))


def _array(pieces: Iterable[Piece]) -> Pieces:
    return np.fromiter(chain.from_iterable(pieces), dtype=np.int64).reshape(-1, 4)


def depth(
    today: Pieces, before: Pieces, length_mm: int, gap_us: int, since_us: int, *, closed: bool
) -> Depth:
    """The counted sweeps of a day on a street (or one side of it).

    `before` are pieces of passes that start earlier; what they swept within `gap_us` from `since_us` on, the
    last moments before, counts as just swept, and pieces that lie outside of that time cut nothing. On a closed
    street measures count modulo its length.
    """
    before = before[(before[:, 2] < since_us + gap_us) & (before[:, 3] >= since_us)]
    pieces = np.concatenate([today, before])
    counts = np.arange(len(pieces)) < len(today)
    if closed:
        pieces, counts = _wrapped(pieces, counts, length_mm)
    ends = np.clip(pieces[:, :2], 0, length_mm)
    some = np.flatnonzero(ends[:, 0] != ends[:, 1])
    order = some[np.lexsort((counts[some], *pieces[some].T[::-1]))]
    pieces = pieces[order]
    cuts = np.unique(np.append(ends[order], (0, length_mm)))
    return Depth(cuts, pieces, _count(cuts, pieces, counts[order], gap_us, since_us))


def _wrapped(pieces: Pieces, counts: NDArray[np.bool_], length_mm: int) -> tuple[Pieces, NDArray[np.bool_]]:
    """Pieces that run over the start of a closed street, once for each round that they touch."""
    low, high = pieces[:, :2].min(axis=1), pieces[:, :2].max(axis=1)
    if not len(pieces) or (low.min() >= 0 and high.max() <= length_mm):
        return pieces, counts
    rounds = range(int(low.min()) // length_mm, int(high.max()) // length_mm + 1)
    shifted = [pieces - np.array([n * length_mm, n * length_mm, 0, 0]) for n in rounds]
    return np.concatenate(shifted), np.tile(counts, len(rounds))


@njit(cache=True, nogil=True)
def _count(
    cuts: NDArray[np.int64],
    pieces: NDArray[np.int64],
    counts: NDArray[np.bool_],
    gap_us: int,
    since_us: int,
) -> NDArray[np.int32]:
    cells, length_mm = len(cuts) - 1, cuts[-1]
    first = np.empty(len(pieces), np.int64)
    last = np.empty(len(pieces), np.int64)
    start = np.zeros(cells + 1, np.int64)
    for p in range(len(pieces)):
        low, high = min(pieces[p, 0], pieces[p, 1]), max(pieces[p, 0], pieces[p, 1])
        first[p] = np.searchsorted(cuts, max(low, 0))
        last[p] = np.searchsorted(cuts, min(high, length_mm))
        start[first[p] + 1 : last[p] + 1] += 1
    start = np.cumsum(start)
    width = 0
    if cells > 0:
        width = np.max(start[1:] - start[:-1])
    moments = np.empty(start[-1], np.int64)
    rows = np.empty(start[-1], np.int32)
    filled = start[:-1].copy()
    for p in range(len(pieces)):
        from_mm, run_mm = pieces[p, 0], pieces[p, 1] - pieces[p, 0]
        from_us, run_us = pieces[p, 2], pieces[p, 3] - pieces[p, 2]
        for cell in range(first[p], last[p]):
            moment = from_us + run_us * (cuts[cell] + cuts[cell + 1] - 2 * from_mm) // (2 * run_mm)
            at = filled[cell]
            while at > start[cell] and moments[at - 1] > moment:
                moments[at], rows[at] = moments[at - 1], rows[at - 1]
                at -= 1
            moments[at], rows[at] = moment, p
            filled[cell] += 1
    counted = np.full((cells, width), -1, np.int32)
    for cell in range(cells):
        just_us, some, n = 0, False, 0
        for at in range(start[cell], start[cell + 1]):
            if not counts[rows[at]] and since_us <= moments[at] < since_us + gap_us:
                just_us, some = moments[at], True
        for at in range(start[cell], start[cell + 1]):
            if counts[rows[at]] and (not some or moments[at] - just_us > gap_us):
                counted[cell, n] = rows[at]
                just_us, some, n = moments[at], True, n + 1
    return counted
