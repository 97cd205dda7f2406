"""Ambiguity: whether another line explains a pass about as well.

The track is decoded once more around the pass, with the pass's street forbidden and both ends held. What
the best explanation loses by that says how sure the pass is.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.lattice import OFF, Lattice, Weights
from processing.network import Network
from processing.route import Routes
from processing.rules import Rules
from processing.sweep import Run
from processing.viterbi import decode_between


class Rival(NamedTuple):
    """The line that explains a pass best after its own (-1: none does), and how much less likely it is."""

    line: int
    margin_logp: float


NO_RIVAL = Rival(-1, math.inf)


class Window(NamedTuple):
    """All that a pass's rival depends on.

    Its line, the rows [low, high), the states in which these begin and end (-1: any), and at which of the rows that
    are not held the unit is on the line (bytes of bool).
    """

    line: int
    low: int
    high: int
    start: int
    end: int
    on: bytes


def window_of(run: Run, step_line: NDArray[np.int64]) -> Window | None:
    """The window of a run; None where no step is on its line."""
    if run.low < 0:
        return None
    on = step_line[run.low + (run.start >= 0) : run.high - (run.end >= 0)] == run.line
    return Window(run.line, run.low, run.high, run.start, run.end, on.tobytes())


@njit(cache=True, nogil=True)
def find_windows(states: NDArray[np.int64], step_line: NDArray[np.int64], runs: NDArray[np.void]) -> None:
    """Write each run's window.

    It goes from the run's first step on its line to the last, with a row more at either end where there is one; the
    states of these two are held.
    """
    for r in range(len(runs)):
        run = runs[r]
        first, last = -1, -1
        for step in range(run.first_step, run.last_step + 1):
            if step_line[step] == run.line:
                first, last = step if first < 0 else first, step
        run.low, run.high, run.start, run.end = -1, -1, -1, -1
        if first >= 0:
            run.low, run.high = max(0, first - 1), min(len(states), last + 2)
            if run.low < first:
                run.start = states[run.low]
            if run.high - 1 > last:
                run.end = states[run.high - 1]


def rival_of(network: Network, routes: Routes, weights: Weights, lattice: Lattice, window: Window) -> Rival:
    """The best rival of a pass.

    Off the network is no rival: it says that the unit was on no street, not on another one.
    """
    on = np.frombuffer(window.on, dtype=np.bool_)
    line, low, high, start, end, _ = window
    return Rival(*_rival_of(network, routes, weights, lattice, line, low, high, start, end, on))


@njit(cache=True, nogil=True)
def _rival_of(
    network: Network,
    routes: Routes,
    weights: Weights,
    lattice: Lattice,
    line: int,
    low: int,
    high: int,
    start: int,
    end: int,
    on: NDArray[np.bool_],
) -> tuple[int, float]:
    candidates = lattice.candidates[low:high]
    part = Lattice(lattice.rows[low:high], candidates, lattice.work.copy(), lattice.tip)
    states = np.empty(high - low, dtype=np.int64)
    own_logp = decode_between(network, routes, weights, part, start, end, -1, states)
    rival_logp = decode_between(network, routes, weights, part, start, end, line, states)
    if rival_logp == -math.inf:
        return -1, math.inf
    held = 1 if start >= 0 else 0
    lines = np.empty(len(on), dtype=np.int64)
    n = 0
    for i in range(len(on)):
        state = states[held + i]
        # What the bound on lag fixed may be less likely, here, than to leave the network.
        if on[i] and state != OFF:
            lines[n] = network.edges[candidates[held + i, state // 2].edge].line
            n += 1
    if n == 0:
        return -1, math.inf
    return _most_common(np.sort(lines[:n])), own_logp - rival_logp


@njit(cache=True, nogil=True)
def _most_common(ordered: NDArray[np.int64]) -> int:
    """The number that is there most often, of several the lowest."""
    best, most, first = ordered[0], 0, 0
    for i in range(len(ordered)):
        if ordered[i] != ordered[first]:
            first = i
        if i + 1 - first > most:
            best, most = ordered[i], i + 1 - first
    return int(best)


def certainty(rival: Rival, rules: Rules) -> float:
    """How likely a pass is on its own line and not on its rival's, in thousandths.

    The margin is what the model thinks; what that is worth in the world is measured. The odds that the pass is
    right grow with a power of it (docs/matching.md shows both, and how they were fitted).
    """
    if rival.line < 0:
        return 1.0
    log_odds = rules.certainty_base + rules.certainty_slope * math.log1p(max(0.0, rival.margin_logp))
    return round(1.0 / (1.0 + math.exp(-log_odds)), 3)
