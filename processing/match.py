"""Map matching: where a unit was at each step of a track, by Viterbi over directed candidates.

Fixes that lie nearer to each other than the receiver can tell add nothing but their common error, so the
lattice advances by distance (two sigma, ten metres at most), on a change of the working state, and once a
minute.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.candidate import find_candidates
from processing.district import UnitProfile
from processing.network import Network
from processing.route import Routes
from processing.rules import Rules
from processing.viterbi import Lattice, Weights, decode_states

STEP_S_MAX = 60.0
#: However little the receiver tells, an alley must not pass by between two steps.
STEP_M_MAX = 10.0
#: Between two fixes further apart than this, speed x time tells no distance.
SPEED_S_MAX = 120.0


@dataclass(frozen=True, slots=True, eq=False)
class TrackFixes:
    """A track's fixes in order of time, shapes (n,); metres of the district's plane."""

    time_us: NDArray[np.int64]
    x_m: NDArray[np.float64]
    y_m: NDArray[np.float64]
    speed_kmh: NDArray[np.float64]
    heading_deg: NDArray[np.float64]
    accuracy_m: NDArray[np.float64]
    working: NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """The decoded track: steps (m,) are indexes into the fixes, `edge` is -1 off the network."""

    steps: NDArray[np.int64]
    lattice: Lattice
    weights: Weights
    states: NDArray[np.int64]
    edge: NDArray[np.int64]
    direction: NDArray[np.int64]
    measure_m: NDArray[np.float64]


def weights_of(profile: UnitProfile, rules: Rules) -> Weights:
    """The model's parameters for a kind of unit."""
    off_logp = -0.5 * rules.off_network_sigmas**2
    return Weights(
        heading_sigma_deg=rules.heading_sigma_deg,
        beta_m=rules.beta_m,
        beta_share=rules.beta_share,
        slip_sigmas=rules.slip_sigmas,
        turn_logp=rules.turn_logp,
        tip_turn_logp=rules.tip_turn_logp,
        off_logp=off_logp,
        switch_logp=rules.off_network_switch_logp,
        break_logp=2.0 * rules.off_network_switch_logp + off_logp,
        top_speed_ms=profile.top_speed_kmh / 3.6,
        join_s_max=rules.join_s_max,
        lag_m_max=rules.lag_m_max,
    )


@njit(cache=True, nogil=True)
def _choose_steps(
    time_us: NDArray[np.int64],
    x_m: NDArray[np.float64],
    y_m: NDArray[np.float64],
    sigma_m: NDArray[np.float64],
    working: NDArray[np.int8],
    step_sigmas: float,
    top_speed_ms: float,
) -> NDArray[np.int64]:
    n = len(time_us)
    steps = np.empty(n, dtype=np.int64)
    steps[0] = 0
    count, last = 1, 0
    for i in range(1, n):
        changed = working[i] != working[i - 1]
        step_m = min(step_sigmas * sigma_m[i], STEP_M_MAX)
        # A leap that no unit makes must not be spread over the fixes before it.
        leap_m_max = top_speed_ms * (time_us[i] - time_us[i - 1]) * 1e-6 + sigma_m[i]
        leapt = math.hypot(x_m[i] - x_m[i - 1], y_m[i] - y_m[i - 1]) > leap_m_max
        if (changed or leapt) and last != i - 1:
            steps[count], last = i - 1, i - 1
            count += 1
        moved = math.hypot(x_m[i] - x_m[last], y_m[i] - y_m[last]) >= step_m
        waited = (time_us[i] - time_us[last]) * 1e-6 >= STEP_S_MAX
        # A fix whose successor is far off in time is the last that is known before a hole.
        alone = i + 1 < n and (time_us[i + 1] - time_us[i]) * 1e-6 >= STEP_S_MAX
        if changed or moved or waited or alone or i == n - 1:
            steps[count], last = i, i
            count += 1
    return steps[:count]


