"""The district's lines as a small undirected graph that simulated vehicles drive on.

Lines meet where they share a vertex and, unless the district is noded, where they cross or where one ends on
another in the same layer. It is independent of the matcher's network on purpose: truth and matcher must not
share a mistake. Metres are local, east and north of the district's middle.
"""

from __future__ import annotations

import copy
import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from shapely import STRtree
from shapely.geometry import LineString, Point

from processing.district import District, Line, Street
from processing.geodesy import LocalProjection

#: An end that lies this close to another line in its layer meets it, in metres.
SNAP_M = 1.0
#: Drivers take an avenue rather than an alley that is as long.
STREET_COST = 1.6


@dataclass(frozen=True, slots=True, eq=False)
class Centreline:
    """A line in local metres; `along_m` is the measure of each vertex, `mapped_m` its measure on the map.

    They differ where the map is off: what is driven is the true line, what is counted is the map's.
    """

    line: Line
    xy: NDArray[np.float64]
    along_m: NDArray[np.float64]
    mapped_m: NDArray[np.float64]

    @property
    def length_m(self) -> float:
        """Length in metres."""
        return float(self.along_m[-1])

    @property
    def is_street(self) -> bool:
        """Whether it is audited."""
        return isinstance(self.line, Street)

    def at(self, measure_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 2) positions of measures."""
        return np.column_stack([np.interp(measure_m, self.along_m, self.xy[:, i]) for i in (0, 1)])

    def to_map(self, measure_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) measures on the map of true ones."""
        return np.interp(measure_m, self.along_m, self.mapped_m)

    def heading(self, measure_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 2) unit vectors along the measure."""
        index = np.clip(np.searchsorted(self.along_m, measure_m, side="right") - 1, 0, len(self.xy) - 2)
        step = self.xy[index + 1] - self.xy[index]
        return step / np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9)[:, None]


class Step(NamedTuple):
    """A drive along one line, from measure to measure."""

    line: int
    from_m: float
    to_m: float


class Roads:
    """Lines, the nodes on them, and the way from node to node."""

    def __init__(self, district: District) -> None:
        lines: tuple[Line, ...] = (*district.streets, *district.roads)
        points = np.array([p for line in lines for part in line.parts for p in part], dtype=np.float64)
        low, high = points.min(axis=0), points.max(axis=0)
        self.plane = LocalProjection(*((low + high) / 2.0).tolist())
        self.lines = tuple(_centreline(line, self.plane) for line in lines)
        self.index = {line.line_id: i for i, line in enumerate(lines)}
        self.node_xy: list[tuple[float, float]] = []
        #: line -> its (measure, node) in order; first and last are the line's ends.
        self.stations: list[list[tuple[float, int]]] = []
        self._node_at: dict[tuple[int, int], int] = {}
        self._place_nodes(noded=district.noded)
        self._join()

    def moved(self, lines: Sequence[Centreline], node_xy: Sequence[tuple[float, float]]) -> Roads:
        """The same net with its lines and nodes elsewhere, as `mapped_m` of each line tells."""
        other = copy.copy(self)
        other.lines, other.node_xy = tuple(lines), list(node_xy)
        other.stations = [
            [(float(np.interp(m, line.mapped_m, line.along_m)), node) for m, node in stations]
            for line, stations in zip(lines, self.stations, strict=True)
        ]
        other._join()  # noqa: SLF001 - it is one of us
        return other

    def _join(self) -> None:
        self._next: list[list[tuple[int, float, Step]]] = [[] for _ in self.node_xy]
        self._connect()
        self._ways: dict[int, tuple[dict[int, float], dict[int, tuple[int, Step]]]] = {}

    def steps(self, node: int) -> list[tuple[Step, int]]:
        """The steps that lead away from a node, and the nodes they lead to."""
        return [(step, other) for other, _, step in self._next[node]]

    def degree(self, node: int) -> int:
        """How many ways lead away from a node."""
        return len(self._next[node])

    def ends(self, line: int) -> tuple[int, int]:
        """The nodes at a line's start and end."""
        return self.stations[line][0][1], self.stations[line][-1][1]

    def cost(self, from_node: int, to_node: int) -> float:
        """Cost of the way in metres of avenue; infinite where there is none."""
        return self._ways_from(from_node)[0].get(to_node, math.inf)

    def route(self, from_node: int, to_node: int) -> list[Step]:
        """The cheapest way, as steps; empty when already there. Needs a finite cost."""
        back = self._ways_from(from_node)[1]
        steps: list[Step] = []
        while to_node != from_node:
            to_node, step = back[to_node]
            steps.append(step)
        return steps[::-1]

    def _ways_from(self, source: int) -> tuple[dict[int, float], dict[int, tuple[int, Step]]]:
        """Dijkstra from a node, kept: units come by the same nodes again and again."""
        if source in self._ways:
            return self._ways[source]
        cost, back = {source: 0.0}, dict[int, tuple[int, Step]]()
        heap = [(0.0, source)]
        while heap:
            so_far, node = heapq.heappop(heap)
            if so_far > cost[node]:
                continue
            for other, price, step in self._next[node]:
                total = so_far + price
                if total < cost.get(other, math.inf):
                    cost[other], back[other] = total, (node, step)
                    heapq.heappush(heap, (total, other))
        self._ways[source] = cost, back
        return cost, back

    def _place_nodes(self, *, noded: bool) -> None:
        measures: list[set[float]] = [{0.0, line.length_m} for line in self.lines]
        shapes = [LineString(line.xy) for line in self.lines]
        tree = STRtree(shapes)
        for i, line in enumerate(self.lines):
            for j in sorted(int(k) for k in tree.query(shapes[i].buffer(SNAP_M))):
                if j == i or line.line.layer != self.lines[j].line.layer:
                    continue
                places = [Point(line.xy[0]), Point(line.xy[-1])]
                if not noded and j > i:
                    places += _points(shapes[i].intersection(shapes[j]))
                for place in places:
                    if shapes[j].distance(place) <= SNAP_M:
                        measures[j].add(float(shapes[j].project(place)))
                        measures[i].add(float(shapes[i].project(place)))
        for i, line in enumerate(self.lines):
            self.stations.append(self._stations(line, sorted(measures[i])))

    def _stations(self, line: Centreline, measures: list[float]) -> list[tuple[float, int]]:
        kept = [measures[0]]
        for measure in measures[1:-1]:
            if measure - kept[-1] > SNAP_M and measures[-1] - measure > SNAP_M:
                kept.append(measure)
        kept.append(measures[-1])
        xy = line.at(np.array(kept))
        return [(m, self._node(float(x), float(y))) for m, (x, y) in zip(kept, xy, strict=True)]

    def _node(self, x: float, y: float) -> int:
        """The node within 2 SNAP_M of a place, or a new one; a hash of cells finds it."""
        cell_x, cell_y = int(x // (2 * SNAP_M)), int(y // (2 * SNAP_M))
        for dx in (0, -1, 1):
            for dy in (0, -1, 1):
                node = self._node_at.get((cell_x + dx, cell_y + dy))
                if node is not None and math.dist(self.node_xy[node], (x, y)) <= 2 * SNAP_M:
                    return node
        self.node_xy.append((x, y))
        self._node_at[cell_x, cell_y] = len(self.node_xy) - 1
        return len(self.node_xy) - 1

    def _connect(self) -> None:
        for i, line in enumerate(self.lines):
            factor = STREET_COST if line.is_street else 1.0
            for (from_m, a), (to_m, b) in pairwise(self.stations[i]):
                price = (to_m - from_m) * factor
                self._next[a].append((b, price, Step(i, from_m, to_m)))
                if not line.line.oneway:
                    self._next[b].append((a, price, Step(i, to_m, from_m)))


def _centreline(line: Line, plane: LocalProjection) -> Centreline:
    lonlat = np.array([p for part in line.parts for p in part], dtype=np.float64)
    xy = np.column_stack(plane.to_xy(lonlat[:, 0], lonlat[:, 1]))
    moved = np.concatenate([[True], np.hypot(*np.diff(xy, axis=0).T) > 1e-6])
    xy = xy[moved]
    along_m = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    return Centreline(line, xy, along_m, along_m)


def _points(shape: Any) -> list[Point]:  # noqa: ANN401 - shapely is untyped
    """The points in an intersection; of a shared stretch its ends."""
    if shape.is_empty:
        return []
    if shape.geom_type == "Point":
        return [shape]
    if shape.geom_type == "LineString":
        return [Point(shape.coords[0]), Point(shape.coords[-1])]
    return [point for part in shape.geoms for point in _points(part)]
