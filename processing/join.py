"""Joins: the way between two matched fixes as legs on edges, one after the other along the unit's path.

A leg is a stretch of one edge in one direction; `path_m` counts the metres of all legs before it. A join
that took too long, or is longer than the unit's top speed allows, is a hole: nothing is known of its metres.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.lattice import Weights
from processing.network import Network
from processing.route import Routes, first_edge, way_m
from processing.transition import (
    AHEAD,
    NO_WAY,
    TURN,
    TURN_BY_TAIL,
    Place,
    behind_m,
    connect,
    overshoot_m,
    room_m,
)
from processing.viterbi import drivable_by

#: Edges that one join may run over; a longer way is a hole.
LEGS_MAX = 256
#: Measures nearer than this are one, but for rounding.
TOUCH_M = 1e-6
#: A way past fixes that lie off the network is believed up to this share of what was driven, and sigmas.
DETOUR_SHARE, DETOUR_SIGMAS = 1.3, 4.0


class Steps(NamedTuple):
    """The decoded steps (m,) of a track; `edge` is -1 off the network, `driven_m` NaN where not told.

    All columns are contiguous: a column of records is so only where there is one record, and for another kind of
    array a kernel would be compiled anew.
    """

    time_us: NDArray[np.int64]
    x_m: NDArray[np.float64]
    y_m: NDArray[np.float64]
    sigma_m: NDArray[np.float64]
    edge: NDArray[np.int64]
    direction: NDArray[np.int64]
    measure_m: NDArray[np.float64]
    driven_m: NDArray[np.float64]


class Legs(NamedTuple):
    """Legs (n,) of all joins in the order driven; a leg lies in the join of two steps."""

    step_a: NDArray[np.int64]
    step_b: NDArray[np.int64]
    edge: NDArray[np.int64]
    direction: NDArray[np.int64]
    from_m: NDArray[np.float64]
    to_m: NDArray[np.float64]
    path_m: NDArray[np.float64]


class Path(NamedTuple):
    """Where each step (m,) lies on the path, NaN off the network, and how many holes come before it.

    `measure_m` is where the next join leaves from: the noise of a unit that stands doesn't move it back.
    """

    at_m: NDArray[np.float64]
    hole: NDArray[np.int64]
    measure_m: NDArray[np.float64]


class Begun(NamedTuple):
    """What the path before the first step comes to, where that step isn't the track's first."""

    path_m: float
    holes: int
    measure_m: float


ANEW = Begun(0.0, 0, math.nan)


class _Way(NamedTuple):
    """The legs of one join before they go into the track's."""

    edge: NDArray[np.int64]
    direction: NDArray[np.int64]
    from_m: NDArray[np.float64]
    to_m: NDArray[np.float64]


@njit(cache=True, nogil=True)
def _put(way: _Way, n: int, edge: int, direction: int, from_m: float, to_m: float) -> int:
    if n < 0 or n >= LEGS_MAX:
        return -1
    way.edge[n], way.direction[n], way.from_m[n], way.to_m[n] = edge, direction, from_m, to_m
    return n + 1


@njit(cache=True, nogil=True)
def _put_along(
    network: Network, way: _Way, n: int, edge: int, direction: int, from_m: float, to_m: float
) -> int:
    """Legs along the line of an edge to a measure that may lie on another edge of it."""
    at_m = from_m
    while True:
        if direction == 0:
            end_m = min(to_m, network.edges[edge].to_m)
            n = _put(way, n, edge, 0, at_m, end_m)
            if to_m <= end_m + TOUCH_M or n < 0:
                return n
            edge += 1
        else:
            end_m = max(to_m, network.edges[edge].from_m)
            n = _put(way, n, edge, 1, at_m, end_m)
            if to_m >= end_m - TOUCH_M or n < 0:
                return n
            edge -= 1
        at_m = end_m


