"""Viterbi: the likeliest sequence of states of a track (Viterbi 1967; hidden Markov model).

A state is a candidate with a direction, 2 * candidate + dir, or `off the network`, the last one. A step
may also break: the unit is somewhere that no way leads to, which costs as much as leaving the network and
coming back. Ties go to the lower state, so that every machine decodes alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.emission import emission_logp
from processing.network import Network
from processing.route import Routes
from processing.transition import Drivable, connect, expected_length_m, place_on


class Weights(NamedTuple):
    """The parameters of the model; see `processing.rules.Rules`."""

    heading_sigma_deg: float
    beta_m: float
    beta_share: float
    slip_sigmas: float
    turn_logp: float
    tip_turn_logp: float
    off_logp: float
    switch_logp: float
    break_logp: float
    top_speed_ms: float
    join_s_max: float
    lag_m_max: float


class Lattice(NamedTuple):
    """Steps (n,) of a track and the candidates (n, k) of each.

    `driven_m` is what the unit drove since the step before (NaN: not told), `straight_m` the straight
    line. `found` (n,) says how many of the k candidates there are.
    """

    dt_s: NDArray[np.float64]
    straight_m: NDArray[np.float64]
    driven_m: NDArray[np.float64]
    travelled_m: NDArray[np.float64]
    sigma_m: NDArray[np.float64]
    heading_deg: NDArray[np.float64]
    found: NDArray[np.int64]
    edge: NDArray[np.int64]
    measure_m: NDArray[np.float64]
    distance_m: NDArray[np.float64]
    edge_heading_deg: NDArray[np.float64]


@njit(cache=True, nogil=True)
def _emissions(
    network: Network,
    lattice: Lattice,
    weights: Weights,
    step: int,
    banned_line: int,
    out: NDArray[np.float64],
) -> None:
    """Log-likelihood of each state of a step; impossible ones are minus infinity."""
    out[:] = -np.inf
    out[-1] = weights.off_logp
    for k in range(lattice.found[step]):
        edge = lattice.edge[step, k]
        if network.edge_line[edge] == banned_line:
            continue
        heading = lattice.edge_heading_deg[step, k]
        args = (lattice.distance_m[step, k], lattice.sigma_m[step], lattice.heading_deg[step])
        out[2 * k] = emission_logp(args[0], args[1], args[2], heading, weights.heading_sigma_deg)
        if not network.edge_oneway[edge]:
            out[2 * k + 1] = emission_logp(
                args[0], args[1], args[2], heading + 180.0, weights.heading_sigma_deg
            )


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
    )


@njit(cache=True, nogil=True)
def _sort_likeliest_first(before: NDArray[np.float64], order: NDArray[np.int64]) -> int:
    """Put the possible states into `order`, ties by state; how many there are."""
    n = 0
    for state in range(len(before)):
        if before[state] == -np.inf:
            continue
        place = n
        while place > 0 and before[state] > before[order[place - 1]]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = state
        n += 1
    return n


@njit(cache=True, nogil=True)
def _advance(
    network: Network,
    routes: Routes,
    lattice: Lattice,
    weights: Weights,
    step: int,
    before: NDArray[np.float64],
    emission: NDArray[np.float64],
    order: NDArray[np.int64],
    score: NDArray[np.float64],
    back: NDArray[np.int16],
) -> None:
    """One step of the recursion: `score` and `back` of the states at `step`.

    No transition adds to the likelihood, so states are tried likeliest first, and those that were less
    likely before than the best so far is now can't win.
    """
    off = len(score) - 1
    expected_m = expected_length_m(lattice.driven_m[step], lattice.straight_m[step])
    drivable = drivable_by(weights, lattice.dt_s[step], expected_m, lattice.sigma_m[step])
    n = _sort_likeliest_first(before, order)
    for b in range(off + 1):
        best, best_a = -np.inf, -1
        if emission[b] > -np.inf:
            k = b // 2 if b < off else 0
            to = place_on(network, lattice.edge[step, k], b % 2, lattice.measure_m[step, k])
            for i in range(n):
                a = order[i]
                if before[a] <= best:
                    break
                if a == off == b:
                    logp = 0.0
                elif off in (a, b):
                    logp = weights.switch_logp
                else:
                    edge, measure_m = lattice.edge[step - 1, a // 2], lattice.measure_m[step - 1, a // 2]
                    logp, _, _ = connect(
                        network, routes, place_on(network, edge, a % 2, measure_m), to, drivable
                    )
                    logp = max(logp, weights.break_logp)
                if before[a] + logp > best:
                    best, best_a = before[a] + logp, a
        score[b], back[b] = best + emission[b], best_a


@njit(cache=True, nogil=True)
def _fix_oldest(back: NDArray[np.int16], score: NDArray[np.float64], row: int, settle: int) -> None:
    """Past the lag bound the best survivor's state at row `settle` is fixed: other survivors end here."""
    best = int(np.argmax(score))
    ancestor = np.arange(len(score))
    for i in range(row, settle, -1):
        for s in range(len(score)):
            if ancestor[s] >= 0:
                ancestor[s] = back[i, ancestor[s]]
    for s in range(len(score)):
        if ancestor[s] != ancestor[best]:
            score[s] = -np.inf


@njit(cache=True, nogil=True)
def decode_states(
    network: Network,
    routes: Routes,
    lattice: Lattice,
    weights: Weights,
    low: int,
    high: int,
    start_state: int,
    end_state: int,
    banned_line: int,
    states: NDArray[np.int64],
) -> float:
    """Fill `states` [low, high) with the likeliest ones; return their log-likelihood.

    A `start_state` or `end_state` of -1 leaves that end free. No state lies on `banned_line` (-1: none),
    but for one that is held.
    """
    n_states = 2 * lattice.edge.shape[1] + 1
    back = np.full((high - low, n_states), -1, dtype=np.int16)
    emission, score, before = np.empty(n_states), np.empty(n_states), np.empty(n_states)
    order = np.empty(n_states, dtype=np.int64)
    _emissions(network, lattice, weights, low, banned_line, before)
    if start_state >= 0:
        before[:] = -np.inf
        before[start_state] = 0.0
    settled = low
    for step in range(low + 1, high):
        held = step == high - 1 and end_state >= 0
        _emissions(network, lattice, weights, step, -1 if held else banned_line, emission)
        if held:
            kept = emission[end_state]
            emission[:] = -np.inf
            emission[end_state] = kept
        _advance(network, routes, lattice, weights, step, before, emission, order, score, back[step - low])
        if lattice.travelled_m[step] - lattice.travelled_m[settled] > weights.lag_m_max:
            while lattice.travelled_m[step] - lattice.travelled_m[settled] > 0.75 * weights.lag_m_max:
                settled += 1
            _fix_oldest(back, score, step - low, settled - low)
        score, before = before, score
    state = int(np.argmax(before))
    total = float(before[state])
    for step in range(high - 1, low - 1, -1):
        states[step] = state
        state = back[step - low, state]
    return total
