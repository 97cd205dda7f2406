"""Passes: one unit's unbroken run along one street, and what it swept when.

Measures are whole millimetres from the start of the street, instants whole microseconds since 1970 UTC.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
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
        return sum(abs(piece.to_mm - piece.from_mm) for piece in self.swept)


@njit(cache=True, nogil=True)
def group_legs(
    network: Network, legs: Legs, path: Path, edge: NDArray[np.int64], streets: int, leave_m_min: float
) -> NDArray[np.int64]:
    """The number of the pass that each leg (n,) belongs to, -1 on a context road.

    A pass goes on as long as legs lie on its street in its direction, no hole is between, and the unit was
    away for less than `leave_m_min` or without a fix (at `edge` (m,) of the steps) on another line. What
    begins again further back is another run, but on a closed street the next round.
    """
    lines = len(network.line_closed)
    numbers = np.full(len(legs.edge), -1, dtype=np.int64)
    last_leg = np.full(lines, -1, dtype=np.int64)
    last_foreign, fixes_on = np.zeros(lines, dtype=np.int64), np.zeros(lines, dtype=np.int64)
    fixes, seen, found = 0, 0, 0
    for i in range(len(legs.edge)):
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


@dataclass(frozen=True, slots=True)
class Run:
    """A pass without its unit: what the kernels found, and the steps it lies between."""

    line: int
    direction: int
    enter_us: int
    leave_us: int
    enter_mm: int
    leave_mm: int
    first_step: int
    last_step: int
    swept: tuple[Piece, ...]
    unobserved: tuple[Piece, ...]


class Clock:
    """When the unit was at a metre of its path."""

    def __init__(self, at_m: NDArray[np.float64], time_us: NDArray[np.int64]) -> None:
        known = ~np.isnan(at_m)
        self._at_m, self._time_us = at_m[known], time_us[known]

    def leaving_us(self, at_m: float) -> int:
        """The last moment there: of a unit that stood, when it went on."""
        return self._moment_us(at_m, int(np.searchsorted(self._at_m, at_m, side="right")) - 1)

    def reaching_us(self, at_m: float) -> int:
        """The first moment there."""
        return self._moment_us(at_m, int(np.searchsorted(self._at_m, at_m, side="left")) - 1)

    def _moment_us(self, at_m: float, before: int) -> int:
        low = min(max(before, 0), len(self._at_m) - 1)
        high = min(low + 1, len(self._at_m) - 1)
        run_m = float(self._at_m[high] - self._at_m[low])
        share = (at_m - float(self._at_m[low])) / run_m if run_m > 0.0 else 0.0
        from_us, to_us = int(self._time_us[low]), int(self._time_us[high])
        return from_us + round(min(1.0, max(0.0, share)) * (to_us - from_us))


def runs_of(
    network: Network, legs: Legs, numbers: NDArray[np.int64], doings: Doings, clock: Clock
) -> list[Run]:
    """The runs along streets that a track's legs make, in the order in which they begin."""
    # A doing is cut by the legs it runs over: no more pieces than there are ends of both.
    pieces = np.zeros((len(legs.edge) + len(doings.what) + 1, 6), dtype=np.int64)
    count = cut_legs(legs, numbers, doings, pieces)
    found: dict[int, list[tuple[int, Piece]]] = defaultdict(list)
    for number, from_mm, to_mm, from_us, to_us, what in pieces[:count].tolist():
        found[number].append((what, Piece(from_mm, to_mm, from_us, to_us)))
    members = np.flatnonzero(numbers >= 0)
    order = members[np.argsort(numbers[members], kind="stable")]
    bounds = np.flatnonzero(np.diff(numbers[order], prepend=-1))
    groups = np.split(order, bounds[1:]) if len(order) else []
    return [_run(network, legs, clock, group, found[number]) for number, group in enumerate(groups)]


def _run(
    network: Network,
    legs: Legs,
    clock: Clock,
    group: NDArray[np.int64],
    pieces: Sequence[tuple[int, Piece]],
) -> Run:
    first, last = int(group[0]), int(group[-1])
    return Run(
        line=int(network.edge_line[legs.edge[first]]),
        direction=1 if legs.direction[first] == 0 else -1,
        enter_us=clock.leaving_us(float(legs.path_m[first])),
        leave_us=clock.reaching_us(_end_m(legs, last)),
        enter_mm=round(1000.0 * float(legs.from_m[first])),
        leave_mm=round(1000.0 * float(legs.to_m[last])),
        first_step=int(legs.step_a[first]),
        last_step=int(legs.step_b[last]),
        swept=tuple(piece for what, piece in pieces if what == SWEPT),
        unobserved=tuple(piece for what, piece in pieces if what != SWEPT),
    )
