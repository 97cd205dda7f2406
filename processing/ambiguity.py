"""Ambiguity: whether another line explains a pass about as well.

The track is decoded once more around the pass, with the pass's street forbidden and both ends held. What
the best explanation loses by that says how sure the pass is.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from processing.match import Match
from processing.network import Network
from processing.route import Routes
from processing.rules import Rules
from processing.viterbi import decode_between


class Rival(NamedTuple):
    """The line that explains a pass best after its own (-1: none does), and how much less likely it is."""

    line: int
    margin_logp: float


NO_RIVAL = Rival(-1, math.inf)


def rival_of(
    network: Network, routes: Routes, match: Match, line: int, first_step: int, last_step: int
) -> Rival:
    """The best rival of the pass on `line` that lies between two steps of a track.

    Off the network is no rival: it says that the unit was on no street, not on another one.
    """
    lines = np.where(match.edge >= 0, network.edge_line[match.edge], -1)
    on = first_step + np.flatnonzero(lines[first_step : last_step + 1] == line)
    if not len(on):
        return NO_RIVAL
    low, high = max(0, int(on[0]) - 1), min(len(match.states), int(on[-1]) + 2)
    start = int(match.states[low]) if low < on[0] else -1
    end = int(match.states[high - 1]) if high - 1 > on[-1] else -1
    states = np.empty(high - low, dtype=np.int64)
    window = (network, routes, match.weights, match.window(low, high), start, end)
    own_logp = decode_between(*window, -1, states)
    rival_logp = decode_between(*window, line, states)
    if rival_logp == -math.inf:
        return NO_RIVAL
    edges = match.candidates["edge"][on, states[on - low] // 2]
    return Rival(int(np.bincount(network.edge_line[edges]).argmax()), own_logp - rival_logp)


def certainty(rival: Rival, rules: Rules) -> float:
    """How likely a pass is on its own line and not on its rival's, in thousandths.

    The margin is what the model thinks; what that is worth in the world is measured. The odds that the pass is
    right grow with a power of it (docs/matching.md shows both, and how they were fitted).
    """
    if rival.line < 0:
        return 1.0
    log_odds = rules.certainty_base + rules.certainty_slope * math.log1p(max(0.0, rival.margin_logp))
    return round(1.0 / (1.0 + math.exp(-log_odds)), 3)
