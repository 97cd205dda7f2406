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
    return int(held(depth, k, until_us, allowance.gap_mm, allowance.closed_mm_max, closed))


@njit(cache=True, nogil=True)
def held(
    depth: Depth,
    k: int,
    until_us: int,
    gap_mm: int,
    closed_mm_max: int,
    closed: bool,  # noqa: FBT001 - a kernel takes positions only
) -> int:
    """`held_mm` for kernels."""
    if k > depth.counted.shape[1]:
        return 0
    cuts_mm = depth.cuts_mm
    gaps_mm = np.empty(len(cuts_mm) + 1, dtype=np.int64)
    swept_mm, gaps, first_mm, end_mm = 0, 0, -1, 0
    for cell in range(len(cuts_mm) - 1):
        sweep = depth.counted[cell, k - 1]
        if sweep < 0:
            continue
        begin, end = depth.sweeps[sweep, 0], depth.sweeps[sweep, 1]
        low, high = _stretch(cuts_mm[cell], cuts_mm[cell + 1], depth.pieces, begin, end, until_us)
        if low >= high:
            continue
        if first_mm < 0:
            first_mm = low
        else:
            gaps = _put(gaps_mm, gaps, low - end_mm, gap_mm)
        swept_mm += high - low
        end_mm = high
    if first_mm < 0:
        return 0
    last_mm = cuts_mm[-1] - end_mm
    if closed:
        gaps = _put(gaps_mm, gaps, first_mm + last_mm, gap_mm)
    else:
        gaps = _put(gaps_mm, gaps, first_mm, gap_mm)
        gaps = _put(gaps_mm, gaps, last_mm, gap_mm)
    closed_mm = 0
    for gap in gaps_mm[:gaps]:
        if closed_mm + gap > closed_mm_max:
            break
        closed_mm += gap
    return swept_mm + closed_mm


@njit(cache=True, nogil=True)
def _put(gaps_mm: NDArray[np.int64], gaps: int, gap: int, gap_mm: int) -> int:
    """Put a gap among those that may be closed, shortest first, if it may; how many these are."""
    if not 0 < gap <= gap_mm:
        return gaps
    at = gaps
    while at > 0 and gaps_mm[at - 1] > gap:
        gaps_mm[at] = gaps_mm[at - 1]
        at -= 1
    gaps_mm[at] = gap
    return gaps + 1


@njit(cache=True, nogil=True)
def _stretch(
    low: int, high: int, pieces: NDArray[np.int64], begin: int, end: int, until_us: int
) -> tuple[int, int]:
    """What of a stretch a sweep (rows `begin` to `end` - 1) over all of it had swept by a moment, in whole mm."""
    if until_us >= pieces[end - 1, 3]:
        return low, high
    if until_us < pieces[begin, 2]:
        return low, low
    last = end - 1  # the last piece that had begun
    while begin < last:
        middle = (begin + last + 1) // 2
        if pieces[middle, 2] <= until_us:
            begin = middle
        else:
            last = middle - 1
    from_mm, to_mm, from_us, to_us = pieces[last, 0], pieces[last, 1], pieces[last, 2], pieces[last, 3]
    run_mm = abs(to_mm - from_mm)
    done_mm = run_mm if until_us >= to_us else run_mm * (until_us - from_us) // (to_us - from_us)
    if to_mm > from_mm:
        return low, min(high, from_mm + done_mm)
    return max(low, from_mm - done_mm), high
