"""The network: lines cut into edges at their junctions, as arrays that kernels read.

An edge is a stretch of one line between two nodes and is driven in two directions: `dir` 0 along the
line's measure, 1 against it. Lines meet where an end lies on another line, and where lines of one layer
cross; a map that says it is noded meets at common ends alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from processing.district import Line
from processing.linear_reference import Reference

#: Points of two lines nearer than this are one junction.
JUNCTION_M = 1.0
#: Side of a grid cell; segments are cut to it, so that each lies in few cells.
CELL_M = 50.0
#: 200 by 200 km; a map beyond is no district, and its empty cells would fill the memory.
CELLS_MAX = 16_000_000

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Network(NamedTuple):
    """Edges (e), their segments (s), nodes (n) and a grid over the segments.

    Measures are metres on the edge's line. `cell_start` and `cell_segments` list the segments that touch
    each cell, row by row from (`grid_x_m`, `grid_y_m`).
    """

    line_length_m: Floats
    line_closed: NDArray[np.bool_]
    edge_line: Ints
    edge_from_m: Floats
    edge_to_m: Floats
    edge_tail: Ints
    edge_head: Ints
    edge_oneway: NDArray[np.bool_]
    node_degree: Ints
    segment_edge: Ints
    segment_x0_m: Floats
    segment_y0_m: Floats
    segment_x1_m: Floats
    segment_y1_m: Floats
    segment_from_m: Floats
    segment_length_m: Floats
    grid_x_m: float
    grid_y_m: float
    grid_columns: int
    grid_rows: int
    cell_start: Ints
    cell_segments: Ints


def build_network(lines: Sequence[Line], references: Sequence[Reference], *, noded: bool) -> Network:
    """Cut the lines into edges and index their segments; lines and references go in pairs."""
    cuts = [_own_ends(reference) for reference in references]
    if not noded:
        _cut_at_junctions(lines, references, cuts)
    places: list[tuple[int, float]] = []
    for index, (reference, measures) in enumerate(zip(references, cuts, strict=True)):
        places.extend((index, measure) for measure in _thin(sorted(measures), reference.along_m[-1]))
    points = np.array([references[line].point_at(measure) for line, measure in places])
    nodes = _cluster(points, 0.01 if noded else JUNCTION_M)

    rows = [
        (line, measure, places[i + 1][1], nodes[i], nodes[i + 1])
        for i, (line, measure) in enumerate(places[:-1])
        if places[i + 1][0] == line
    ]
    edge_line = np.array([row[0] for row in rows], dtype=np.int64)
    tail = np.array([row[3] for row in rows], dtype=np.int64)
    head = np.array([row[4] for row in rows], dtype=np.int64)
    segments = _segments(rows, references)
    return Network(
        line_length_m=np.array([reference.along_m[-1] for reference in references]),
        line_closed=np.array([reference.closed for reference in references], dtype=np.bool_),
        edge_line=edge_line,
        edge_from_m=np.array([row[1] for row in rows]),
        edge_to_m=np.array([row[2] for row in rows]),
        edge_tail=tail,
        edge_head=head,
        edge_oneway=np.array([lines[line].oneway for line in edge_line], dtype=np.bool_),
        node_degree=np.bincount(np.concatenate([tail, head]), minlength=nodes.max() + 1).astype(np.int64),
        segment_edge=segments[:, 0].astype(np.int64),
        segment_x0_m=segments[:, 1].copy(),
        segment_y0_m=segments[:, 2].copy(),
        segment_x1_m=segments[:, 3].copy(),
        segment_y1_m=segments[:, 4].copy(),
        segment_from_m=segments[:, 5].copy(),
        segment_length_m=np.hypot(segments[:, 3] - segments[:, 1], segments[:, 4] - segments[:, 2]),
        **_grid(segments),
    )


def _own_ends(reference: Reference) -> set[float]:
    return {0.0, float(reference.along_m[-1])}


def _cut_at_junctions(lines: Sequence[Line], references: Sequence[Reference], cuts: list[set[float]]) -> None:
    """Add to each line's cuts the measures at which another line ends on it or crosses it."""
    shapes = [shapely.LineString(reference.xy) for reference in references]
    tree = shapely.STRtree(shapes)
    pairs = tree.query(shapes, predicate="dwithin", distance=JUNCTION_M)
    for one, other in pairs.T:
        if one == other:
            continue
        for end in (references[one].xy[0], references[one].xy[-1]):
            point = shapely.Point(end)
            if shapes[other].distance(point) <= JUNCTION_M:
                cuts[other].add(float(shapes[other].project(point)))
        if one < other and lines[one].layer == lines[other].layer:
            for point in _crossings(shapes[one], shapes[other]):
                cuts[one].add(float(shapes[one].project(point)))
                cuts[other].add(float(shapes[other].project(point)))


