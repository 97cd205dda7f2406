"""Joins: the way between two matched fixes as legs on edges, and where along it the unit worked.

A leg is a stretch of one edge in one direction. A join that took too long, or is longer than the unit's
top speed allows, is a hole: nothing is known of its metres.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.fix import ON
from processing.network import Network
from processing.route import Routes
from processing.transition import AHEAD, NO_WAY, TURN, TURN_BY_TAIL, connect, overshoot_m, place_on
from processing.viterbi import Weights, drivable_by

#: Edges that one join may run over; a longer way is a hole.
LEGS_MAX = 256


class Drive(NamedTuple):
    """The decoded steps (m,) of a track; `edge` is -1 off the network.

    `speed_kmh` is the mean of what the fixes of the join into a step report, NaN where none does;
    `driven_m` what they say was driven. Changes (c,) of the working state that were reported on their own
    lie at `change_us`.
    """

    time_us: NDArray[np.int64]
    x_m: NDArray[np.float64]
    y_m: NDArray[np.float64]
    sigma_m: NDArray[np.float64]
    edge: NDArray[np.int64]
    direction: NDArray[np.int64]
    measure_m: NDArray[np.float64]
    working: NDArray[np.int8]
    speed_kmh: NDArray[np.float64]
    driven_m: NDArray[np.float64]
    change_us: NDArray[np.int64]
    change_state: NDArray[np.int8]


class Legs(NamedTuple):
    """Legs (n,) of all joins in the order driven.

    A leg lies in the join of two steps, between two shares (0 to 1) of its length. `odometer_m` counts
    path metres up to its start, `hole` the holes before it; `in_band` says that the unit's speed in the
    join is that of its work.
    """

    step_a: NDArray[np.int64]
    step_b: NDArray[np.int64]
    edge: NDArray[np.int64]
    direction: NDArray[np.int64]
    hole: NDArray[np.int64]
    from_m: NDArray[np.float64]
    to_m: NDArray[np.float64]
    from_share: NDArray[np.float64]
    to_share: NDArray[np.float64]
    odometer_m: NDArray[np.float64]
    in_band: NDArray[np.bool_]


class Bounds(NamedTuple):
    """Bounds of a join and the speed band of the work; see `Rules` and `UnitProfile`."""

    join_s_max: float
    work_kmh_min: float
    work_kmh_max: float


@njit(cache=True, nogil=True)
def legs_of(
    network: Network,
    routes: Routes,
    way: int,
    edge_a: int,
    dir_a: int,
    measure_a_m: float,
    edge_b: int,
    dir_b: int,
    measure_b_m: float,
    expected_m: float,
    leg_edge: NDArray[np.int64],
    leg_dir: NDArray[np.int64],
    leg_from_m: NDArray[np.float64],
    leg_to_m: NDArray[np.float64],
) -> int:
    """Write the legs of a way into the arrays (LEGS_MAX,); how many, or -1 when there are too many."""
    sign = 1.0 if dir_a == 0 else -1.0
    end_m = network.edge_to_m[edge_a] if dir_a == 0 else network.edge_from_m[edge_a]
    begin_m = network.edge_from_m[edge_a] if dir_a == 0 else network.edge_to_m[edge_a]
    leg_edge[0], leg_dir[0], leg_from_m[0] = edge_a, dir_a, measure_a_m
    if way == AHEAD:
        leg_to_m[0] = measure_b_m
        return 1
    n = 1
    if way == TURN:
        gone_m = sign * (measure_b_m - measure_a_m)
        furthest_m = measure_b_m if gone_m > 0.0 else measure_a_m
        over_m = overshoot_m(expected_m, abs(gone_m), abs(end_m - furthest_m))
        leg_to_m[0] = furthest_m + sign * over_m
        leg_edge[1], leg_dir[1] = edge_a, 1 - dir_a
        leg_from_m[1], leg_to_m[1] = leg_to_m[0], measure_b_m
        return 2
    if way == TURN_BY_TAIL:
        node = network.edge_tail[edge_a] if dir_a == 0 else network.edge_head[edge_a]
        entry = network.edge_tail[edge_b] if dir_b == 0 else network.edge_head[edge_b]
        entered_m = abs(
            measure_b_m - (network.edge_from_m[edge_b] if dir_b == 0 else network.edge_to_m[edge_b])
        )
        length_m = abs(measure_a_m - begin_m) + routes.distance_m[node, entry] + entered_m
        over_m = overshoot_m(expected_m, length_m, abs(end_m - measure_a_m))
        leg_to_m[0] = measure_a_m + sign * over_m
        leg_edge[1], leg_dir[1], leg_from_m[1], leg_to_m[1] = edge_a, 1 - dir_a, leg_to_m[0], begin_m
        n = 2
    else:
        node = network.edge_head[edge_a] if dir_a == 0 else network.edge_tail[edge_a]
        leg_to_m[0] = end_m
    entry = network.edge_tail[edge_b] if dir_b == 0 else network.edge_head[edge_b]
    while node != entry:
        if n >= LEGS_MAX - 1:
            return -1
        edge, direction = routes.first[node, entry] // 2, routes.first[node, entry] % 2
        leg_edge[n], leg_dir[n] = edge, direction
        forward = direction == 0
        leg_from_m[n] = network.edge_from_m[edge] if forward else network.edge_to_m[edge]
        leg_to_m[n] = network.edge_to_m[edge] if forward else network.edge_from_m[edge]
        node = network.edge_head[edge] if forward else network.edge_tail[edge]
        n += 1
    leg_edge[n], leg_dir[n] = edge_b, dir_b
    leg_from_m[n] = network.edge_from_m[edge_b] if dir_b == 0 else network.edge_to_m[edge_b]
    leg_to_m[n] = measure_b_m
    return n + 1


@njit(cache=True, nogil=True)
def change_share(network: Network, legs: Legs, first: int, after: int, drive: Drive) -> float:
    """Where along a join, 0 to 1, the working state changes when the fixes at its ends disagree.

    Where the way leaves (or enters) the street of the fix that works; else at a dead end's tip; else half
    way. The join's legs are [first, after).
    """
    line_a = network.edge_line[legs.edge[first]]
    line_b = network.edge_line[legs.edge[after - 1]]
    leaves, enters, tip = -1.0, -1.0, -1.0
    for i in range(first, after):
        line = network.edge_line[legs.edge[i]]
        if line != line_a and leaves < 0.0:
            leaves = legs.from_share[i]
        if line != line_b:
            enters = legs.to_share[i]
        if i > first and legs.edge[i] == legs.edge[i - 1] and legs.direction[i] != legs.direction[i - 1]:
            edge, backwards = legs.edge[i], legs.direction[i] == 1
            node = network.edge_head[edge] if backwards else network.edge_tail[edge]
            end_m = network.edge_to_m[edge] if backwards else network.edge_from_m[edge]
            if network.node_degree[node] == 1 and abs(legs.from_m[i] - end_m) < 1e-6:
                tip = legs.from_share[i]
    if drive.working[legs.step_a[first]] == ON and leaves >= 0.0:
        return leaves
    if drive.working[legs.step_b[first]] == ON and enters >= 0.0:
        return enters
    return tip if tip >= 0.0 else 0.5


@njit(cache=True, nogil=True)
def _way(
    network: Network, routes: Routes, weights: Weights, drive: Drive, a: int, b: int, measure_a_m: float
) -> tuple[int, float]:
    """The way of a join (NO_WAY: a hole) and what the unit should have driven on it."""
    dt_s = (drive.time_us[b] - drive.time_us[a]) * 1e-6
    expected_m = 0.0
    for i in range(a + 1, b + 1):
        expected_m += drive.driven_m[i]
    if math.isnan(expected_m):
        expected_m = math.hypot(drive.x_m[b] - drive.x_m[a], drive.y_m[b] - drive.y_m[a])
    _, way, _ = connect(
        network,
        routes,
        place_on(network, drive.edge[a], drive.direction[a], measure_a_m),
        place_on(network, drive.edge[b], drive.direction[b], drive.measure_m[b]),
        drivable_by(weights, dt_s, expected_m, drive.sigma_m[b]),
    )
    # Fixes between that lie off the network: only on one line is the way through them known.
    if b > a + 1 and network.edge_line[drive.edge[a]] != network.edge_line[drive.edge[b]]:
        way = NO_WAY
    return way, expected_m


@njit(cache=True, nogil=True)
def _in_band(drive: Drive, bounds: Bounds, a: int, b: int, length_m: float) -> bool:
    """Whether the speed of a join is that of work: as reported, else by the path."""
    total, count = 0.0, 0
    for i in range(a + 1, b + 1):
        if not math.isnan(drive.speed_kmh[i]):
            total += drive.speed_kmh[i]
            count += 1
    dt_s = (drive.time_us[b] - drive.time_us[a]) * 1e-6
    speed_kmh = total / count if count > 0 else 3.6 * length_m / dt_s
    return bounds.work_kmh_min < speed_kmh <= bounds.work_kmh_max


@njit(cache=True, nogil=True)
def _write_legs(
    legs: Legs,
    n: int,
    count: int,
    a: int,
    b: int,
    hole: int,
    odometer_m: float,
    in_band: bool,  # noqa: FBT001 - a kernel takes no keywords
    edges: NDArray[np.int64],
    dirs: NDArray[np.int64],
    froms_m: NDArray[np.float64],
    tos_m: NDArray[np.float64],
) -> int:
    """Append a join's legs that have a length; the number of legs after."""
    length_m = np.abs(tos_m[:count] - froms_m[:count]).sum()
    gone_m = 0.0
    for i in range(count):
        leg_m = abs(tos_m[i] - froms_m[i])
        if leg_m == 0.0:
            continue
        legs.step_a[n], legs.step_b[n], legs.hole[n] = a, b, hole
        legs.edge[n], legs.direction[n] = edges[i], dirs[i]
        legs.from_m[n], legs.to_m[n] = froms_m[i], tos_m[i]
        legs.odometer_m[n], legs.in_band[n] = odometer_m + gone_m, in_band
        legs.from_share[n] = gone_m / length_m
        gone_m += leg_m
        legs.to_share[n] = min(1.0, gone_m / length_m)
        n += 1
    return n


