"""Passes: one unit's unbroken run along one street, and what it swept when.

Measures are whole millimetres from the start of the street, instants whole microseconds since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, starmap
from operator import sub
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.join import Legs, Path
from processing.network import Network
from processing.working import SWEPT, Doings


class Piece(NamedTuple):
    """A stretch swept in one go; between its ends the moment is linear in the measure."""

    from_mm: int
    to_mm: int
    from_us: int
    to_us: int


@dataclass(frozen=True, slots=True)
class Pass:
    """One unit's unbroken run along one street.

    `direction` is 1 along the measure and -1 against it. Without a swept piece it is a drive through.
    `certainty` is how likely the street is right, as far as other lines go; where that is too little to be
    certain, `ambiguous_with` names the line that explains the pass about as well. Identity: (unit_id,
    track_start_us, ordinal).
    """

    unit_id: str
    track_start_us: int
    ordinal: int
    street_id: str
    work: str
    direction: int
    enter_us: int
    leave_us: int
    enter_mm: int
    leave_mm: int
    swept: tuple[Piece, ...]
    unobserved: tuple[Piece, ...] = ()
    ambiguous_with: str | None = None
    certainty: float = 1.0

    @property
    def swept_mm(self) -> int:
        """Length of the swept pieces; a pass never goes back, so they don't overlap."""
        from_mm, to_mm, _, _ = zip(*self.swept, strict=True) if self.swept else ((), (), (), ())
        return sum(map(abs, map(sub, to_mm, from_mm)))

    @property
    def swept_until_us(self) -> int | None:
        """The last moment at which it swept; None where it never did."""
        if not self.swept:
            return None
        _, _, from_us, to_us = zip(*self.swept, strict=True)
        until_us: int = max(*from_us, *to_us)
        return until_us


class Passes(NamedTuple):
    """Passes of one street as columns, for counting; `swept_by` (p,) and `unobserved_by` (u,) say whose a piece is.

    `work` (n,) is the place in `works`, `swept` (p, 4) and `unobserved` (u, 4) are pieces, those of a pass in
    their order.
    """

    works: tuple[str, ...]
    work: NDArray[np.int64]
    direction: NDArray[np.int64]
    enter_us: NDArray[np.int64]
    certain: NDArray[np.bool_]
    swept: NDArray[np.int64]
    swept_by: NDArray[np.int64]
    unobserved: NDArray[np.int64]
    unobserved_by: NDArray[np.int64]

    @classmethod
    def of(cls, street_id: str, passes: Iterable[Pass]) -> Passes:
        """The columns of those of these passes that are on a street, in their order."""
        listed = [one for one in passes if one.street_id == street_id]
        works = tuple(sorted({one.work for one in listed}))
        return cls(
            works,
            np.array([works.index(one.work) for one in listed], dtype=np.int64),
            np.array([one.direction for one in listed], dtype=np.int64),
            np.array([one.enter_us for one in listed], dtype=np.int64),
            np.array([one.ambiguous_with is None for one in listed], dtype=np.bool_),
            *_columns([one.swept for one in listed]),
            *_columns([one.unobserved for one in listed]),
        )


