"""Transition: how well the way from one place to the next explains the metres driven.

The way is the shortest through the network, ahead along the edge or by its head; or the unit turns round
between the two fixes. Its length is held against what the unit says it drove (speed x time), or without a
speed against the straight line, with an exponential of scale beta (Newson and Krumm 2009).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from processing.network import Network
from processing.route import Routes

#: Ways from a place to the next.
AHEAD, BY_HEAD, TURN, TURN_BY_TAIL, NO_WAY = 0, 1, 2, 3, 4


@njit(cache=True, nogil=True)
def overshoot_m(expected_m: float, between_m: float, room_m: float) -> float:
    """How far beyond the further of two fixes a unit turned that drove `expected_m` in all."""
    return min(room_m, max(0.0, 0.5 * (expected_m - between_m)))


@njit(cache=True, nogil=True)
def connect(
    network: Network,
    routes: Routes,
    edge_a: int,
    dir_a: int,
    measure_a_m: float,
    edge_b: int,
    dir_b: int,
    measure_b_m: float,
    expected_m: float,
    beta_m: float,
    slip_m_max: float,
    length_m_max: float,
    turn_logp: float,
    tip_turn_logp: float,
) -> tuple[float, int, float]:
    """The likeliest way from a to b: (log-likelihood, which way, its length in metres).

    No way that is longer than `length_m_max` is taken: the unit can't have driven it.
    """
    from_m, to_m = network.edge_from_m[edge_a], network.edge_to_m[edge_a]
    # Metres from a's place to the end it drives to, and back to the one it came from.
    ahead_m = to_m - measure_a_m if dir_a == 0 else measure_a_m - from_m
    behind_m = measure_a_m - from_m if dir_a == 0 else to_m - measure_a_m
    head = network.edge_head[edge_a] if dir_a == 0 else network.edge_tail[edge_a]
    tail = network.edge_tail[edge_a] if dir_a == 0 else network.edge_head[edge_a]
    entry = network.edge_tail[edge_b] if dir_b == 0 else network.edge_head[edge_b]
    entered_m = (
        measure_b_m - network.edge_from_m[edge_b] if dir_b == 0 else network.edge_to_m[edge_b] - measure_b_m
    )
    best_logp, best_way, best_m = -np.inf, NO_WAY, np.inf

    if edge_a == edge_b and dir_a == dir_b:
        gone_m = measure_b_m - measure_a_m if dir_a == 0 else measure_a_m - measure_b_m
        if -slip_m_max <= gone_m <= length_m_max:
            logp = -abs(gone_m - expected_m) / beta_m
            best_logp, best_way, best_m = logp, AHEAD, max(0.0, gone_m)

    length_m = ahead_m + routes.distance_m[head, entry] + entered_m
    if length_m <= length_m_max:
        logp = -abs(length_m - expected_m) / beta_m
        first = routes.first[head, entry]
        if first == 2 * edge_a + 1 - dir_a or (head == entry and edge_a == edge_b and dir_a != dir_b):
            logp += tip_turn_logp if network.node_degree[head] == 1 else turn_logp
        if logp > best_logp:
            best_logp, best_way, best_m = logp, BY_HEAD, length_m

    if not network.edge_oneway[edge_a]:
        if edge_a == edge_b and dir_a != dir_b:
            gone_m = measure_b_m - measure_a_m if dir_a == 0 else measure_a_m - measure_b_m
            room_m = ahead_m - max(0.0, gone_m)
            length_m = abs(gone_m) + 2.0 * overshoot_m(expected_m, abs(gone_m), room_m)
            logp = -abs(length_m - expected_m) / beta_m + turn_logp
            if length_m <= length_m_max and logp > best_logp:
                best_logp, best_way, best_m = logp, TURN, length_m
        length_m = behind_m + routes.distance_m[tail, entry] + entered_m
        if length_m <= length_m_max:
            length_m += 2.0 * overshoot_m(expected_m, length_m, ahead_m)
            logp = -abs(length_m - expected_m) / beta_m + turn_logp
            if length_m <= length_m_max and logp > best_logp:
                best_logp, best_way, best_m = logp, TURN_BY_TAIL, length_m
    return best_logp, best_way, best_m


@njit(cache=True, nogil=True)
def expected_length_m(driven_m: float, straight_m: float) -> float:
    """What the unit says it drove, or where it doesn't say (NaN) the straight line."""
    return straight_m if math.isnan(driven_m) else driven_m
