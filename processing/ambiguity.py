"""Ambiguity: whether another line explains a pass about as well.

The track is decoded once more around the pass, with the pass's street forbidden and both ends held. What
the best explanation loses by that says how sure the pass is.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processing.lattice import OFF
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


class Window(NamedTuple):
    """All that a pass's rival depends on.

    Its line, the rows [low, high), the states in which these begin and end (-1: any), and at which of them
    (from `low` on, the bytes of int64) the unit is on the line.
    """

    line: int
    low: int
    high: int
    start: int
    end: int
    on: bytes


def window_of(
    match: Match, step_line: NDArray[np.int64], line: int, first_step: int, last_step: int
) -> Window | None:
    """The window of the pass on `line` that lies between two steps of a track; None where no step is on it."""
    on = first_step + np.flatnonzero(step_line[first_step : last_step + 1] == line)
    if not len(on):
        return None
    low, high = max(0, int(on[0]) - 1), min(len(match.states), int(on[-1]) + 2)
    start = int(match.states[low]) if low < on[0] else -1
    end = int(match.states[high - 1]) if high - 1 > on[-1] else -1
    return Window(line, low, high, start, end, (on - low).tobytes())


def rival_of(network: Network, routes: Routes, match: Match, window: Window) -> Rival:
    """The best rival of a pass.

    Off the network is no rival: it says that the unit was on no street, not on another one.
    """
    low, high = window.low, window.high
    on = low + np.frombuffer(window.on, dtype=np.int64)
    states = np.empty(high - low, dtype=np.int64)
    held = (network, routes, match.weights, match.window(low, high), window.start, window.end)
    own_logp = decode_between(*held, -1, states)
    rival_logp = decode_between(*held, window.line, states)
    if rival_logp == -math.inf:
        return NO_RIVAL
    # What the bound on lag fixed may be less likely, here, than to leave the network.
    on = on[states[on - low] != OFF]
    if not len(on):
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
