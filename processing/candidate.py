"""Candidates: the edges near a fix, and the nearest measure on each."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.network import CELL_M, Network

#: Edges that a fix may lie on. Where alleys stand 20 m apart, no more than six come within reach of 40 m.
CANDIDATES_MAX = 8


#: A place near a fix, the nearest on its edge: how far off it lies, split in how far the fix lies to the right of
#: the line, seen along its measure, and how far beyond an end or a bend; and the line's direction there, as a unit
#: vector and clockwise from north in (-180, 180].
CANDIDATE = np.dtype(
    [
        ("measure_m", "f8"),
        ("edge", "i4"),
        ("distance_m", "f4"),
        ("offset_m", "f4"),
        ("beyond_m", "f4"),
        ("east", "f4"),
        ("north", "f4"),
        ("heading_deg", "f4"),
    ],
    align=True,
)


@njit(cache=True, nogil=True)
def find_candidates(
    network: Network, x_m: float, y_m: float, radius_m: float, candidates: NDArray[np.void]
) -> int:
    """Fill `candidates` (k,), nearest first, with the k nearest edges within the radius; return how many.

    One place on each edge; ties go to the lower edge.
    """
    k_max, found = len(candidates), 0
    first_column = max(0, math.floor((x_m - radius_m - network.grid_x_m) / CELL_M))
    last_column = min(network.grid_columns - 1, math.floor((x_m + radius_m - network.grid_x_m) / CELL_M))
    first_row = max(0, math.floor((y_m - radius_m - network.grid_y_m) / CELL_M))
    last_row = min(network.grid_rows - 1, math.floor((y_m + radius_m - network.grid_y_m) / CELL_M))
    if first_column > last_column:
        return 0
    for row in range(first_row, last_row + 1):
        # The cells of a row stand next to each other, and so do their segments.
        low = network.cell_start[row * network.grid_columns + first_column]
        high = network.cell_start[row * network.grid_columns + last_column + 1]
        for i in range(low, high):
            s = network.segments[i]
            px, py = x_m - s.x_m, y_m - s.y_m
            along_m = px * s.east + py * s.north
            gone_m = min(s.length_m, max(0.0, along_m))
            offset_m, beyond_m = px * s.north - py * s.east, abs(along_m - gone_m)
            square = offset_m * offset_m + beyond_m * beyond_m
            if square > radius_m * radius_m:
                continue
            distance_m = float(np.float32(math.sqrt(square)))
            # Where this edge stands already, or else where it would go at the end.
            place, edge = found, s.edge
            for j in range(found):
                if candidates[j].edge == edge:
                    place = j
                    break
            if place < found and candidates[place].distance_m <= distance_m:
                continue
            if place == found:
                if found < k_max:
                    found += 1
                else:
                    place = found - 1
                    last = candidates[place]
                    if not _comes_before(distance_m, edge, last.distance_m, last.edge):
                        continue
            while place > 0:
                other = candidates[place - 1]
                if not _comes_before(distance_m, edge, other.distance_m, other.edge):
                    break
                candidates[place] = candidates[place - 1]
                place -= 1
            candidate = candidates[place]
            candidate.edge, candidate.measure_m = edge, s.from_m + gone_m
            candidate.distance_m, candidate.offset_m, candidate.beyond_m = distance_m, offset_m, beyond_m
            candidate.east, candidate.north, candidate.heading_deg = s.east, s.north, s.heading_deg
    return found


@njit(cache=True, nogil=True)
def _comes_before(one_m: float, one_edge: int, other_m: float, other_edge: int) -> bool:
    return one_m < other_m or (one_m == other_m and one_edge < other_edge)
