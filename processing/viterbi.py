"""Viterbi: the likeliest sequence of states through a lattice (Viterbi 1967; hidden Markov model).

A step may also break: the unit is somewhere that no way leads to, which costs as much as leaving the network
and coming back. Ties go to the likelier, then the lower state before, so that every machine decodes alike.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.emission import offset_logp
from processing.lattice import OFF, STATES, Lattice, Weights
from processing.network import Network
from processing.route import Routes
from processing.transition import NO_WAY, Drivable, Place, connect, expected_length_m

NO_LOGP = -math.inf
#: A state that is e^25 times less likely than the best of its row is followed no further.
BEAM_LOGP = 25.0


@njit(cache=True, nogil=True)
def drivable_by(weights: Weights, dt_s: float, expected_m: float, sigma_m: float) -> Drivable:
    """What a unit with these weights may drive in a time, when it says it drove so much."""
    return Drivable(
        expected_m,
        weights.beta_m + weights.beta_share * expected_m,
        weights.slip_sigmas * sigma_m,
        weights.top_speed_ms * dt_s + sigma_m,
        weights.turn_logp,
        weights.tip_turn_logp,
        weights.corner_logp,
        weights.enter_logp,
    )


@njit(cache=True, nogil=True)
def _sort_likeliest_first(score: NDArray[np.float64], below: float, order: NDArray[np.int64]) -> int:
    """Put the states that are at most `below` less likely than the best into `order`; how many there are."""
    least = score.max() - below
    n = 0
    for state in range(STATES):
        if score[state] == NO_LOGP or score[state] < least:
            continue
        place = n
        while place > 0 and score[state] > score[order[place - 1]]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = state
        n += 1
    return n


@njit(cache=True, nogil=True)
def _same_edge(places: NDArray[np.void], found: int, edge: int, direction: int) -> int:
    """The state on an edge in a direction; -1 where none of the places lies on it."""
    for k in range(found):
        if places[k].edge == edge:
            return 2 * k + direction
    return -1


@njit(cache=True, nogil=True)
def begin(
    weights: Weights, lattice: Lattice, i: int, logp: NDArray[np.float32], score: NDArray[np.float64]
) -> None:
    """The score of the states of row i, the first, whose own emissions are `logp`."""
    for state in range(STATES):
        score[state] = logp[state]
        if state < OFF and logp[state] > NO_LOGP:
            offset_m = lattice.candidates[i, state // 2].offset_m
            sigma_m = lattice.rows[i].sigma_m
            score[state] += offset_logp(offset_m, 0.0, 0.0, 0.0, sigma_m, weights.white_m)


@njit(cache=True, nogil=True)
def advance(
    network: Network,
    routes: Routes,
    weights: Weights,
    lattice: Lattice,
    i: int,
    logp: NDArray[np.float32],
    back: NDArray[np.int8],
) -> None:
    """One step of the recursion: the score and `back` of the states of row i, whose own emissions are `logp`.

    On entry the lattice holds the score of the row before. Nothing adds to the likelihood, so states are tried
    likeliest first, and those that were less likely before than the best so far is now can't win.
    """
    last, row = lattice.rows[i - 1], lattice.rows[i]
    places_a, places_b = lattice.candidates[i - 1], lattice.candidates[i]
    score, before = lattice.work[0].score, lattice.work[0].before
    order, told = lattice.work[0].order, lattice.work[0].told
    before[:] = score
    dt_s = (row.time_us - last.time_us) * 1e-6
    kept_max, sigma_m, white_m = math.exp(-dt_s / weights.noise_s), row.sigma_m, weights.white_m
    drivable = drivable_by(weights, dt_s, expected_length_m(row.driven_m, row.straight_m), sigma_m)
    n = _sort_likeliest_first(before, BEAM_LOGP, order)
    score[:], back[:] = NO_LOGP, -1
    anew = 0.0
    for b in range(2 * row.found):
        place_b = places_b[b // 2]
        if b % 2 == 0:
            # What the offset says is the same for both directions.
            anew = offset_logp(place_b.offset_m, 0.0, 0.0, kept_max, sigma_m, white_m)
            for k in range(last.found):
                place_a = places_a[k]
                kept = kept_max * (place_a.east * place_b.east + place_a.north * place_b.north)
                told[k] = offset_logp(place_b.offset_m, place_a.offset_m, kept, kept_max, sigma_m, white_m)
        if logp[b] == NO_LOGP:
            continue
        best, best_a = NO_LOGP, -1
        to = Place(2 * place_b.edge + b % 2, place_b.measure_m)
        enter_logp = weights.enter_logp if network.arcs[to.arc].is_street else 0.0
        ahead = _same_edge(places_a, last.found, place_b.edge, b % 2)
        for j in range(-1, n):
            # On along the edge is where most go: tried first, it leaves little to try.
            a = ahead if j < 0 else order[j]
            if a < 0 or before[a] <= best:
                if j < 0:
                    continue
                break
            if j >= 0 and a == ahead:
                continue
            if a == OFF:
                step_logp = weights.switch_logp + anew + enter_logp
            else:
                step_logp = weights.break_logp + anew + enter_logp
                # The way there costs most to find out, so it is asked for only where it may win.
                above_logp = max(step_logp, best - before[a]) - told[a // 2]
                if above_logp < 0.0:
                    at = Place(2 * places_a[a // 2].edge + a % 2, places_a[a // 2].measure_m)
                    way_logp, way, _ = connect(network, routes, at, to, drivable, above_logp)
                    if way != NO_WAY:
                        step_logp = way_logp + told[a // 2]
            if before[a] + step_logp > best:
                best, best_a = before[a] + step_logp, a
        score[b], back[b] = best + logp[b], best_a
    if n > 0 and logp[OFF] > NO_LOGP:
        best_a = order[0]
        best = before[best_a] + (0.0 if best_a == OFF else weights.switch_logp)
        if before[OFF] > best:
            best, best_a = before[OFF], OFF
        score[OFF], back[OFF] = best + logp[OFF], best_a


@njit(cache=True, nogil=True)
def trace_back(rows: NDArray[np.void], low: int, high: int, state: int, states: NDArray[np.int64]) -> None:
    """Fill `states` (n,) of rows [low, high) with the way that ends in `state` at the last of them."""
    for i in range(high - 1, low - 1, -1):
        states[i] = state
        state = rows[i].back[state]


@njit(cache=True, nogil=True)
def meeting(rows: NDArray[np.void], low: int, high: int, score: NDArray[np.float64]) -> tuple[int, int]:
    """The last row of [low, high) at which all survivors have one state in common, and that state.

    `score` is that of row high - 1. Where they share none the row is low - 1.
    """
    alive = np.empty(STATES, np.int64)
    n = 0
    for state in range(STATES):
        if score[state] > NO_LOGP:
            alive[n] = state
            n += 1
    for i in range(high - 1, low - 1, -1):
        kept = 0
        for j in range(n):
            new = True
            for m in range(kept):
                if alive[m] == alive[j]:
                    new = False
                    break
            if new:
                alive[kept] = alive[j]
                kept += 1
        n = kept
        if n == 1:
            return i, alive[0]
        for j in range(n):
            alive[j] = rows[i].back[alive[j]]
    return low - 1, -1


@njit(cache=True, nogil=True)
def keep_best_at(rows: NDArray[np.void], low: int, high: int, score: NDArray[np.float64]) -> None:
    """Fix the best survivor's state at row `low`: survivors of row high - 1 that came another way end."""
    ancestor = np.arange(STATES)
    for i in range(high - 1, low, -1):
        for state in range(STATES):
            if ancestor[state] >= 0:
                ancestor[state] = rows[i].back[ancestor[state]]
    best = ancestor[np.argmax(score)]
    for state in range(STATES):
        if ancestor[state] != best:
            score[state] = NO_LOGP