@njit(cache=True, nogil=True)
def _candidates(
    network: Network,
    x_m: NDArray[np.float64],
    y_m: NDArray[np.float64],
    radii_m: NDArray[np.float64],
    count: NDArray[np.int64],
    edge: NDArray[np.int64],
    measure_m: NDArray[np.float64],
    distance_m: NDArray[np.float64],
    heading_deg: NDArray[np.float64],
) -> None:
    for i in range(len(x_m)):
        count[i] = find_candidates(
            network, x_m[i], y_m[i], radii_m[i], edge[i], measure_m[i], distance_m[i], heading_deg[i]
        )


def match_track(
    network: Network, routes: Routes, fixes: TrackFixes, profile: UnitProfile, rules: Rules
) -> Match:
    """The likeliest path of a whole track; a pure function of its fixes."""
    told = np.where(np.isnan(fixes.accuracy_m), rules.sigma_m, fixes.accuracy_m)
    sigma_m = np.clip(told, rules.sigma_m_min, rules.sigma_m_max)
    weights = weights_of(profile, rules)
    steps = _choose_steps(
        fixes.time_us,
        fixes.x_m,
        fixes.y_m,
        sigma_m,
        fixes.working,
        rules.step_sigmas,
        weights.top_speed_ms,
    )
    lattice = _lattice(network, fixes, steps, sigma_m[steps], rules)
    states = np.full(len(steps), -1, dtype=np.int64)
    decode_states(network, routes, lattice, weights, 0, len(steps), -1, -1, -1, states)
    on = states < 2 * rules.candidates_max
    row, k = np.arange(len(steps)), np.where(on, states // 2, 0)
    return Match(
        steps=steps,
        lattice=lattice,
        weights=weights,
        states=states,
        edge=np.where(on, lattice.edge[row, k], -1),
        direction=states % 2,
        measure_m=lattice.measure_m[row, k],
    )


def _lattice(
    network: Network,
    fixes: TrackFixes,
    steps: NDArray[np.int64],
    sigma_m: NDArray[np.float64],
    rules: Rules,
) -> Lattice:
    n, k = len(steps), rules.candidates_max
    time_us, x_m, y_m = fixes.time_us[steps], fixes.x_m[steps], fixes.y_m[steps]
    heading_deg = np.where(
        fixes.speed_kmh[steps] >= rules.heading_speed_kmh_min, fixes.heading_deg[steps], np.nan
    )
    straight_m = np.hypot(np.diff(x_m, prepend=x_m[0]), np.diff(y_m, prepend=y_m[0]))
    count = np.zeros(n, dtype=np.int64)
    edge = np.full((n, k), -1, dtype=np.int64)
    measure_m, distance_m, edge_heading_deg = np.zeros((n, k)), np.zeros((n, k)), np.zeros((n, k))
    # Beyond five sigma leaving the network is always likelier, and a place there never wins.
    radii_m = np.minimum(rules.candidate_radius_m, 5.0 * sigma_m)
    _candidates(network, x_m, y_m, radii_m, count, edge, measure_m, distance_m, edge_heading_deg)
    return Lattice(
        dt_s=np.diff(time_us, prepend=time_us[0]) * 1e-6,
        straight_m=straight_m,
        driven_m=driven_between_m(fixes, steps),
        travelled_m=np.cumsum(straight_m),
        sigma_m=sigma_m,
        heading_deg=heading_deg,
        found=count,
        edge=edge,
        measure_m=measure_m,
        distance_m=distance_m,
        edge_heading_deg=edge_heading_deg,
    )


def driven_between_m(fixes: TrackFixes, steps: NDArray[np.int64]) -> NDArray[np.float64]:
    """Metres driven since the step before by the unit's own speeds; NaN where one is not told.

    Over a dropout speeds at its ends say little of what lies between: there too it is NaN.
    """
    dt_s = np.diff(fixes.time_us) * 1e-6
    speed_ms = fixes.speed_kmh / 3.6
    each_m = 0.5 * (speed_ms[1:] + speed_ms[:-1]) * dt_s
    silent = np.isnan(each_m) | (dt_s > SPEED_S_MAX)
    odometer_m = np.concatenate([[0.0], np.cumsum(np.where(silent, 0.0, each_m))])
    silences = np.concatenate([[0], np.cumsum(silent)])
    driven_m = np.diff(odometer_m[steps], prepend=0.0)
    return np.where(np.diff(silences[steps], prepend=0) > 0, np.nan, driven_m)
