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

from processing.fix import OFF, ON
from processing.join import Drive, Legs, change_share
from processing.network import Network


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
    `ambiguous_with` names the line that explains the pass about as well. Identity: (unit_id,
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
    unobserved: tuple[tuple[int, int], ...] = ()
    ambiguous_with: str | None = None

    @property
    def swept_mm(self) -> int:
        """Length of the swept pieces; a pass never goes back, so they don't overlap."""
        return sum(abs(piece.to_mm - piece.from_mm) for piece in self.swept)


#: What a piece is: swept, or driven while nobody knows whether the unit worked.
SWEPT, UNOBSERVED = 1, 2
#: Changes of the working state that one join may hold; more are one too many to be true.
RUNS_MAX = 32


@njit(cache=True, nogil=True)
def group_legs(
    network: Network, legs: Legs, edge: NDArray[np.int64], streets: int, leave_m_min: float
) -> NDArray[np.int64]:
    """The number of the pass that each leg (n,) belongs to, -1 on a context road.

    A pass goes on as long as legs lie on its street in its direction, no hole is between, and the unit was
    away for less than `leave_m_min` or without a fix (at `edge` (m,) of the steps) on another line.
    """
    lines = network.edge_line.max() + 1
    numbers = np.full(len(legs.edge), -1, dtype=np.int64)
    last_leg = np.full(lines, -1, dtype=np.int64)
    last_foreign, fixes_on = np.zeros(lines, dtype=np.int64), np.zeros(lines, dtype=np.int64)
    fixes, seen, found = 0, 0, 0
    for i in range(len(legs.edge)):
        while seen <= legs.step_a[i]:
            if edge[seen] >= 0:
                fixes += 1
                fixes_on[network.edge_line[edge[seen]]] += 1
            seen += 1
        line = network.edge_line[legs.edge[i]]
        if line >= streets:
            continue
        foreign, before = fixes - fixes_on[line], last_leg[line]
        if (
            before >= 0
            and legs.direction[before] == legs.direction[i]
            and legs.hole[before] == legs.hole[i]
            and (legs.odometer_m[i] - _end_m(legs, before) < leave_m_min or foreign == last_foreign[line])
        ):
            numbers[i] = numbers[before]
        else:
            numbers[i] = found
            found += 1
        last_leg[line], last_foreign[line] = i, foreign
    return numbers


@njit(cache=True, nogil=True)
def _end_m(legs: Legs, i: int) -> float:
    """The odometer at the end of a leg."""
    return float(legs.odometer_m[i] + abs(legs.to_m[i] - legs.from_m[i]))


@njit(cache=True, nogil=True)
def working_runs(
    drive: Drive,
    a: int,
    b: int,
    legs_share: float,
    share: NDArray[np.float64],
    state: NDArray[np.int64],
) -> int:
    """The working state along the join from step a to b as runs that end at `share`; how many.

    A change that was reported on its own lies at its own time. Where the ends still disagree the legs
    tell where it changed, or after a reported change the middle of what is left.
    """
    from_us, to_us = drive.time_us[a], drive.time_us[b]
    low = np.searchsorted(drive.change_us, from_us, side="right")
    n, now, begun = 0, int(drive.working[a]), 0.0
    while low < len(drive.change_us) and drive.change_us[low] < to_us and n < RUNS_MAX - 2:
        if drive.change_state[low] != now:
            begun = (drive.change_us[low] - from_us) / (to_us - from_us)
            share[n], state[n] = begun, now
            now = int(drive.change_state[low])
            n += 1
        low += 1
    if now != drive.working[b]:
        share[n], state[n] = (legs_share if n == 0 else 0.5 * (begun + 1.0)), now
        n += 1
    share[n], state[n] = 1.0, drive.working[b]
    return n + 1


@njit(cache=True, nogil=True)
def cut_legs(
    network: Network, legs: Legs, drive: Drive, numbers: NDArray[np.int64], pieces: NDArray[np.int64]
) -> int:
    """Cut legs on streets where the working state changes; write what was swept or unobserved.

    A row of `pieces` (p, 6) is pass, from_mm, to_mm, from_us, to_us, what. Returns how many, or -1 when
    there are more than rows.
    """
    share, state = np.zeros(RUNS_MAX), np.zeros(RUNS_MAX, dtype=np.int64)
    n, first = 0, 0
    while first < len(legs.edge):
        after = first + 1
        while after < len(legs.edge) and legs.step_a[after] == legs.step_a[first]:
            after += 1
        a, b = legs.step_a[first], legs.step_b[first]
        runs = working_runs(drive, a, b, change_share(network, legs, first, after, drive), share, state)
        join_first = n
        for i in range(first, after):
            if numbers[i] < 0 or not legs.in_band[i]:
                continue
            begun = legs.from_share[i]
            for r in range(runs):
                ended = min(share[r], legs.to_share[i]) if r < runs - 1 else legs.to_share[i]
                if ended <= begun:
                    continue
                if state[r] != OFF:
                    if n == len(pieces):
                        return -1
                    what = SWEPT if state[r] == ON else UNOBSERVED
                    n = _put(pieces, n, join_first, legs, drive, numbers[i], i, begun, ended, what)
                begun = ended
        first = after
    return n


@njit(cache=True, nogil=True)
def _put(
    pieces: NDArray[np.int64],
    n: int,
    join_first: int,
    legs: Legs,
    drive: Drive,
    number: int,
    i: int,
    begun: float,
    ended: float,
    what: int,
) -> int:
    """Write a piece of leg i, or prolong the last one of the same join where they touch."""
    span = legs.to_share[i] - legs.from_share[i]
    length_m = legs.to_m[i] - legs.from_m[i]
    from_mm = round(1000.0 * (legs.from_m[i] + length_m * (begun - legs.from_share[i]) / span))
    to_mm = round(1000.0 * (legs.from_m[i] + length_m * (ended - legs.from_share[i]) / span))
    from_us, to_us = moment_us(drive, legs, i, begun), moment_us(drive, legs, i, ended)
    if from_mm == to_mm:
        return n
    if n > join_first:
        last = pieces[n - 1]
        if last[0] == number and last[2] == from_mm and last[4] == from_us and last[5] == what:
            last[2], last[4] = to_mm, to_us
            return n
    pieces[n, 0], pieces[n, 1], pieces[n, 2] = number, from_mm, to_mm
    pieces[n, 3], pieces[n, 4], pieces[n, 5] = from_us, to_us, what
    return n + 1


@njit(cache=True, nogil=True)
def moment_us(drive: Drive, legs: Legs, i: int, share: float) -> int:
    """The instant at a share of the join that leg i belongs to."""
    from_us, to_us = drive.time_us[legs.step_a[i]], drive.time_us[legs.step_b[i]]
    return int(from_us + round(share * (to_us - from_us)))


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
    unobserved: tuple[tuple[int, int], ...]


def runs_of(network: Network, legs: Legs, drive: Drive, streets: int, leave_m_min: float) -> list[Run]:
    """The runs along streets that a track's legs make, in the order in which they begin."""
    if not len(legs.edge):
        return []
    numbers = group_legs(network, legs, drive.edge, streets, leave_m_min)
    rows = 2 * len(legs.edge) + len(drive.change_us) + 64
    pieces = np.zeros((rows, 6), dtype=np.int64)
    count = cut_legs(network, legs, drive, numbers, pieces)
    while count < 0:
        pieces = np.zeros((2 * len(pieces), 6), dtype=np.int64)
        count = cut_legs(network, legs, drive, numbers, pieces)
    swept: dict[int, list[Piece]] = defaultdict(list)
    unobserved: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, from_mm, to_mm, from_us, to_us, what in pieces[:count].tolist():
        if what == SWEPT:
            swept[number].append(Piece(from_mm, to_mm, from_us, to_us))
        else:
            unobserved[number].append((from_mm, to_mm))
    members = np.flatnonzero(numbers >= 0)
    order = members[np.argsort(numbers[members], kind="stable")]
    bounds = np.flatnonzero(np.diff(numbers[order], prepend=-1))
    return [
        _run(network, legs, drive, group, swept[number], unobserved[number])
        for number, group in enumerate(np.split(order, bounds[1:]))
        if len(group)
    ]


def _run(
    network: Network,
    legs: Legs,
    drive: Drive,
    group: NDArray[np.int64],
    swept: Sequence[Piece],
    unobserved: Sequence[tuple[int, int]],
) -> Run:
    first, last = int(group[0]), int(group[-1])
    return Run(
        line=int(network.edge_line[legs.edge[first]]),
        direction=1 if legs.direction[first] == 0 else -1,
        enter_us=moment_us(drive, legs, first, legs.from_share[first]),
        leave_us=moment_us(drive, legs, last, legs.to_share[last]),
        enter_mm=round(1000.0 * float(legs.from_m[first])),
        leave_mm=round(1000.0 * float(legs.to_m[last])),
        first_step=int(legs.step_a[first]),
        last_step=int(legs.step_b[last]),
        swept=tuple(swept),
        unobserved=tuple(unobserved),
    )