@njit(cache=True, nogil=True)
def decode_between(
    network: Network,
    routes: Routes,
    weights: Weights,
    lattice: Lattice,
    start_state: int,
    end_state: int,
    banned_line: int,
    states: NDArray[np.int64],
) -> float:
    """Fill `states` (n,) of the lattice's rows (n,) with the likeliest ones; return their log-likelihood.

    A `start_state` or `end_state` of -1 leaves that end free. With a `banned_line` (else -1) no state lies on
    it but for those that are held, and the unit is off the network only where it is in `states` as given:
    a rival to that path is a path on other lines. The rows themselves stay as they are.
    """
    rows, n = lattice.rows, len(lattice.rows)
    back, logp = np.empty((n, STATES), np.int8), np.empty(STATES, np.float32)
    score = lattice.work[0].score
    for i in range(n):
        held = start_state if i == 0 else end_state if i == n - 1 else -1
        for state in range(STATES):
            logp[state] = rows[i].logp[state]
            if held >= 0 and state != held:
                logp[state] = NO_LOGP
            elif held < 0 and banned_line >= 0 and state < 2 * rows[i].found:
                line = network.edges[lattice.candidates[i, state // 2].edge].line
                logp[state] = NO_LOGP if line == banned_line else logp[state]
        if held < 0 and banned_line >= 0 and states[i] != OFF:
            logp[OFF] = NO_LOGP
        if i == 0:
            begin(weights, lattice, i, logp, score)
        else:
            advance(network, routes, weights, lattice, i, logp, back[i])
    state = int(np.argmax(score))
    total = float(score[state])
    for i in range(n - 1, -1, -1):
        states[i] = state
        state = back[i, state]
    return total
