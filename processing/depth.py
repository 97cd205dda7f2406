"""Depth: at how many moments, each more than 30 minutes after the one counted before, a measure was swept.

By definition the street is cut at the ends of all swept pieces, so that between two cuts every piece covers all
or nothing, and moments are compared at the middle of each cut. A pass of a minute has 60 pieces, and a street-day
dozens of passes, so that isn't done one by one: pieces that follow on each other are one sweep, and the street is
cut at the ends of sweeps first. Where the spans of their moments leave no doubt what counts, that holds for all
cuts between; where they do, the stretch is halved at the end of a piece, down to a cut if need be. It is the count
of the definition, at the cost of a few stretches.

A piece's moment is linear in the measure, rounded down to the microsecond. All arithmetic is in whole numbers, and
what is the same moment has a canonical order: no order or grouping of passes, and no machine, changes a figure.
What the day before swept last counts as just swept: it is the moment that the first one of the day must be later
than.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: What a pass is to a count: it isn't looked at, it says what was just swept, or it counts.
LEFT_OUT, BEFORE, COUNTS = -1, 0, 1


class Depth(NamedTuple):
    """The counted sweeps of each stretch of a street.

    `cuts_mm` (m + 1,) ascends from 0 to the length; `counted` (m, k) is the sweep that was the 1st, 2nd ... k-th
    counted one of each stretch, -1 where there is none. Sweep s is the rows sweeps[s, 0] to sweeps[s, 1] - 1 of
    `pieces` (p, 4), from_mm, to_mm, from_us, to_us, which are of the pass `whose` (p,).
    """

    cuts_mm: NDArray[np.int64]
    counted: NDArray[np.int64]
    sweeps: NDArray[np.int64]
    pieces: NDArray[np.int64]
    whose: NDArray[np.int64]


@njit(cache=True, nogil=True)
def depth(
    pieces: NDArray[np.int64],
    whose: NDArray[np.int64],
    roles: NDArray[np.int64],
    length_mm: int,
    gap_us: int,
    since_us: int,
    closed: bool,  # noqa: FBT001 - a kernel takes positions only
) -> Depth:
    """The counted sweeps of a street (or one side of it), from `pieces` (p, 4) of passes `whose` (p,).

    `roles` (passes,) says what each pass is. What BEFORE swept within `gap_us` from `since_us` on, the last moments
    before, counts as just swept, and pieces that lie outside of that time cut nothing. On a closed street measures
    count modulo its length.
    """
    mine, of = _mine(pieces, whose, roles, length_mm, gap_us, since_us, closed)
    sweeps = _sweeps(mine, of)
    sweeps = sweeps[np.argsort(mine[sweeps[:, 0], 2])]  # so that moments below are almost in order
    count = len(sweeps)
    ends = np.empty((count, 2), dtype=np.int64)
    for s in range(count):
        a_mm, b_mm = mine[sweeps[s, 0], 0], mine[sweeps[s, 1] - 1, 1]
        ends[s, 0] = max(0, min(a_mm, b_mm))
        ends[s, 1] = min(length_mm, max(a_mm, b_mm))
    edges = np.unique(np.append(ends.ravel(), np.array([0, length_mm])))
    cover = np.empty(count, dtype=np.int64)
    width = 0
    for edge in range(len(edges) - 1):
        width = max(width, _covering(ends, edges[edge], edges[edge + 1], cover))
    look = _Look(
        mine, sweeps, roles[of], np.empty((width, 4), dtype=np.int64), np.empty(width, dtype=np.int64)
    )
    cuts = np.zeros(2 * len(edges), dtype=np.int64)
    counted = np.empty((len(cuts), width), dtype=np.int64)
    todo = np.empty((len(mine) + 2, 2), dtype=np.int64)
    row = np.empty(width, dtype=np.int64)
    cells, deepest = 0, 0
    for edge in range(len(edges) - 1):
        covering = _covering(ends, edges[edge], edges[edge + 1], cover)
        todo[0, 0], todo[0, 1], waiting = edges[edge], edges[edge + 1], 1
        while waiting > 0:
            waiting -= 1
            low, high = todo[waiting, 0], todo[waiting, 1]
            found, cut = _decide(look, cover[:covering], low, high, gap_us, since_us, row)
            if found < 0:
                todo[waiting, 0], todo[waiting, 1] = cut, high
                todo[waiting + 1, 0], todo[waiting + 1, 1] = low, cut
                waiting += 2
                continue
            if cells + 1 == len(cuts):
                cuts = np.append(cuts, np.zeros(len(cuts), dtype=np.int64))
                more = np.empty((len(cuts), width), dtype=np.int64)
                more[:cells] = counted[:cells]
                counted = more
            cuts[cells + 1] = high
            counted[cells] = -1
            counted[cells, :found] = row[:found]
            cells, deepest = cells + 1, max(deepest, found)
    return Depth(cuts[: cells + 1], counted[:cells, :deepest].copy(), sweeps, mine, of)


@njit(cache=True, nogil=True)
def _covering(ends: NDArray[np.int64], low: int, high: int, cover: NDArray[np.int64]) -> int:
    """Write the sweeps that cover a stretch between two ends of sweeps into `cover`; how many."""
    found = 0
    for s in range(len(ends)):
        if ends[s, 0] <= low and ends[s, 1] >= high:
            cover[found] = s
            found += 1
    return found


@njit(cache=True, nogil=True)
def _mine(
    pieces: NDArray[np.int64],
    whose: NDArray[np.int64],
    roles: NDArray[np.int64],
    length_mm: int,
    gap_us: int,
    since_us: int,
    closed: bool,  # noqa: FBT001 - private
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pieces that matter, of a closed street once for each round that they touch; and whose they are."""
    first, last = 0, 0
    if closed:
        for p in range(len(pieces)):
            first = min(first, min(pieces[p, 0], pieces[p, 1]) // length_mm)
            last = max(last, max(pieces[p, 0], pieces[p, 1]) // length_mm)
    mine = np.empty((len(pieces) * (last - first + 1), 4), dtype=np.int64)
    of = np.empty(len(mine), dtype=np.int64)
    count = 0
    for n in range(first, last + 1):
        for p in range(len(pieces)):
            role = roles[whose[p]]
            if role == LEFT_OUT:
                continue
            if role == BEFORE and (pieces[p, 2] >= since_us + gap_us or pieces[p, 3] < since_us):
                continue
            from_mm, to_mm = pieces[p, 0] - n * length_mm, pieces[p, 1] - n * length_mm
            if min(max(from_mm, 0), length_mm) == min(max(to_mm, 0), length_mm):
                continue
            mine[count, 0], mine[count, 1] = from_mm, to_mm
            mine[count, 2], mine[count, 3] = pieces[p, 2], pieces[p, 3]
            of[count] = whose[p]
            count += 1
    return mine[:count], of[:count]


@njit(cache=True, nogil=True)
def _sweeps(mine: NDArray[np.int64], of: NDArray[np.int64]) -> NDArray[np.int64]:
    """First row and end of each run of pieces that go on where, and not before, the last one ended."""
    sweeps = np.empty((len(mine), 2), dtype=np.int64)
    count = 0
    for p in range(len(mine)):
        if count > 0 and of[p] == of[p - 1] and mine[p, 0] == mine[p - 1, 1]:
            on = (mine[p, 1] > mine[p, 0]) == (mine[p - 1, 1] > mine[p - 1, 0])
            if on and mine[p - 1, 2] <= mine[p - 1, 3] <= mine[p, 2] <= mine[p, 3]:
                sweeps[count - 1, 1] = p + 1
                continue
        sweeps[count, 0], sweeps[count, 1] = p, p + 1
        count += 1
    return sweeps[:count]


class _Look(NamedTuple):
    """What is looked at for a stretch; `spans` (sweeps, 4) is earliest and latest moment, piece and sweep."""

    pieces: NDArray[np.int64]
    sweeps: NDArray[np.int64]
    roles: NDArray[np.int64]
    spans: NDArray[np.int64]
    order: NDArray[np.int64]


@njit(cache=True, nogil=True)
def _decide(
    look: _Look,
    cover: NDArray[np.int64],
    low: int,
    high: int,
    gap_us: int,
    since_us: int,
    row: NDArray[np.int64],
) -> tuple[int, int]:
    """Write the sweeps that count from measure `low` to `high` into `row`; how many, or -1 and where to halve.

    `cover` are the sweeps that cover all of it.
    """
    pieces, spans, order = look.pieces, look.spans, look.order
    most, cut = 0, -1
    for n in range(len(cover)):
        begin, end = look.sweeps[cover[n], 0], look.sweeps[cover[n], 1]
        a, b = _row_at(pieces, begin, end, low), _row_at(pieces, begin, end, high - 1)
        spans[n, 0], spans[n, 1] = a, b
        if abs(b - a) > most:
            most, cut = abs(b - a), pieces[(a + b) // 2, 1]
    sure = most == 0  # no piece ends between: one cut, compared at its middle
    some, least_us, most_us, today = False, 0, 0, 0
    for n in range(len(cover)):
        a, b = spans[n, 0], spans[n, 1]
        if sure:
            first_us = last_us = _moment_us(pieces[a], low + high)
        else:
            one_us, other_us = _moment_us(pieces[a], 2 * low), _moment_us(pieces[b], 2 * high)
            first_us, last_us = min(one_us, other_us), max(one_us, other_us)
        if look.roles[look.sweeps[cover[n], 0]] == BEFORE:
            if last_us < since_us or first_us >= since_us + gap_us:
                continue
            if first_us < since_us or last_us >= since_us + gap_us:
                return -1, cut
            least_us = max(least_us, first_us) if some else first_us
            most_us = max(most_us, last_us) if some else last_us
            some = True
            continue
        spans[today, 0], spans[today, 1], spans[today, 2], spans[today, 3] = first_us, last_us, a, cover[n]
        at = today
        while at > 0 and _is_later(spans[order[at - 1]], spans[today], pieces):
            order[at] = order[at - 1]
            at -= 1
        order[at] = today
        today += 1
    found = 0
    for n in range(today):
        span = spans[order[n]]
        if some and span[1] - least_us <= gap_us:
            continue
        if some and span[0] - most_us <= gap_us:
            return -1, cut
        if not sure and n + 1 < today and spans[order[n + 1], 0] <= span[1]:
            return -1, cut
        row[found] = span[3]
        found += 1
        some, least_us, most_us = True, span[0], span[1]
    return found, cut


@njit(cache=True, nogil=True)
def _is_later(one: NDArray[np.int64], other: NDArray[np.int64], pieces: NDArray[np.int64]) -> bool:
    """Whether a sweep's earliest moment is later; the same moments are ordered by their pieces."""
    if one[0] != other[0]:
        return bool(one[0] > other[0])
    for column in range(4):
        if pieces[one[2], column] != pieces[other[2], column]:
            return bool(pieces[one[2], column] > pieces[other[2], column])
    return False


@njit(cache=True, nogil=True)
def _moment_us(piece: NDArray[np.int64], twice_mm: int) -> int:
    """When a piece was at half of a number of millimetres."""
    run_mm, run_us = piece[1] - piece[0], piece[3] - piece[2]
    return int(piece[2] + run_us * (twice_mm - 2 * piece[0]) // (2 * run_mm))


@njit(cache=True, nogil=True)
def _row_at(pieces: NDArray[np.int64], begin: int, end: int, mm: int) -> int:
    """The row, of a sweep's from `begin` to `end` - 1, that covers the millimetre above a measure."""
    low, high = begin, end - 1
    ahead = pieces[begin, 1] > pieces[begin, 0]
    while low < high:
        middle = (low + high) // 2
        if (pieces[middle, 1] > mm) if ahead else (pieces[middle, 1] <= mm):
            high = middle
        else:
            low = middle + 1
    return low
