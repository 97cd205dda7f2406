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


@njit(cache=True, nogil=True, inline="always")
def overshoot_m(expected_m: float, between_m: float, room_m: float) -> float:
    """How far beyond the further of two fixes a unit turned that drove `expected_m` in all."""
    return min(room_m, max(0.0, 0.5 * (expected_m - between_m)))


class Place(NamedTuple):
    """A place on an arc of the network, 2 * edge + dir."""

    arc: int
    measure_m: float


@njit(cache=True, nogil=True, inline="always")
def behind_m(network: Network, place: Place) -> float:
    """Metres from the arc's tail."""
    arc = network.arcs[place.arc]
    return float(arc.sign * (place.measure_m - arc.begin_m))


@njit(cache=True, nogil=True, inline="always")
def ahead_m(network: Network, place: Place) -> float:
    """Metres to the arc's head."""
    arc = network.arcs[place.arc]
    return float(arc.sign * (arc.end_m - place.measure_m))


@njit(cache=True, nogil=True, inline="always")
def room_m(network: Network, place: Place) -> float:
    """Metres that the line goes on ahead, over all its edges."""
    arc = network.arcs[place.arc]
    return float(arc.sign * (arc.line_end_m - place.measure_m))


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
def corners(network: Network, routes: Routes, a: int, b: int) -> float:
    """How much one turns at the junctions on the way from arc a by its head to arc b: 1 for a right angle."""
    last, to, total = network.arcs[a], network.arcs[b], 0.0
    for _ in range(CORNERS_MAX):
        if last.head == to.tail:
            break
        arc = network.arcs[first_edge(routes, last.head, to.tail)]
        total += 1.0 - last.out_east * arc.in_east - last.out_north * arc.in_north
        last = arc
    return float(total + 1.0 - last.out_east * to.in_east - last.out_north * to.in_north)


@njit(cache=True, nogil=True, inline="always")
def connect(
    network: Network, routes: Routes, a: Place, b: Place, drivable: Drivable, above_logp: float
) -> tuple[float, int, float]:
    """The likeliest way from a to b: (log-likelihood, which way, its length in metres).

    It is NO_WAY where none is likelier than `above_logp`: what can't be is not looked up. No way that is
    longer than `length_m_max` is taken: the unit can't have driven it.
    """
    best_logp, best_way, best_m = above_logp, NO_WAY, np.inf
    expected_m, longest_m, beta_m = drivable.expected_m, drivable.length_m_max, drivable.beta_m
    arc_a, arc_b = network.arcs[a.arc], network.arcs[b.arc]
    back = a.arc ^ 1
    if b.arc == back and (drivable.tip_turn_logp if arc_a.tip else drivable.turn_logp) <= above_logp:
        # To the other direction of an edge there is no way without a turn.
        return best_logp, best_way, best_m
    # Metres from a to b along the line, the way a drives.
    gone_m = arc_a.sign * (b.measure_m - a.measure_m)

    if a.arc == b.arc and -drivable.slip_m_max <= gone_m <= longest_m:
        logp = -abs(gone_m - expected_m) / beta_m
        if logp > best_logp:
            best_logp, best_way, best_m = logp, AHEAD, max(0.0, gone_m)

    from_tail_m = behind_m(network, b)
    least_m = ahead_m(network, a) + from_tail_m
    if least_m <= longest_m and expected_m - least_m > beta_m * best_logp:
        length_m = least_m + way_m(routes, arc_a.head, arc_b.tail)
        logp = -abs(length_m - expected_m) / beta_m
        if length_m <= longest_m and logp > best_logp:
            back_again = first_edge(routes, arc_a.head, arc_b.tail) == back
            if back_again or (arc_a.head == arc_b.tail and b.arc == back):
                logp += drivable.tip_turn_logp if arc_a.tip else drivable.turn_logp
            else:
                logp += drivable.corner_logp * corners(network, routes, a.arc, b.arc)
            if arc_b.is_street and arc_a.line != arc_b.line:
                logp += drivable.enter_logp
            if logp > best_logp:
                best_logp, best_way, best_m = logp, BY_HEAD, length_m

    if arc_a.oneway or drivable.turn_logp <= best_logp:
        return best_logp, best_way, best_m
    if arc_a.line == arc_b.line and arc_a.sign != arc_b.sign:
        between_m, further_m = abs(gone_m), room_m(network, a) - max(0.0, gone_m)
        length_m = between_m + 2.0 * overshoot_m(expected_m, between_m, further_m)
        logp = -abs(length_m - expected_m) / beta_m + drivable.turn_logp
        if length_m <= longest_m and logp > best_logp:
            best_logp, best_way, best_m = logp, TURN, length_m
    least_m = behind_m(network, a) + from_tail_m
    if least_m <= longest_m and expected_m - least_m > beta_m * (best_logp - drivable.turn_logp):
        length_m = least_m + way_m(routes, arc_a.tail, arc_b.tail)
        length_m += 2.0 * overshoot_m(expected_m, length_m, room_m(network, a))
        logp = -abs(length_m - expected_m) / beta_m + drivable.turn_logp
        if arc_b.is_street and arc_a.line != arc_b.line:
            logp += drivable.enter_logp
        if length_m <= longest_m and logp > best_logp:
            best_logp, best_way, best_m = logp, TURN_BY_TAIL, length_m
    return best_logp, best_way, best_m


@njit(cache=True, nogil=True)
def expected_length_m(driven_m: float, straight_m: float) -> float:
    """What the unit says it drove, or where it doesn't say (NaN) the straight line."""
    return straight_m if math.isnan(driven_m) else driven_m