@njit(cache=True, nogil=True)
def _turn(network: Network, way: _Way, a: Place, turn_m: float, back_to_m: float) -> int:
    """Legs along a's line to the measure of a turn, and back to another measure."""
    n = _put_along(network, way, 0, a.arc // 2, a.arc % 2, a.measure_m, turn_m)
    if n < 0:
        return -1
    return _put_along(network, way, n, way.edge[n - 1], 1 - a.arc % 2, turn_m, back_to_m)


@njit(cache=True, nogil=True)
def _legs_of(
    network: Network, routes: Routes, kind: int, a: Place, b: Place, expected_m: float, way: _Way
) -> int:
    """Write the legs of the way from a to b; how many, or -1 when there are too many."""
    arc_a, arc_b = network.arcs[a.arc], network.arcs[b.arc]
    sign = arc_a.sign
    if kind == AHEAD:
        return _put(way, 0, a.arc // 2, a.arc % 2, a.measure_m, b.measure_m)
    if kind == TURN:
        gone_m = sign * (b.measure_m - a.measure_m)
        further_m = room_m(network, a) - max(0.0, gone_m)
        over_m = overshoot_m(expected_m, abs(gone_m), further_m)
        furthest_m = b.measure_m if gone_m > 0.0 else a.measure_m
        return _turn(network, way, a, furthest_m + sign * over_m, b.measure_m)
    if kind == TURN_BY_TAIL:
        length_m = behind_m(network, a) + way_m(routes, arc_a.tail, arc_b.tail) + behind_m(network, b)
        over_m = overshoot_m(expected_m, length_m, room_m(network, a))
        n = _turn(network, way, a, a.measure_m + sign * over_m, arc_a.begin_m)
        node = arc_a.tail
    else:
        n = _put(way, 0, a.arc // 2, a.arc % 2, a.measure_m, arc_a.end_m)
        node = arc_a.head
    while node != arc_b.tail and n > 0:
        number = first_edge(routes, node, arc_b.tail)
        arc = network.arcs[number]
        n, node = _put(way, n, number // 2, number % 2, arc.begin_m, arc.end_m), arc.head
    return _put(way, n, b.arc // 2, b.arc % 2, arc_b.begin_m, b.measure_m)


@njit(cache=True, nogil=True)
def _join(
    network: Network, routes: Routes, weights: Weights, steps: Steps, a: int, b: int, from_m: float, way: _Way
) -> int:
    """Write the legs of the join from step a, at measure `from_m`, to b; -1: it is a hole."""
    dt_s = (steps.time_us[b] - steps.time_us[a]) * 1e-6
    expected_m = steps.driven_m[a + 1 : b + 1].sum()
    if math.isnan(expected_m):
        expected_m = math.hypot(steps.x_m[b] - steps.x_m[a], steps.y_m[b] - steps.y_m[a])
    place_a = Place(2 * steps.edge[a] + steps.direction[a], from_m)
    place_b = Place(2 * steps.edge[b] + steps.direction[b], steps.measure_m[b])
    drivable = drivable_by(weights, dt_s, expected_m, steps.sigma_m[b])
    _, kind, length_m = connect(network, routes, place_a, place_b, drivable, -math.inf)
    if kind == NO_WAY or length_m > weights.top_speed_ms * dt_s or dt_s > weights.join_s_max:
        return -1
    longest_m = DETOUR_SHARE * expected_m + DETOUR_SIGMAS * steps.sigma_m[b]
    elsewhere = network.arcs[place_a.arc].line != network.arcs[place_b.arc].line
    if b > a + 1 and elsewhere and length_m > longest_m:
        return -1
    return _legs_of(network, routes, kind, place_a, place_b, expected_m, way)


@njit(cache=True, nogil=True)
def _join_all(
    network: Network, routes: Routes, weights: Weights, steps: Steps, begun: Begun, legs: Legs, path: Path
) -> int:
    """Write the legs of all joins and the places on the path; how many, -1 when there are more than rows."""
    way = _Way(
        np.zeros(LEGS_MAX, dtype=np.int64),
        np.zeros(LEGS_MAX, dtype=np.int64),
        np.zeros(LEGS_MAX, dtype=np.float64),
        np.zeros(LEGS_MAX, dtype=np.float64),
    )
    n, holes, path_m, a, measure_m = 0, begun.holes, begun.path_m, -1, 0.0
    for b in range(len(steps.time_us)):
        path.at_m[b], path.hole[b], path.measure_m[b] = np.nan, holes, np.nan
        if steps.edge[b] < 0:
            continue
        if a >= 0:
            sign = 1.0 if steps.direction[b] == 0 else -1.0
            same = steps.edge[a] == steps.edge[b] and steps.direction[a] == steps.direction[b]
            gone_m = sign * (steps.measure_m[b] - measure_m)
            count = _join(network, routes, weights, steps, a, b, measure_m, way)
            if count == 1 and same and gone_m <= 0.0:
                # The noise of a unit that stands doesn't move it back.
                a, path.at_m[b], path.measure_m[b] = b, path_m, measure_m
                continue
            if count < 0:
                holes += 1
            elif n + count > len(legs.edge):
                return -1
            for i in range(count):
                # A leg too short for the path's floats to tell begins and ends at one metre: its moments would hang on
                # fixes that a growing track has let go of.
                if abs(way.to_m[i] - way.from_m[i]) > TOUCH_M:
                    legs.step_a[n], legs.step_b[n] = a, b
                    legs.edge[n], legs.direction[n] = way.edge[i], way.direction[i]
                    legs.from_m[n], legs.to_m[n], legs.path_m[n] = way.from_m[i], way.to_m[i], path_m
                    path_m += abs(way.to_m[i] - way.from_m[i])
                    n += 1
        first = a < 0 and not math.isnan(begun.measure_m)
        a, measure_m = b, begun.measure_m if first else steps.measure_m[b]
        path.at_m[b], path.hole[b], path.measure_m[b] = path_m, holes, measure_m
    return n


@njit(cache=True, nogil=True)
def join_steps(
    network: Network, routes: Routes, weights: Weights, steps: Steps, begun: Begun
) -> tuple[Legs, Path]:
    """The legs of a decoded track, and where its steps lie on the path they make."""
    m = len(steps.time_us)
    path = Path(np.empty(m), np.empty(m, dtype=np.int64), np.empty(m))
    rows = 4 * m + LEGS_MAX
    while True:
        legs = Legs(
            np.empty(rows, dtype=np.int64),
            np.empty(rows, dtype=np.int64),
            np.empty(rows, dtype=np.int64),
            np.empty(rows, dtype=np.int64),
            np.empty(rows),
            np.empty(rows),
            np.empty(rows),
        )
        n = _join_all(network, routes, weights, steps, begun, legs, path)
        if n >= 0:
            break
        rows *= 2
    found = Legs(
        legs.step_a[:n],
        legs.step_b[:n],
        legs.edge[:n],
        legs.direction[:n],
        legs.from_m[:n],
        legs.to_m[:n],
        legs.path_m[:n],
    )
    return found, path
