"""Where a matcher put each fix, whichever matcher it was, and how often that is wrong.

A fix is wrongly placed when its edge isn't the true one while the true place is more than `NEAR_M` from a
junction: nearer to it nobody can tell, and nothing depends on it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processing.join import ANEW, join_steps
from processing.match import Match, TrackFixes
from processing.network import Network
from processing.pipeline import Core, steps_of
from processing.working import Fixes, place_fixes

NEAR_M = 10.0


class Placed(NamedTuple):
    """Where each fix (n,) was put: its edge, -1 for nowhere, and the measure on the edge's line."""

    edge: NDArray[np.int64]
    measure_m: NDArray[np.float64]


class Counts(NamedTuple):
    """How many fixes there were, how many of them count, and of those how many went wrong or nowhere."""

    fixes: int
    judged: int
    wrong: int
    nowhere: int

    def __add__(self, other: object) -> Counts:
        """The counts of both."""
        assert isinstance(other, Counts)
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))


def placed_fixes(core: Core, fixes: TrackFixes, match: Match) -> Placed:
    """Where swept has each fix of a track: on the joined path; where that has a hole, at the last step."""
    legs, path = join_steps(core.network, core.routes, match.weights, steps_of(fixes, match), ANEW)
    nothing = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int8)
    told = Fixes(fixes.time_us, fixes.speed_kmh, fixes.working, *nothing)
    at_m = place_fixes(told, match.steps, path, bool(np.isnan(fixes.speed_kmh).all()))
    step = np.maximum(np.searchsorted(match.steps, np.arange(len(at_m)), side="right") - 1, 0)
    edge = match.edge[step].astype(np.int64)
    measure_m = np.where(edge >= 0, match.measure_m[step], np.nan)
    if len(legs.edge) == 0:
        return Placed(edge, measure_m)
    leg = np.clip(np.searchsorted(legs.path_m, at_m, side="right") - 1, 0, None)
    between = ~np.isnan(at_m)
    between[match.steps] = False
    on, along_m = leg[between], at_m[between] - legs.path_m[leg[between]]
    sign = np.where(legs.direction[on] == 0, 1.0, -1.0)
    edge[between], measure_m[between] = legs.edge[on], legs.from_m[on] + sign * along_m
    return Placed(edge, measure_m)


def edge_at(network: Network, line: NDArray[np.int64], measure_m: NDArray[np.float64]) -> NDArray[np.int64]:
    """The edge at each measure of a line; at a cut the one before it."""
    edges = network.edges
    longest_m = 2.0 * float(network.arcs["line_end_m"].max())
    ends = edges["line"] * longest_m + edges["to_m"]
    last = np.searchsorted(edges["line"], line, side="right") - 1
    return np.minimum(np.searchsorted(ends, line * longest_m + measure_m), last).astype(np.int64)


def judge(network: Network, found: Placed, line: NDArray[np.int64], measure_m: NDArray[np.float64]) -> Counts:
    """How many of the fixes whose true places are given were placed wrongly."""
    true = edge_at(network, line, measure_m)
    edges = network.edges[true]
    # At a dead end's tip there is nothing to confuse.
    from_m = np.where(edges["tail_degree"] > 1, edges["from_m"], -np.inf)
    to_m = np.where(edges["head_degree"] > 1, edges["to_m"], np.inf)
    judged = np.minimum(measure_m - from_m, to_m - measure_m) > NEAR_M
    nowhere = found.edge < 0
    wrong = judged & ~nowhere & (found.edge != true)
    return Counts(len(true), int(judged.sum()), int(wrong.sum()), int((judged & nowhere).sum()))
