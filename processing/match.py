"""Map matching: where a unit was at each step of a track, by Viterbi over directed candidates.

Fixes that lie nearer to each other than the receiver can tell add nothing but their common error, so the
lattice advances by distance (two sigma, ten metres at most), on a change of the working state, and once a
minute. One kernel takes fixes, whether one at a time as they come or a whole track at once: what the live
path settles is what the whole track gives, because it is the same code over the same rows.

Which state a row has is settled once all survivors share it. Where they still differ within `lag_m_max` of
straight lines, or `LAG_ROWS_MAX` rows, the best one is fixed: block by block, a quarter of that at a time.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.district import UnitProfile
from processing.lattice import BLOCK_ROWS_MAX, LAG_BLOCKS, OFF, Lattice, Weights, new_lattice, put_candidates
from processing.network import Network
from processing.route import Routes
from processing.rules import Rules
from processing.viterbi import advance, begin, keep_best_at, trace_back

STEP_S_MAX = 60.0
#: However little the receiver tells, an alley must not pass by between two steps.
STEP_M_MAX = 10.0
#: Between two fixes further apart than this, speed x time tells no distance.
SPEED_S_MAX = 120.0


class TrackFixes(NamedTuple):
    """A track's fixes in order of time, shapes (n,); metres of the district's plane."""

    time_us: NDArray[np.int64]
    x_m: NDArray[np.float64]
    y_m: NDArray[np.float64]
    speed_kmh: NDArray[np.float64]
    heading_deg: NDArray[np.float64]
    accuracy_m: NDArray[np.float64]
    working: NDArray[np.int8]

    def part(self, low: int, high: int) -> TrackFixes:
        """The fixes [low, high)."""
        return TrackFixes(
            self.time_us[low:high],
            self.x_m[low:high],
            self.y_m[low:high],
            self.speed_kmh[low:high],
            self.heading_deg[low:high],
            self.accuracy_m[low:high],
            self.working[low:high],
        )


class Match(NamedTuple):
    """The decoded track: `rows` (m,) are its steps, with the `candidates` (m, k) of each, as in a lattice.

    `edge` (m,) is -1 off the network.
    """

    rows: NDArray[np.void]
    candidates: NDArray[np.void]
    weights: Weights
    states: NDArray[np.int64]
    edge: NDArray[np.int64]
    direction: NDArray[np.int64]
    measure_m: NDArray[np.float64]

    @property
    def steps(self) -> NDArray[np.int64]:
        """The steps as indexes into the track's fixes."""
        fixes: NDArray[np.int64] = self.rows["fix"]
        return fixes


def weights_of(profile: UnitProfile, rules: Rules) -> Weights:
    """The model's parameters for a kind of unit."""
    off_logp = -0.5 * rules.off_network_sigmas**2
    return Weights(
        sigma_m=rules.sigma_m,
        sigma_m_min=rules.sigma_m_min,
        sigma_m_max=rules.sigma_m_max,
        map_m=rules.map_m,
        white_m=rules.white_m,
        noise_s=rules.noise_s,
        candidate_radius_m=rules.candidate_radius_m,
        heading_sigma_deg=rules.heading_sigma_deg,
        heading_speed_kmh_min=rules.heading_speed_kmh_min,
        step_sigmas=rules.step_sigmas,
        beta_m=rules.beta_m,
        beta_share=rules.beta_share,
        slip_sigmas=rules.slip_sigmas,
        turn_logp=rules.turn_logp,
        tip_turn_logp=rules.tip_turn_logp,
        corner_logp=rules.corner_logp,
        enter_logp=rules.enter_logp,
        off_logp=off_logp,
        switch_logp=rules.off_network_switch_logp,
        break_logp=2.0 * rules.off_network_switch_logp + off_logp,
        top_speed_ms=profile.top_speed_kmh / 3.6,
        join_s_max=rules.join_s_max,
        lag_m_max=rules.lag_m_max,
    )


@njit(cache=True, nogil=True)
def _put_row(
    network: Network,
    routes: Routes,
    weights: Weights,
    lattice: Lattice,
) -> None:
    """Make the tip's fix the next row, and step the recursion to it."""
    rows, tip = lattice.rows, lattice.tip[0]
    i = tip.rows - tip.dropped
    row = rows[i]
    row.fix, row.time_us, row.x_m, row.y_m = tip.fixes - 1, tip.time_us, tip.x_m, tip.y_m
    row.sigma_m, row.driven_m = tip.sigma_m, tip.driven_m
    row.straight_m, row.travelled_m = 0.0, 0.0
    heading_deg = tip.heading_deg if tip.speed_kmh >= weights.heading_speed_kmh_min else math.nan
    put_candidates(network, weights, lattice, i, heading_deg)
    if tip.rows == 0:
        begin(weights, lattice, i, row.logp, lattice.work[0].score)
        row.back[:] = -1
    else:
        last = rows[i - 1]
        row.straight_m = math.hypot(row.x_m - last.x_m, row.y_m - last.y_m)
        row.travelled_m = last.travelled_m + row.straight_m
        advance(network, routes, weights, lattice, i, row.logp, row.back)
    tip.rows += 1
    tip.driven_m, tip.is_row = 0.0, 1
    _bound_lag(weights, lattice)


