"""Peers: two other ways to say where fixes were, on swept's own network.

fastmm is a hidden Markov matcher in C++ (the fast map matching of Yang and Gidofalvi 2018), the snap puts
each fix on the edge that is nearest to it, all in one vectorised call of shapely. Both get what swept gets:
plane metres and seconds. Development dependencies, never imported by swept itself.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import fastmm  # type: ignore[import-untyped]
import numpy as np
import shapely
from numpy.typing import NDArray

from benchmarks.placed import Placed
from processing.linear_reference import Reference
from processing.network import Network

#: fastmm names no default for these two in code; its documentation says 50 for each.
RADIUS_M, GPS_ERROR_M = 50.0, 50.0


class Tuning(NamedTuple):
    """What fastmm is told of the receiver: its error, and how far a place may slip back along an edge."""

    gps_error_m: float = GPS_ERROR_M
    reverse_m: float = 0.0


#: Its own defaults; and of errors of 5, 10, 20, 50 m with slips of 0 or 20 m the lowest mean share of wrong fixes.
PLAIN, TUNED = Tuning(), Tuning(10.0, 20.0)
#: How far its table of shortest ways reaches: two to three times the longest way between two fixes.
REACH_M = 3_000.0


def edge_points(network: Network, references: Sequence[Reference], edge: int) -> list[tuple[float, float]]:
    """The vertices of an edge along its line's measure, in plane metres."""
    own = network.edges[edge]
    reference = references[int(own["line"])]
    from_m, to_m = float(own["from_m"]), float(own["to_m"])
    inner = (reference.along_m > from_m + 1e-6) & (reference.along_m < to_m - 1e-6)
    middle = [(x, y) for x, y in reference.xy[inner].tolist()]
    return [reference.point_at(from_m), *middle, reference.point_at(to_m)]


class Fastmm:
    """fastmm over a network: its directed edge 2 * edge + dir is ours."""

    def __init__(self, network: Network, references: Sequence[Reference], reach_m: float = REACH_M) -> None:
        self._network = network
        # The table goes through a file, and every step of it is told on the standard output.
        with tempfile.TemporaryDirectory() as folder, _silence():
            # The matcher points into the graph without holding it: it must live as long.
            self._graph = graph = fastmm.Network()
            for edge, own in enumerate(network.edges):
                points = edge_points(network, references, edge)
                tail, head = int(own["tail"]), int(own["head"])
                graph.add_edge(2 * edge, tail, head, points)
                if not own["oneway"]:
                    graph.add_edge(2 * edge + 1, head, tail, points[::-1])
            graph.finalize()
            shortest = fastmm.TransitionMode.SHORTEST
            self._matcher = fastmm.FastMapMatch(graph, shortest, reach_m, cache_dir=folder)

    @staticmethod
    def trajectory(x_m: NDArray[np.float64], y_m: NDArray[np.float64], time_us: NDArray[np.int64]) -> Any:  # noqa: ANN401 - untyped
        """A track as fastmm takes it."""
        seconds = (time_us - time_us[0]) * 1e-6
        return fastmm.Trajectory.from_xyt_tuples(
            list(zip(x_m.tolist(), y_m.tolist(), seconds.tolist(), strict=True))
        )

    def match(self, trajectory: Any, candidates_max: int, tuning: Tuning = PLAIN) -> Any:  # noqa: ANN401
        """The matched parts of a track, as fastmm gives them."""
        return self._matcher.match(trajectory, candidates_max, RADIUS_M, *tuning)

    def placed(self, result: Any, fixes: int) -> Placed:  # noqa: ANN401
        """Where each of so many fixes was put."""
        edge, measure_m = np.full(fixes, -1, dtype=np.int64), np.full(fixes, np.nan)
        for segment in _segments(result):
            ways = segment.edges
            for candidate, directed in ((segment.p0, ways[0].edge_id), (segment.p1, ways[-1].edge_id)):
                at, own, along_m = (
                    candidate.trajectory_index,
                    directed // 2,
                    candidate.offset_from_start_of_edge,
                )
                edge[at] = own
                ends = self._network.edges[own]
                measure_m[at] = ends["to_m"] - along_m if directed % 2 else ends["from_m"] + along_m
        return Placed(edge, measure_m)

    @staticmethod
    def path(result: Any) -> list[int]:  # noqa: ANN401
        """The edges it drove a way on, in order; one driven between several fixes stands there as often."""
        return [
            way.edge_id // 2
            for segment in _segments(result)
            for way in segment.edges
            if len(way.points) > 1 and way.points[-1].edge_offset > way.points[0].edge_offset
        ]


def _segments(result: Any) -> Iterator[Any]:  # noqa: ANN401
    for part in result.subtrajectories:
        if part.error_code == fastmm.MatchErrorCode.SUCCESS:
            yield from part.segments


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """No output of libraries in C++, which write to the descriptor and not to `sys.stdout`."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(os.devnull, "wb") as nothing:  # noqa: PTH123 - a device, no path of ours
        os.dup2(nothing.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


class Snap:
    """Each fix on the nearest edge, by a tree over their lines."""

    def __init__(self, network: Network, references: Sequence[Reference]) -> None:
        points = [edge_points(network, references, edge) for edge in range(len(network.edges))]
        self._from_m = network.edges["from_m"]
        self._lines = np.array([shapely.LineString(one) for one in points])
        self._tree = shapely.STRtree(self._lines)

    def place(self, x_m: NDArray[np.float64], y_m: NDArray[np.float64]) -> Placed:
        """Where fixes were, each by itself."""
        points = shapely.points(x_m, y_m)
        edge = self._tree.query_nearest(points, all_matches=False)[1]
        measure_m = self._from_m[edge] + shapely.line_locate_point(self._lines[edge], points)
        return Placed(edge.astype(np.int64), measure_m)