def _crossings(one: shapely.LineString, other: shapely.LineString) -> list[shapely.Point]:
    """Points in which two lines meet; of a common stretch its two ends."""
    common = shapely.get_parts(one.intersection(other))
    points: list[shapely.Point] = []
    for part in common:
        if part.is_empty:
            continue
        if part.geom_type == "Point":
            points.append(part)
        elif part.geom_type == "LineString":
            points.extend([shapely.Point(part.coords[0]), shapely.Point(part.coords[-1])])
    return points


def _thin(measures: list[float], length_m: float) -> list[float]:
    """Drop cuts that lie within a junction's size of one kept before; a line keeps both its ends."""
    kept = [0.0]
    for measure in measures:
        if measure - kept[-1] > JUNCTION_M and length_m - measure > JUNCTION_M:
            kept.append(measure)
    return [*kept, length_m]


def _cluster(points: Floats, within_m: float) -> Ints:
    """A node number for each point: points within reach of each other share one, lowest first."""
    parent = np.arange(len(points))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    pairs = cKDTree(points).query_pairs(within_m, output_type="ndarray")
    for a, b in pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))] if len(pairs) else ():
        low, high = sorted((root(int(a)), root(int(b))))
        parent[high] = low
    roots = np.array([root(i) for i in range(len(points))])
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)


def _segments(rows: list[tuple[int, float, float, int, int]], references: Sequence[Reference]) -> Floats:
    """Straight pieces of at most a cell: edge, x0, y0, x1, y1, measure of the start."""
    out: list[tuple[float, ...]] = []
    for edge, (line, from_m, to_m, _, _) in enumerate(rows):
        along = references[line].along_m
        # A vertex that is a cut, but for rounding, is no place of its own.
        inner = along[(along > from_m + 1e-6) & (along < to_m - 1e-6)]
        stops = np.concatenate([[from_m], inner, [to_m]])
        for low, high in pairwise(stops.tolist()):
            pieces = max(1, int(np.ceil((high - low) / CELL_M)))
            ends = np.linspace(low, high, pieces + 1)
            x = np.interp(ends, along, references[line].xy[:, 0])
            y = np.interp(ends, along, references[line].xy[:, 1])
            out.extend((edge, x[i], y[i], x[i + 1], y[i + 1], ends[i]) for i in range(pieces))
    return np.array(out, dtype=np.float64).reshape(-1, 6)


def _grid(segments: Floats) -> dict[str, Any]:
    low_x = float(min(segments[:, 1].min(), segments[:, 3].min())) - CELL_M
    low_y = float(min(segments[:, 2].min(), segments[:, 4].min())) - CELL_M
    high_x = float(max(segments[:, 1].max(), segments[:, 3].max())) + CELL_M
    high_y = float(max(segments[:, 2].max(), segments[:, 4].max())) + CELL_M
    columns = int((high_x - low_x) / CELL_M) + 1
    rows = int((high_y - low_y) / CELL_M) + 1
    if columns * rows > CELLS_MAX:
        raise ValueError(
            f"the map spans {(high_x - low_x) / 1000:.0f} by {(high_y - low_y) / 1000:.0f} km: split it into "
            "districts, or look for a street that lies far off the others"
        )
    cells: dict[int, list[int]] = defaultdict(list)
    for number, (_, x0, y0, x1, y1, _) in enumerate(segments):
        for row in range(int((min(y0, y1) - low_y) / CELL_M), int((max(y0, y1) - low_y) / CELL_M) + 1):
            for column in range(int((min(x0, x1) - low_x) / CELL_M), int((max(x0, x1) - low_x) / CELL_M) + 1):
                cells[row * columns + column].append(number)
    counts = np.zeros(rows * columns + 1, dtype=np.int64)
    for cell, members in cells.items():
        counts[cell + 1] = len(members)
    ordered = [number for cell in sorted(cells) for number in cells[cell]]
    return {
        "grid_x_m": low_x,
        "grid_y_m": low_y,
        "grid_columns": columns,
        "grid_rows": rows,
        "cell_start": np.cumsum(counts),
        "cell_segments": np.array(ordered, dtype=np.int64),
    }