@njit(cache=True, nogil=True)
def _join_all(
    network: Network, routes: Routes, weights: Weights, drive: Drive, bounds: Bounds, legs: Legs
) -> int:
    """Write the legs of all joins; how many, or -1 when there may be more than rows."""
    edges, dirs = np.zeros(LEGS_MAX, dtype=np.int64), np.zeros(LEGS_MAX, dtype=np.int64)
    froms_m, tos_m = np.zeros(LEGS_MAX), np.zeros(LEGS_MAX)
    n, holes, odometer_m, a, measure_a_m = 0, 0, 0.0, -1, 0.0
    for b in range(len(drive.time_us)):
        edge_b, dir_b, measure_b_m = drive.edge[b], drive.direction[b], drive.measure_m[b]
        if edge_b < 0:
            continue
        if a < 0:
            a, measure_a_m = b, measure_b_m
            continue
        way, expected_m = _way(network, routes, weights, drive, a, b, measure_a_m)
        edge_a, dir_a, count = drive.edge[a], drive.direction[a], -1
        if way == AHEAD and (measure_b_m - measure_a_m) * (1 - 2 * dir_a) <= 0.0:
            # The noise of a unit that stands doesn't move it back.
            count, measure_b_m = 0, measure_a_m
        elif way != NO_WAY:
            places = (edge_a, dir_a, measure_a_m, edge_b, dir_b, measure_b_m, expected_m)
            count = legs_of(network, routes, way, *places, edges, dirs, froms_m, tos_m)
        if count < 0 or (drive.time_us[b] - drive.time_us[a]) * 1e-6 > bounds.join_s_max:
            holes += 1
        elif count > 0:
            if n + count > len(legs.edge):
                return -1
            length_m = np.abs(tos_m[:count] - froms_m[:count]).sum()
            in_band = _in_band(drive, bounds, a, b, length_m)
            n = _write_legs(legs, n, count, a, b, holes, odometer_m, in_band, edges, dirs, froms_m, tos_m)
            odometer_m += length_m
        a, measure_a_m = b, measure_b_m
    return n


def join_steps(network: Network, routes: Routes, weights: Weights, drive: Drive, bounds: Bounds) -> Legs:
    """The legs of a decoded track."""
    rows = 4 * len(drive.time_us) + LEGS_MAX
    while True:
        legs = _room_for(rows)
        count = _join_all(network, routes, weights, drive, bounds, legs)
        if count >= 0:
            return Legs(**{name: column[:count] for name, column in legs._asdict().items()})
        rows *= 2


def _room_for(rows: int) -> Legs:
    def ints() -> NDArray[np.int64]:
        return np.zeros(rows, dtype=np.int64)

    def floats() -> NDArray[np.float64]:
        return np.zeros(rows, dtype=np.float64)

    return Legs(
        step_a=ints(),
        step_b=ints(),
        edge=ints(),
        direction=ints(),
        hole=ints(),
        from_m=floats(),
        to_m=floats(),
        from_share=floats(),
        to_share=floats(),
        odometer_m=floats(),
        in_band=np.zeros(rows, dtype=np.bool_),
    )
