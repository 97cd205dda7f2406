"""Candidates: the edges near a fix, and the nearest measure on each."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.network import CELL_M, Network

#: Edges that a fix may lie on. Where alleys stand 20 m apart, no more than six come within reach of 40 m.
CANDIDATES_MAX = 8


@njit(cache=True, nogil=True)
def find_candidates(
    network: Network,
    x_m: float,
    y_m: float,
    radius_m: float,
    edges: NDArray[np.int32],
    measures_m: NDArray[np.float64],
    distances_m: NDArray[np.float64],
    headings_deg: NDArray[np.float64],
) -> int:
    """Fill the arrays (k,) with the k nearest edges within the radius, one place on each; return how many.

    Nearest first, ties by edge. `headings_deg` is that of the line's measure, clockwise from north.
    """
    k_max, found = len(edges), 0
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
            gone_m = min(s.length_m, max(0.0, px * s.east + py * s.north))
            dx, dy = px - gone_m * s.east, py - gone_m * s.north
            distance_m = math.sqrt(dx * dx + dy * dy)
            if distance_m > radius_m:
                continue
            # Where this edge stands already, or else where it would go at the end.
            place, edge = found, s.edge
            for j in range(found):
                if edges[j] == edge:
                    place = j
                    break
            if place < found and distances_m[place] <= distance_m:
                continue
            if place == found:
                if found < k_max:
                    found += 1
                elif (distance_m, edge) >= (distances_m[found - 1], edges[found - 1]):
                    continue
                else:
                    place = found - 1
            while place > 0 and (distance_m, edge) < (distances_m[place - 1], edges[place - 1]):
                edges[place], measures_m[place] = edges[place - 1], measures_m[place - 1]
                distances_m[place], headings_deg[place] = distances_m[place - 1], headings_deg[place - 1]
                place -= 1
            edges[place], distances_m[place] = edge, distance_m
            measures_m[place] = s.from_m + gone_m
            headings_deg[place] = s.heading_deg
    return found