def _columns(pieces: Sequence[Sequence[Piece]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pieces (p, 4) one after the other, and the number of the pass that each is of."""
    rows = np.array(list(chain.from_iterable(pieces)), dtype=np.int64).reshape(-1, 4)
    return rows, np.repeat(np.arange(len(pieces)), np.array([len(some) for some in pieces], dtype=np.int64))


@njit(cache=True, nogil=True)
def group_legs(
    network: Network,
    legs: Legs,
    path: Path,
    edge: NDArray[np.int64],
    streets: int,
    leave_m_min: float,
    begin: int = 0,
) -> NDArray[np.int64]:
    """The number of the pass that each leg (n,) belongs to, -1 on a context road and before leg `begin`.

    A pass goes on as long as legs lie on its street in its direction, no hole is between, and the unit was
    away for less than `leave_m_min` or without a fix (at `edge` (m,) of the steps) on another line. What
    begins again further back is another run, but on a closed street the next round.
    """
    lines = len(network.line_closed)
    numbers = np.full(len(legs.edge), -1, dtype=np.int64)
    last_leg = np.full(lines, -1, dtype=np.int64)
    last_foreign, fixes_on = np.zeros(lines, dtype=np.int64), np.zeros(lines, dtype=np.int64)
    fixes, seen, found = 0, 0, 0
    for i in range(begin, len(legs.edge)):
        while seen <= legs.step_a[i]:
            if edge[seen] >= 0:
                fixes += 1
                fixes_on[network.edges[edge[seen]].line] += 1
            seen += 1
        line = network.edges[legs.edge[i]].line
        if line >= streets:
            continue
        foreign, before = fixes - fixes_on[line], last_leg[line]
        if (
            before >= 0
            and legs.direction[before] == legs.direction[i]
            and (network.line_closed[line] or _back_m(legs, before, i) < leave_m_min)
            and path.hole[legs.step_b[before]] == path.hole[legs.step_b[i]]
            and (legs.path_m[i] - _end_m(legs, before) < leave_m_min or foreign == last_foreign[line])
        ):
            numbers[i] = numbers[before]
        else:
            numbers[i] = found
            found += 1
        last_leg[line], last_foreign[line] = i, foreign
    return numbers


@njit(cache=True, nogil=True)
def _end_m(legs: Legs, i: int) -> float:
    """The metre of the path at the end of a leg."""
    return float(legs.path_m[i] + abs(legs.to_m[i] - legs.from_m[i]))


@njit(cache=True, nogil=True)
def _back_m(legs: Legs, before: int, i: int) -> float:
    """How far behind the end of a leg another one in its direction begins."""
    ahead_m = legs.from_m[i] - legs.to_m[before]
    return float(-ahead_m if legs.direction[i] == 0 else ahead_m)


@njit(cache=True, nogil=True)
def cut_legs(legs: Legs, numbers: NDArray[np.int64], doings: Doings, pieces: NDArray[np.int64]) -> int:
    """Lay what the unit did onto the streets it did it on.

    A row of `pieces` (p, 6) is pass, from_mm, to_mm, from_us, to_us, what. Returns how many, or -1 when
    there are more than rows.
    """
    n, first = 0, 0
    for i in range(len(legs.edge)):
        begin_m, end_m = legs.path_m[i], _end_m(legs, i)
        while first < len(doings.what) and doings.to_m[first] <= begin_m:
            first += 1
        if numbers[i] < 0:
            continue
        sign = 1.0 if legs.direction[i] == 0 else -1.0
        for d in range(first, len(doings.what)):
            from_m, to_m = max(begin_m, doings.from_m[d]), min(end_m, doings.to_m[d])
            if doings.from_m[d] >= end_m:
                break
            if n == len(pieces):
                return -1
            pieces[n, 0], pieces[n, 5] = numbers[i], doings.what[d]
            pieces[n, 1] = round(1000.0 * (legs.from_m[i] + sign * (from_m - begin_m)))
            pieces[n, 2] = round(1000.0 * (legs.from_m[i] + sign * (to_m - begin_m)))
            pieces[n, 3], pieces[n, 4] = _moment_us(doings, d, from_m), _moment_us(doings, d, to_m)
            if pieces[n, 1] != pieces[n, 2]:
                n += 1
    return n


@njit(cache=True, nogil=True)
def _moment_us(doings: Doings, d: int, at_m: float) -> int:
    share = (at_m - doings.from_m[d]) / (doings.to_m[d] - doings.from_m[d])
    return int(doings.from_us[d] + round(share * (doings.to_us[d] - doings.from_us[d])))


class Run(NamedTuple):
    """A pass without its unit.

    It lies between two steps of the track, and its pieces are [first_piece, last_piece) of all. [low, high) are the
    rows of its window (processing/ambiguity.py), and `start` and `end` the states that are held there.
    """

    line: int
    direction: int
    enter_us: int
    leave_us: int
    enter_mm: int
    leave_mm: int
    first_step: int
    last_step: int
    first_piece: int
    last_piece: int
    low: int
    high: int
    start: int
    end: int


#: A run as kernels write it.
_RUN = np.dtype([(name, "i8") for name in Run._fields])


def pieces_of(rows: NDArray[np.int64]) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """What was swept and what nobody observed, of the pieces (p, 5) of a run."""
    swept = rows[:, 4] == SWEPT
    done, unknown = (tuple(starmap(Piece, rows[which, :4].tolist())) for which in (swept, ~swept))
    return done, unknown


@njit(cache=True, nogil=True)
def lay_runs(
    network: Network,
    legs: Legs,
    numbers: NDArray[np.int64],
    doings: Doings,
    at_m: NDArray[np.float64],
    time_us: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.void]]:
    """The runs (r,) along streets that a track's legs make, in the order in which they begin, and their pieces.

    `at_m` (n,) is where on the path each fix lies, `time_us` (n,) when it was. A row of pieces (p, 5) is from_mm,
    to_mm, from_us, to_us, what; those of a run follow on each other. Windows are not found yet.
    """
    known = np.flatnonzero(~np.isnan(at_m))
    at_m, time_us = at_m[known], time_us[known]
    rows = np.empty(len(legs.edge), dtype=_RUN)
    found = 0
    for i in range(len(legs.edge)):
        if numbers[i] < 0:
            continue
        row = rows[numbers[i]]
        if numbers[i] == found:
            found += 1
            row.line = network.edges[legs.edge[i]].line
            row.direction = 1 if legs.direction[i] == 0 else -1
            row.first_step, row.enter_mm = legs.step_a[i], round(1000.0 * legs.from_m[i])
            # The last moment there: of a unit that stood, when it went on.
            before = int(np.searchsorted(at_m, legs.path_m[i], side="right")) - 1
            row.enter_us = _clock_us(at_m, time_us, legs.path_m[i], before)
        row.last_step, row.leave_mm = legs.step_b[i], round(1000.0 * legs.to_m[i])
        before = int(np.searchsorted(at_m, _end_m(legs, i), side="left")) - 1
        row.leave_us = _clock_us(at_m, time_us, _end_m(legs, i), before)
    # A doing is cut by the legs it runs over: no more pieces than there are ends of both.
    pieces = np.empty((len(legs.edge) + len(doings.what) + 1, 6), dtype=np.int64)
    pieces = pieces[: cut_legs(legs, numbers, doings, pieces)]
    return _by_run(pieces, rows[:found]), rows[:found]


@njit(cache=True, nogil=True)
def _by_run(pieces: NDArray[np.int64], runs: NDArray[np.void]) -> NDArray[np.int64]:
    """The pieces without the run that they name first, one run's after the other's, and in each run where they are."""
    for r in range(len(runs)):
        runs[r].last_piece = 0
    for i in range(len(pieces)):
        runs[pieces[i, 0]].last_piece += 1
    at = 0
    for r in range(len(runs)):
        at += runs[r].last_piece
        runs[r].first_piece = runs[r].last_piece = at - runs[r].last_piece
    out = np.empty((len(pieces), 5), dtype=np.int64)
    for i in range(len(pieces)):
        run = runs[pieces[i, 0]]
        out[run.last_piece] = pieces[i, 1:]
        run.last_piece += 1
    return out


@njit(cache=True, nogil=True)
def _clock_us(at_m: NDArray[np.float64], time_us: NDArray[np.int64], place_m: float, before: int) -> int:
    """When the unit was at a metre of its path, that lies after the fix `before`."""
    low = min(max(before, 0), len(at_m) - 1)
    high = min(low + 1, len(at_m) - 1)
    run_m = at_m[high] - at_m[low]
    share = (place_m - at_m[low]) / run_m if run_m > 0.0 else 0.0
    return int(time_us[low] + round(min(1.0, max(0.0, share)) * (time_us[high] - time_us[low])))
