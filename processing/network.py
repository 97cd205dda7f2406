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

from processing.district import Line, Street
from processing.linear_reference import Reference

#: Points of two lines nearer than this are one junction.
JUNCTION_M = 1.0
#: Side of a grid cell; segments are cut to it, so that each lies in few cells.
CELL_M = 25.0
#: 100 by 100 km; a map beyond is no district, and its empty cells would fill the memory.
CELLS_MAX = 16_000_000

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: What is asked of an edge, in one record: its line, its ends as measures on the line and as nodes, how many
#: edges meet there, and whether it is driven along the measure only.
EDGE = np.dtype(
    [
        ("line", "i8"),
        ("from_m", "f8"),
        ("to_m", "f8"),
        ("tail", "i8"),
        ("head", "i8"),
        ("tail_degree", "i8"),
        ("head_degree", "i8"),
        ("oneway", "?"),
    ],
    align=True,
)
#: An edge in one direction, number 2 * edge + dir: the measures at which it begins and ends, and at which its line
#: ends that way; 1 along the measure, -1 against it; its nodes; the unit vectors in which one comes onto it and
#: leaves it; whether it ends dead ahead, is one-way, and is a street that is audited.
ARC = np.dtype(
    [
        ("begin_m", "f8"),
        ("end_m", "f8"),
        ("line_end_m", "f8"),
        ("sign", "f8"),
        ("line", "i4"),
        ("tail", "i4"),
        ("head", "i4"),
        ("in_east", "f4"),
        ("in_north", "f4"),
        ("out_east", "f4"),
        ("out_north", "f4"),
        ("tip", "?"),
        ("oneway", "?"),
        ("is_street", "?"),
    ],
    align=True,
)
#: A straight piece of an edge: where it starts, its direction (a unit vector), its length, the measure of its
#: start and its heading, clockwise from north along the measure. One record, so that a search near a fix
#: reads memory in a row.
SEGMENT = np.dtype(
    [
        ("x_m", "f8"),
        ("y_m", "f8"),
        ("east", "f8"),
        ("north", "f8"),
        ("length_m", "f8"),
        ("from_m", "f8"),
        ("heading_deg", "f8"),
        ("edge", "i8"),
    ]
)


class Network(NamedTuple):
    """Lines (l), edges (e,), their arcs (2e,), and the segments that touch a grid's cells, as the dtypes say.

    Few arrays of records, not many of numbers: a kernel pays for each array that it hands to another. Cells go row by row from (`grid_x_m`, `grid_y_m`); the segments
    of cell c are `segments[cell_start[c] : cell_start[c + 1]]`, so one that touches two cells stands twice.
    """

    line_closed: NDArray[np.bool_]
    edges: NDArray[np.void]
    arcs: NDArray[np.void]
    nodes: int
    grid_x_m: float
    grid_y_m: float
    grid_columns: int
    grid_rows: int
    cell_start: Ints
    segments: NDArray[np.void]

    @property
    def edge_line(self) -> Ints:
        """The line (e,) that each edge lies on."""
        lines: Ints = self.edges["line"]
        return lines


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
    edges = np.zeros(len(rows), dtype=EDGE)
    for name, column in zip(("line", "from_m", "to_m", "tail", "head"), zip(*rows, strict=True), strict=True):
        edges[name] = column
    degree = np.bincount(np.concatenate([edges["tail"], edges["head"]]), minlength=nodes.max() + 1)
    edges["tail_degree"], edges["head_degree"] = degree[edges["tail"]], degree[edges["head"]]
    edges["oneway"] = np.array([line.oneway for line in lines], dtype=np.bool_)[edges["line"]]
    segments = _segments(rows, references)
    return Network(
        line_closed=np.array([reference.closed for reference in references], dtype=np.bool_),
        edges=edges,
        arcs=_arcs(edges, segments, lines, references),
        nodes=len(degree),
        **_grid(segments),
    )


def _arcs(
    edges: NDArray[np.void], segments: Floats, lines: Sequence[Line], references: Sequence[Reference]
) -> NDArray[np.void]:
    """The edges, each along the measure and against it."""
    arcs = np.zeros(2 * len(edges), dtype=ARC)
    along, against = arcs[0::2], arcs[1::2]
    first = np.unique(segments[:, 0], return_index=True)[1]
    last = np.append(first[1:], len(segments)) - 1
    for one, other, at in (("in", "out", first), ("out", "in", last)):
        east, north = segments[at, 3] - segments[at, 1], segments[at, 4] - segments[at, 2]
        length_m = np.hypot(east, north)
        along[f"{one}_east"], along[f"{one}_north"] = east / length_m, north / length_m
        against[f"{other}_east"], against[f"{other}_north"] = -east / length_m, -north / length_m
    along["sign"], against["sign"] = 1.0, -1.0
    along["line_end_m"] = np.array([reference.along_m[-1] for reference in references])[edges["line"]]
    for arc, begin, end in (
        (along, ("from_m", "tail"), ("to_m", "head")),
        (against, ("to_m", "head"), ("from_m", "tail")),
    ):
        arc["begin_m"], arc["tail"] = edges[begin[0]], edges[begin[1]]
        arc["end_m"], arc["head"] = edges[end[0]], edges[end[1]]
        arc["tip"] = edges[f"{end[1]}_degree"] == 1
        arc["line"], arc["oneway"] = edges["line"], edges["oneway"]
        arc["is_street"] = np.array([isinstance(line, Street) for line in lines])[edges["line"]]
    return arcs


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
        "segments": _records(segments)[ordered],
    }


def _records(segments: Floats) -> NDArray[np.void]:
    edge, x0, y0, x1, y1, from_m = segments.T
    out = np.zeros(len(segments), dtype=SEGMENT)
    out["edge"], out["x_m"], out["y_m"], out["from_m"] = edge, x0, y0, from_m
    out["length_m"] = np.hypot(x1 - x0, y1 - y0)
    # A piece of no length has a place, but no direction.
    length_m = np.where(out["length_m"] > 0.0, out["length_m"], 1.0)
    out["east"], out["north"] = (x1 - x0) / length_m, (y1 - y0) / length_m
    out["heading_deg"] = np.degrees(np.arctan2(x1 - x0, y1 - y0))
    return out