@njit(cache=True, nogil=True)
def _bound_lag(weights: Weights, lattice: Lattice) -> None:
    """Where the last row ends a block, fix the best survivor's state at the end of the block three before."""
    rows, tip = lattice.rows, lattice.tip[0]
    row, here_m = tip.rows - 1, rows[tip.rows - 1 - tip.dropped].travelled_m
    blocks = tip.blocks
    started = blocks[-1]
    if (
        started >= 0
        and here_m - tip.block_m < weights.lag_m_max / LAG_BLOCKS
        and row - started < BLOCK_ROWS_MAX
    ):
        return
    blocks[:-1] = blocks[1:]
    blocks[-1], tip.block_m = row, here_m
    if blocks[0] >= tip.dropped:
        keep_best_at(rows, blocks[0] - tip.dropped, row + 1 - tip.dropped, lattice.work[0].score)


@njit(cache=True, nogil=True)
def take_fixes(
    network: Network,
    routes: Routes,
    weights: Weights,
    fixes: TrackFixes,
    low: int,
    high: int,
    lattice: Lattice,
) -> None:
    """Take a track's next fixes [low, high) into its lattice, whose tip is zero at the track's start.

    Whether a fix is a row may be known with the next one only: each fix makes two rows at most.
    """
    rows, tip = lattice.rows, lattice.tip[0]
    for i in range(low, high):
        told_m = fixes.accuracy_m[i]
        sigma_m = weights.sigma_m if math.isnan(told_m) else told_m
        sigma_m = math.hypot(min(weights.sigma_m_max, max(weights.sigma_m_min, sigma_m)), weights.map_m)
        first, changed, moved, waited = tip.fixes == 0, False, False, False
        if not first:
            gap_s = (fixes.time_us[i] - tip.time_us) * 1e-6
            changed = fixes.working[i] != tip.working
            # A leap that no unit makes must not be spread over the fixes before it, and a fix whose
            # successor is far off in time is the last that is known before a hole.
            leap_m_max = weights.top_speed_ms * gap_s + sigma_m
            leapt = math.hypot(fixes.x_m[i] - tip.x_m, fixes.y_m[i] - tip.y_m) > leap_m_max
            if tip.is_row == 0 and (changed or leapt or gap_s >= STEP_S_MAX):
                _put_row(network, routes, weights, lattice)
            last = rows[tip.rows - 1 - tip.dropped]
            step_m = min(weights.step_sigmas * sigma_m, STEP_M_MAX)
            moved = math.hypot(fixes.x_m[i] - last.x_m, fixes.y_m[i] - last.y_m) >= step_m
            waited = (fixes.time_us[i] - last.time_us) * 1e-6 >= STEP_S_MAX
            each_m = 0.5 * (tip.speed_kmh + fixes.speed_kmh[i]) / 3.6 * gap_s
            # Over a dropout speeds at its ends say little of what lies between.
            tip.driven_m += math.nan if gap_s > SPEED_S_MAX else each_m
        tip.fixes += 1
        tip.time_us, tip.x_m, tip.y_m = fixes.time_us[i], fixes.x_m[i], fixes.y_m[i]
        tip.speed_kmh, tip.heading_deg = fixes.speed_kmh[i], fixes.heading_deg[i]
        tip.sigma_m, tip.working, tip.is_row = sigma_m, fixes.working[i], 0
        if first or changed or moved or waited:
            _put_row(network, routes, weights, lattice)


@njit(cache=True, nogil=True)
def close_track(network: Network, routes: Routes, weights: Weights, lattice: Lattice) -> int:
    """Make the last fix a row in any case; return the likeliest state of it."""
    if lattice.tip[0].is_row == 0:
        _put_row(network, routes, weights, lattice)
    return int(np.argmax(lattice.work[0].score))


@njit(cache=True, nogil=True)
def write_way(match: Match, low: int, high: int, state: int) -> None:
    """Write the match of rows [low, high), whose last state is known."""
    trace_back(match.rows, low, high, state, match.states)
    for i in range(low, high):
        state = match.states[i]
        match.edge[i], match.direction[i], match.measure_m[i] = -1, state % 2, math.nan
        if state != OFF:
            place = match.candidates[i, state // 2]
            match.edge[i], match.measure_m[i] = place.edge, place.measure_m


@njit(cache=True, nogil=True)
def _match(network: Network, routes: Routes, fixes: TrackFixes, lattice: Lattice, match: Match) -> int:
    take_fixes(network, routes, match.weights, fixes, 0, len(fixes.time_us), lattice)
    state = close_track(network, routes, match.weights, lattice)
    write_way(match, 0, lattice.tip[0].rows, state)
    return int(lattice.tip[0].rows)


def match_track(
    network: Network, routes: Routes, fixes: TrackFixes, profile: UnitProfile, rules: Rules
) -> Match:
    """The likeliest path of a whole track; a pure function of its fixes."""
    n = len(fixes.time_us)
    lattice = new_lattice(n)
    states, edge, direction = np.empty((3, n), dtype=np.int64)
    room = Match(
        lattice.rows, lattice.candidates, weights_of(profile, rules), states, edge, direction, np.empty(n)
    )
    count = _match(network, routes, fixes, lattice, room)
    return Match(
        lattice.rows[:count],
        lattice.candidates[:count],
        room.weights,
        states[:count],
        edge[:count],
        direction[:count],
        room.measure_m[:count],
    )
