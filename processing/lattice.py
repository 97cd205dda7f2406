"""The lattice: the steps of a track as rows, each with the places the unit may be at, and how likely.

A state of a row is a candidate with a direction, 2 * candidate + dir, or off the network, the last one. A
row is one record of fixed size, so that a unit's whole state is a block of memory of known size, and a
kernel that takes one more fix touches nothing else.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.candidate import CANDIDATE, CANDIDATES_MAX, find_candidates
from processing.emission import between_deg, beyond_logp, heading_logp
from processing.network import Network

#: The state off the network, and how many states there are.
OFF = 2 * CANDIDATES_MAX
STATES = OFF + 1

#: A step. `fix` counts the track's fixes from 0. `driven_m` is what the unit says it drove since the step
#: before (NaN: not told), `straight_m` the straight line, `travelled_m` the sum of straight lines. `logp` is
#: what each state's place and heading say, minus infinity where there is no such state; what its offset says
#: depends on the state before. `back` is the state of the step before from which it is reached best, -1 from
#: none.
ROW = np.dtype(
    [
        ("fix", "i8"),
        ("time_us", "i8"),
        ("x_m", "f8"),
        ("y_m", "f8"),
        ("sigma_m", "f8"),
        ("straight_m", "f8"),
        ("driven_m", "f8"),
        ("travelled_m", "f8"),
        ("found", "i8"),
        ("logp", "f4", (STATES,)),
        ("back", "i1", (STATES,)),
    ],
    align=True,
)

#: What a step of the recursion works on: each state's log-likelihood, that of the row before, the states in
#: order of it, and what a candidate's offset says after each of the row before.
WORK = np.dtype(
    [
        ("score", "f8", (STATES,)),
        ("before", "f8", (STATES,)),
        ("order", "i8", (STATES,)),
        ("told", "f8", (CANDIDATES_MAX,)),
    ],
    align=True,
)

#: Lag: what is unsettled spans so many blocks, each of a part of `lag_m_max` or of so many rows, since a unit
#: that only switches its brush on and off travels no metre.
LAG_BLOCKS, BLOCK_ROWS_MAX = 4, 128
LAG_ROWS_MAX = LAG_BLOCKS * BLOCK_ROWS_MAX

#: What is known of a track besides its rows: how many fixes and rows it has, and how many of these, all settled,
#: are no longer held; the last fix and whether it is a row; what the unit drove since the last
#: row; the rows at which the last blocks ended (oldest first, -1: none) and the metres at the last of them.
TIP = np.dtype(
    [
        ("fixes", "i8"),
        ("rows", "i8"),
        ("dropped", "i8"),
        ("time_us", "i8"),
        ("x_m", "f8"),
        ("y_m", "f8"),
        ("speed_kmh", "f8"),
        ("heading_deg", "f8"),
        ("sigma_m", "f8"),
        ("driven_m", "f8"),
        ("working", "i8"),
        ("is_row", "i8"),
        ("block_m", "f8"),
        ("blocks", "i8", (LAG_BLOCKS,)),
    ],
    align=True,
)


class Lattice(NamedTuple):
    """All that a unit's matching knows.

    `rows` (n,), `work` (1,) and `tip` (1,) are of the dtypes above, `candidates` (n, k) of `CANDIDATE`.
    """

    rows: NDArray[np.void]
    candidates: NDArray[np.void]
    work: NDArray[np.void]
    tip: NDArray[np.void]


class Weights(NamedTuple):
    """The parameters of the model; see `processing.rules.Rules`."""

    sigma_m: float
    sigma_m_min: float
    sigma_m_max: float
    map_m: float
    white_m: float
    noise_s: float
    candidate_radius_m: float
    heading_sigma_deg: float
    heading_speed_kmh_min: float
    step_sigmas: float
    beta_m: float
    beta_share: float
    slip_sigmas: float
    turn_logp: float
    tip_turn_logp: float
    corner_logp: float
    enter_logp: float
    off_logp: float
    switch_logp: float
    break_logp: float
    top_speed_ms: float
    join_s_max: float
    lag_m_max: float


def new_lattice(rows: int) -> Lattice:
    """The lattice of a track that begins, with room for so many rows; what they hold is not said."""
    tip = np.zeros(1, dtype=TIP)
    tip["blocks"] = -1
    candidates = np.empty((rows, CANDIDATES_MAX), dtype=CANDIDATE)
    return Lattice(np.empty(rows, dtype=ROW), candidates, np.empty(1, dtype=WORK), tip)


@njit(cache=True, nogil=True)
def put_candidates(network: Network, weights: Weights, lattice: Lattice, i: int, heading_deg: float) -> None:
    """Fill row i, whose place is set, with its candidates and with what their places and headings say."""
    row, candidates = lattice.rows[i], lattice.candidates[i]
    # Beyond five sigma leaving the network is always likelier, and a place there never wins.
    radius_m = min(weights.candidate_radius_m, 5.0 * row.sigma_m)
    found = find_candidates(network, row.x_m, row.y_m, radius_m, candidates)
    row.found = found
    logp = row.logp
    logp[2 * found :] = -math.inf
    logp[OFF] = weights.off_logp
    for k in range(found):
        place = candidates[k]
        own_logp = beyond_logp(place.beyond_m, row.sigma_m)
        off_deg = between_deg(heading_deg, place.heading_deg)
        logp[2 * k] = own_logp + heading_logp(off_deg, weights.heading_sigma_deg)
        logp[2 * k + 1] = -math.inf
        if not network.edges[place.edge].oneway:
            logp[2 * k + 1] = own_logp + heading_logp(180.0 - off_deg, weights.heading_sigma_deg)
