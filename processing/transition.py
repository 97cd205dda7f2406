"""Transition: how well the way from one place to the next explains the metres driven.

The way is the shortest through the network, ahead along the edge or by its head; or the unit turns round
between the two fixes, further on along its line. The way's length is held against what the unit says it
drove (speed x time), or without a speed against the straight line, with an exponential of scale beta
(Newson and Krumm 2009).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from processing.network import Network
from processing.route import Routes, first_edge, way_m

#: Ways from a place to the next.
AHEAD, BY_HEAD, TURN, TURN_BY_TAIL, NO_WAY = 0, 1, 2, 3, 4


@njit(cache=True, nogil=True)
def overshoot_m(expected_m: float, between_m: float, room_m: float) -> float:
    """How far beyond the further of two fixes a unit turned that drove `expected_m` in all."""
    return min(room_m, max(0.0, 0.5 * (expected_m - between_m)))


class Place(NamedTuple):
    """A place on a directed edge: metres behind it and ahead of it on the edge, and the nodes there.

    `room_m` is how far the line goes on ahead, over all its edges; `tip` whether the edge ends dead ahead. One
    comes onto the edge in the direction (in) and leaves it in the direction (out).
    """

    line: int
    edge: int
    direction: int
    measure_m: float
    behind_m: float
    ahead_m: float
    room_m: float
    tail: int
    head: int
    tip: bool
    oneway: bool
    is_street: bool
    in_east: float
    in_north: float
    out_east: float
    out_north: float


@njit(cache=True, nogil=True)
def place_on(network: Network, edge: int, direction: int, measure_m: float) -> Place:
    """The place at a measure on an edge that is driven in a direction."""
    e = network.edges[edge]
    before_m, after_m = measure_m - e.from_m, e.to_m - measure_m
    if direction == 0:
        return Place(
            e.line,
            edge,
            0,
            measure_m,
            before_m,
            after_m,
            e.line_length_m - measure_m,
            e.tail,
            e.head,
            e.head_degree == 1,
            e.oneway,
            e.is_street,
            e.leaves_east,
            e.leaves_north,
            e.arrives_east,
            e.arrives_north,
        )
    return Place(
        e.line,
        edge,
        1,
        measure_m,
        after_m,
        before_m,
        measure_m,
        e.head,
        e.tail,
        e.tail_degree == 1,
        e.oneway,
        e.is_street,
        -e.arrives_east,
        -e.arrives_north,
        -e.leaves_east,
        -e.leaves_north,
    )


class Drivable(NamedTuple):
    """What a unit may have driven between two fixes, and what each way of it costs."""

    expected_m: float
    beta_m: float
    slip_m_max: float
    length_m_max: float
    turn_logp: float
    tip_turn_logp: float
    corner_logp: float
    enter_logp: float


#: Edges between two places whose corners are counted.
CORNERS_MAX = 16


@njit(cache=True, nogil=True)
def corners(network: Network, routes: Routes, a: Place, b: Place) -> float:
    """How much one turns at the junctions on the way from a by its head to b: 1 for each right angle."""
    east, north, total, node = a.out_east, a.out_north, 0.0, a.head
    for _ in range(CORNERS_MAX):
        if node == b.tail:
            break
        directed = first_edge(routes, node, b.tail)
        e = network.edges[directed // 2]
        if directed % 2 == 0:
            total += 1.0 - east * e.leaves_east - north * e.leaves_north
            east, north, node = e.arrives_east, e.arrives_north, e.head
        else:
            total += 1.0 + east * e.arrives_east + north * e.arrives_north
            east, north, node = -e.leaves_east, -e.leaves_north, e.tail
    return total + 1.0 - east * b.in_east - north * b.in_north


@njit(cache=True, nogil=True)
def connect(
    network: Network, routes: Routes, a: Place, b: Place, drivable: Drivable, above_logp: float
) -> tuple[float, int, float]:
    """The likeliest way from a to b: (log-likelihood, which way, its length in metres).

    It is NO_WAY where none is likelier than `above_logp`: what can't be is not looked up. No way that is
    longer than `length_m_max` is taken: the unit can't have driven it.
    """
    best_logp, best_way, best_m = above_logp, NO_WAY, np.inf
    one_edge, one_direction = a.edge == b.edge, a.direction == b.direction
    expected_m, longest_m, beta_m = drivable.expected_m, drivable.length_m_max, drivable.beta_m
    # Metres from a to b along the edge, the way a drives.
    gone_m = b.measure_m - a.measure_m if a.direction == 0 else a.measure_m - b.measure_m

    if one_edge and one_direction and -drivable.slip_m_max <= gone_m <= longest_m:
        logp = -abs(gone_m - expected_m) / beta_m
        if logp > best_logp:
            best_logp, best_way, best_m = logp, AHEAD, max(0.0, gone_m)

    least_m = a.ahead_m + b.behind_m
    if least_m <= longest_m and expected_m - least_m > beta_m * best_logp:
        length_m = least_m + way_m(routes, a.head, b.tail)
        logp = -abs(length_m - expected_m) / beta_m
        if length_m <= longest_m and logp > best_logp:
            back_again = first_edge(routes, a.head, b.tail) == 2 * a.edge + 1 - a.direction
            if back_again or (a.head == b.tail and one_edge and not one_direction):
                logp += drivable.tip_turn_logp if a.tip else drivable.turn_logp
            else:
                logp += drivable.corner_logp * corners(network, routes, a, b)
            if b.is_street and a.line != b.line:
                logp += drivable.enter_logp
            if logp > best_logp:
                best_logp, best_way, best_m = logp, BY_HEAD, length_m

    if a.oneway or drivable.turn_logp <= best_logp:
        return best_logp, best_way, best_m
    if a.line == b.line and not one_direction:
        between_m, room_m = abs(gone_m), a.room_m - max(0.0, gone_m)
        length_m = between_m + 2.0 * overshoot_m(expected_m, between_m, room_m)
        logp = -abs(length_m - expected_m) / beta_m + drivable.turn_logp
        if length_m <= longest_m and logp > best_logp:
            best_logp, best_way, best_m = logp, TURN, length_m
    least_m = a.behind_m + b.behind_m
    if least_m <= longest_m and expected_m - least_m > beta_m * (best_logp - drivable.turn_logp):
        length_m = least_m + way_m(routes, a.tail, b.tail)
        length_m += 2.0 * overshoot_m(expected_m, length_m, a.room_m)
        logp = -abs(length_m - expected_m) / beta_m + drivable.turn_logp
        if length_m <= longest_m and logp > best_logp:
            best_logp, best_way, best_m = logp, TURN_BY_TAIL, length_m
    return best_logp, best_way, best_m


@njit(cache=True, nogil=True)
def expected_length_m(driven_m: float, straight_m: float) -> float:
    """What the unit says it drove, or where it doesn't say (NaN) the straight line."""
    return straight_m if math.isnan(driven_m) else driven_m
