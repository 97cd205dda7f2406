"""Live matching: a track's fixes as they come, one at a time; what no later fix can change is settled.

A row's state is settled once all survivors share it, or the bound on lag has fixed it. Because one kernel
takes the fixes here and in `match_track`, what is settled is a prefix of what the whole track gives, always.
Rows that are settled are dropped: a unit's state is at most `STATE_BYTES_MAX`, however long its track.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.candidate import CANDIDATE, CANDIDATES_MAX
from processing.lattice import LAG_ROWS_MAX, OFF, ROW, TIP, WORK, Lattice, Weights, new_lattice
from processing.match import TrackFixes, close_track, take_fixes
from processing.network import Network
from processing.route import Routes
from processing.viterbi import meeting

#: Rows that a state has room for at first; it doubles while what is unsettled doesn't fit.
ROWS_MIN = 32
#: Fixes taken in one go. Each makes two rows at most, so that these fit beside what may be unsettled.
CHUNK = 8
ROW_BYTES = ROW.itemsize + CANDIDATES_MAX * CANDIDATE.itemsize
STATE_BYTES_MAX = 2 * LAG_ROWS_MAX * ROW_BYTES + WORK.itemsize + TIP.itemsize


class Settled(NamedTuple):
    """Steps (m,) that no later fix changes, in order: the fix each is, and its place (edge -1: off)."""

    fix: NDArray[np.int64]
    edge: NDArray[np.int64]
    direction: NDArray[np.int64]
    measure_m: NDArray[np.float64]


def begin_live() -> Lattice:
    """The state of a track that begins."""
    return new_lattice(ROWS_MIN)


def take_live(
    network: Network, routes: Routes, weights: Weights, lattice: Lattice, fixes: TrackFixes
) -> tuple[Lattice, Settled]:
    """Take a track's next fixes into its state: the state after them, and what they settled.

    The lattice given is used up: go on with the one returned.
    """
    settled: list[Settled] = []
    for low in range(0, max(1, len(fixes.time_us)), CHUNK):
        high = min(low + CHUNK, len(fixes.time_us))
        lattice = _with_room(lattice, 2 * (high - low))
        out = _room_for(lattice)
        count = _take(network, routes, weights, fixes, low, high, lattice, out)
        settled.append(_first(out, count))
    return lattice, _joined(settled)


def close_live(network: Network, routes: Routes, weights: Weights, lattice: Lattice) -> Settled:
    """End a track: all that was not settled yet."""
    lattice = _with_room(lattice, 1)
    out = _room_for(lattice)
    if lattice.tip["fixes"][0] == 0:
        return _first(out, 0)
    return _first(out, _close(network, routes, weights, lattice, out))


def _with_room(lattice: Lattice, rows: int) -> Lattice:
    """Drop what is settled if the rows don't fit otherwise, and grow if they don't even then."""
    tip, size = lattice.tip[0], len(lattice.rows)
    held = int(tip["rows"] - tip["dropped"])
    if held + rows <= size:
        return lattice
    # The last row is needed for the step to the next.
    done = int(min(tip["settled"], tip["rows"] - 1) - tip["dropped"])
    held -= done
    grown = new_lattice(size if 2 * (held + rows) <= size else 2 * size)
    grown.rows[:held] = lattice.rows[done : done + held]
    grown.candidates[:held] = lattice.candidates[done : done + held]
    tip["dropped"] += done
    return Lattice(grown.rows, grown.candidates, lattice.work, lattice.tip)


def _room_for(lattice: Lattice) -> Settled:
    fix, edge, direction = np.empty((3, len(lattice.rows)), dtype=np.int64)
    return Settled(fix, edge, direction, np.empty(len(lattice.rows)))


def _first(out: Settled, count: int) -> Settled:
    return Settled(out.fix[:count], out.edge[:count], out.direction[:count], out.measure_m[:count])


def _joined(parts: list[Settled]) -> Settled:
    return parts[0] if len(parts) == 1 else Settled(*map(np.concatenate, zip(*parts, strict=True)))


@njit(cache=True, nogil=True)
def _settle(lattice: Lattice, row: int, state: int, out: Settled) -> int:
    """Write the rows not yet settled up to `row`, where the unit is in `state`; how many they are."""
    rows, tip = lattice.rows, lattice.tip[0]
    low = tip.settled - tip.dropped
    for i in range(row, low - 1, -1):
        j = i - low
        out.fix[j], out.edge[j], out.direction[j], out.measure_m[j] = rows[i].fix, -1, state % 2, np.nan
        if state != OFF:
            place = lattice.candidates[i, state // 2]
            out.edge[j], out.measure_m[j] = place.edge, place.measure_m
        state = rows[i].back[state]
    tip.settled = tip.dropped + row + 1
    return int(row + 1 - low)


@njit(cache=True, nogil=True)
def _take(
    network: Network,
    routes: Routes,
    weights: Weights,
    fixes: TrackFixes,
    low: int,
    high: int,
    lattice: Lattice,
    out: Settled,
) -> int:
    rows, tip = lattice.rows, lattice.tip[0]
    take_fixes(network, routes, weights, fixes, low, high, lattice)
    held = tip.rows - tip.dropped
    row, state = meeting(rows, tip.settled - tip.dropped, held, lattice.work[0].score)
    return _settle(lattice, row, state, out) if row >= tip.settled - tip.dropped else 0


@njit(cache=True, nogil=True)
def _close(network: Network, routes: Routes, weights: Weights, lattice: Lattice, out: Settled) -> int:
    state = close_track(network, routes, weights, lattice)
    return _settle(lattice, lattice.tip[0].rows - 1 - lattice.tip[0].dropped, state, out)
