"""Candidates: the edges near a fix, and the nearest measure on each."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.network import CELL_M, Network


@njit(cache=True, nogil=True)
def find_candidates(
    network: Network,
    x_m: float,
    y_m: float,
    radius_m: float,
    edges: NDArray[np.int64],
    measures_m: NDArray[np.float64],
    distances_m: NDArray[np.float64],
    headings_deg: NDArray[np.float64],
) -> int:
    """Fill the arrays (k,) with the k nearest edges within the radius, one place on each; return how many.

    Nearest first, ties by edge. `headings_deg` is that of the line's measure, clockwise from north.
    """
    k_max, found = len(edges), 0
    reach = math.ceil(radius_m / CELL_M)
    column = math.floor((x_m - network.grid_x_m) / CELL_M)
    row = math.floor((y_m - network.grid_y_m) / CELL_M)
    for r in range(max(0, row - reach), min(network.grid_rows, row + reach + 1)):
        for c in range(max(0, column - reach), min(network.grid_columns, column + reach + 1)):
            cell = r * network.grid_columns + c
            for i in range(network.cell_start[cell], network.cell_start[cell + 1]):
                s = network.cell_segments[i]
                dx = network.segment_x1_m[s] - network.segment_x0_m[s]
                dy = network.segment_y1_m[s] - network.segment_y0_m[s]
                px, py = x_m - network.segment_x0_m[s], y_m - network.segment_y0_m[s]
                share = min(1.0, max(0.0, (px * dx + py * dy) / (dx * dx + dy * dy)))
                distance = math.hypot(px - share * dx, py - share * dy)
                if distance > radius_m:
                    continue
                edge = network.segment_edge[s]
                # Where this edge stands already, or else where it would go at the end.
                place = found
                for j in range(found):
                    if edges[j] == edge:
                        place = j
                        break
                if place < found and distances_m[place] <= distance:
                    continue
                if place == found:
                    if found < k_max:
                        found += 1
                    elif (distance, edge) >= (distances_m[found - 1], edges[found - 1]):
                        continue
                    else:
                        place = found - 1
                while place > 0 and (distance, edge) < (distances_m[place - 1], edges[place - 1]):
                    edges[place], measures_m[place] = edges[place - 1], measures_m[place - 1]
                    distances_m[place], headings_deg[place] = distances_m[place - 1], headings_deg[place - 1]
                    place -= 1
                edges[place], distances_m[place] = edge, distance
                measures_m[place] = network.segment_from_m[s] + share * network.segment_length_m[s]
                headings_deg[place] = math.degrees(math.atan2(dx, dy))
    return found
