"""Walls: stretches of streets between high walls, where every receiver is pushed across the street.

A burst comes and goes with time; walls stay. The push depends on the place alone, changes slowly along the
street and is the same for each unit that comes by, so that no number of passes averages it away.
"""

from __future__ import annotations

import zlib
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as validated

from simulators.roads import Centreline, Roads

#: How far apart the places are between which a push changes linearly.
KNOT_M = 50.0
#: How likely the push goes to the other side from one knot of walls to the next.
SWITCH_SHARE = 0.2

Amount = Annotated[float, Field(ge=0.0)]


@validated(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class Walls:
    """How much of the streets and roads stands between walls, and what these do to a receiver."""

    #: Share of the length between walls.
    share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    #: The push across the street, varying by half from place to place.
    push_m: Amount = 8.0
    #: Noise of each axis that is added to the receiver's own.
    sigma_m: Amount = 5.0

    def at(
        self, roads: Roads, line: NDArray[np.int64], measure_m: NDArray[np.float64], seed: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """At n places: (metres of the push to the right of the measure, metres of added noise).

        Walls of another seed stand elsewhere.
        """
        push_m, sigma_m = np.zeros(len(line)), np.zeros(len(line))
        if self.share > 0.0:
            for i in np.unique(line).tolist():
                rows = line == i
                knots_m, pushes = _knots(roads.lines[i], self.share, seed)
                push_m[rows] = np.interp(measure_m[rows], knots_m, pushes) * self.push_m
                sigma_m[rows] = np.interp(measure_m[rows], knots_m, np.abs(pushes)) * self.sigma_m
        return push_m, sigma_m


def _knots(line: Centreline, share: float, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The knots of a line in metres and the push at each, in units of `push_m`, 0 in the open."""
    rng = np.random.default_rng([seed, zlib.crc32(line.line.line_id.encode())])
    knots_m = np.arange(0.0, line.length_m + KNOT_M, KNOT_M)
    n = len(knots_m)
    walled = rng.random(n) < share
    side = rng.choice([-1.0, 1.0]) * np.cumprod(np.where(rng.random(n) < SWITCH_SHARE, -1.0, 1.0))
    return knots_m, walled * side * rng.uniform(0.5, 1.5, n)
