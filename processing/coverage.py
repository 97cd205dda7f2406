"""Coverage: how much of a street S_k holds, the measures that were swept at least k times.

Gaps of up to 10 m are closed whole, shortest first, as long as all that is closed is at most 10 % of the
length. Where nothing was swept, nothing is closed. On a closed street a gap runs across measure 0.

One sweep more lowers nothing, but for one corner that the bound of 10 % has: a sweep in the middle of a
long gap may leave two short ones, which are closed before a longer short one that then finds no room.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.depth import Depth
from processing.rules import Rules

#: Later than any moment: all of the day.
ALL_DAY_US = np.iinfo(np.int64).max
_PARTS = 1_000_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may be closed, and how much S_k must hold for a cleaning, on a street of a length."""

    gap_mm: int
    closed_mm_max: int
    needed_mm: int

    @classmethod
    def of(cls, rules: Rules, length_mm: int) -> Allowance:
        """In whole millimetres: what may be closed is rounded down, what is needed up."""
        return cls(
            gap_mm=round(rules.close_gap_m * 1000),
            closed_mm_max=round(rules.close_share_max * _PARTS) * length_mm // _PARTS,
            needed_mm=-(-round(rules.coverage_share * _PARTS) * length_mm // _PARTS),
        )


def held_mm(depth: Depth, k: int, allowance: Allowance, *, closed: bool, until_us: int = ALL_DAY_US) -> int:
    """The length of S_k in millimetres, of what was swept up to a moment."""
    if k > depth.counted.shape[1]:
        return 0
    kth = np.ascontiguousarray(depth.counted[:, k - 1])
    limits = (allowance.gap_mm, allowance.closed_mm_max)
    return int(held(depth.cuts_mm, depth.pieces, kth, until_us, *limits, closed))


@njit(cache=True, nogil=True)
def held(
    cuts: NDArray[np.int64],
    pieces: NDArray[np.int64],
    kth: NDArray[np.int32],
    until_us: int,
    gap_mm: int,
    closed_mm_max: int,
    closed: bool,  # noqa: FBT001 - a kernel takes positions only
) -> int:
    """`held_mm` for the rows in `pieces` of each cut's k-th counted sweep."""
    gaps_mm = np.empty(len(kth) + 2, dtype=np.int64)
    swept_mm, gaps, first_mm, end_mm = 0, 0, -1, 0
    for cell in range(len(kth)):
        if kth[cell] < 0:
            continue
        low, high = _stretch(cuts[cell], cuts[cell + 1], pieces[kth[cell]], until_us)
        if low >= high:
            continue
        if first_mm < 0:
            first_mm = low
        else:
            gaps_mm[gaps] = low - end_mm
            gaps += 1
        swept_mm += high - low
        end_mm = high
    if first_mm < 0:
        return 0
    last_mm = cuts[-1] - end_mm
    gaps_mm[gaps] = first_mm + last_mm if closed else first_mm
    gaps_mm[gaps + 1] = 0 if closed else last_mm
    return swept_mm + _closed_mm(np.sort(gaps_mm[: gaps + 2]), gap_mm, closed_mm_max)


@njit(cache=True, nogil=True)
def _closed_mm(gaps_mm: NDArray[np.int64], gap_mm: int, closed_mm_max: int) -> int:
    """What is closed of gaps that are sorted, shortest first."""
    closed_mm = 0
    for gap in gaps_mm:
        if gap > gap_mm or closed_mm + gap > closed_mm_max:
            break
        closed_mm += gap
    return closed_mm


@njit(cache=True, nogil=True)
def _stretch(low: int, high: int, piece: NDArray[np.int64], until_us: int) -> tuple[int, int]:
    """The part of a cut that a piece over all of it had swept by a moment, in whole millimetres."""
    from_mm, to_mm, from_us, to_us = piece[0], piece[1], piece[2], piece[3]
    if until_us >= to_us:
        return low, high
    if until_us < from_us:
        return low, low
    done_mm = abs(to_mm - from_mm) * (until_us - from_us) // (to_us - from_us)
    if to_mm > from_mm:
        return low, min(high, from_mm + done_mm)
    return max(low, from_mm - done_mm), high
