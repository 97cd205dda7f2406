"""Routes: the shortest way between two nodes, looked up in a table.

A district has some hundred nodes, so all pairs fit: 8 bytes each, 128 MB at `ALL_PAIRS_NODES_MAX`. A larger
map, a whole city's, gets a row for each node with the nodes within `REACH_M` only: what a unit can drive
between two fixes. Its rows are searched, which costs more than looking up. `ENTRIES_MAX` bounds them; a map
beyond is refused.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from processing.network import Network

ALL_PAIRS_NODES_MAX = 4_000
#: At 45 km/h two minutes, the longest join that is believed.
REACH_M = 1_500.0
#: 12 bytes each, 360 MB.
ENTRIES_MAX = 30_000_000
#: Nodes whose ways are worked out in one go, in cells of the table that Dijkstra fills.
CELLS_AT_ONCE = 4_000_000

#: A way within reach: to which node, how far, and the first directed edge, 2 * edge + dir.
ENTRY = np.dtype([("node", "i4"), ("first", "i4"), ("distance_m", "f4")])


class AllPairs(NamedTuple):
    """Distance (n, n) and first directed edge (n, n), 2 * edge + dir, of the way between any two nodes.

    A distance is infinite where no way leads; the edge is -1 where there is no way or none is needed.
    """

    distance_m: NDArray[np.float32]
    first: NDArray[np.int32]


class WithinReach(NamedTuple):
    """The ways within `reach_m` from node a, in order of the node they lead to: `entries` [start[a], start[a + 1])."""

    start: NDArray[np.int64]
    entries: NDArray[np.void]
    reach_m: float


Routes = AllPairs | WithinReach


@njit(cache=True, nogil=True)
def _entry(routes: WithinReach, a: int, b: int) -> int:
    """Where the way from a to b stands among the entries; -1: it doesn't."""
    low, high = routes.start[a], routes.start[a + 1]
    while low < high:
        middle = (low + high) // 2
        if routes.entries[middle].node < b:
            low = middle + 1
        else:
            high = middle
    return low if low < routes.start[a + 1] and routes.entries[low].node == b else -1


# Kernels are compiled for each kind of table: how many fields a tuple has is known then, and no step pays
# for the question. So the two kinds must not have equally many.
ALL_PAIRS_FIELDS = len(AllPairs._fields)


@njit(cache=True, nogil=True)
def way_m(routes: Any, a: int, b: int) -> float:  # noqa: ANN401
    """The length of the shortest way from node a to node b; infinite where none is known."""
    if len(routes) == ALL_PAIRS_FIELDS:
        return float(routes.distance_m[a, b])
    at = _entry(routes, a, b)
    return float(routes.entries[at].distance_m) if at >= 0 else np.inf


@njit(cache=True, nogil=True)
def first_edge(routes: Any, a: int, b: int) -> int:  # noqa: ANN401
    """The directed edge with which that way begins; -1 where there is none."""
    if len(routes) == ALL_PAIRS_FIELDS:
        return int(routes.first[a, b])
    at = _entry(routes, a, b)
    return int(routes.entries[at].first) if at >= 0 else -1


class _Graph(NamedTuple):
    """Directed edges (k,): of those from one node to another only the shortest, in order of tail."""

    tail: NDArray[np.int64]
    head: NDArray[np.int64]
    cost_m: NDArray[np.float64]
    directed: NDArray[np.int64]


def build_routes(network: Network) -> Routes:
    """The table of a network; ties go to the lower directed edge.

    Raises:
        ValueError: the network has more ways within reach than `ENTRIES_MAX`.
    """
    graph = _graph(network)
    if network.nodes <= ALL_PAIRS_NODES_MAX:
        return _all_pairs(graph, network.nodes)
    return _within_reach(graph, network.nodes)


def _graph(network: Network) -> _Graph:
    edges = network.edges
    length_m = edges["to_m"] - edges["from_m"]
    edge, back = np.arange(len(edges)), ~edges["oneway"]
    tail = np.concatenate([edges["tail"], edges["head"][back]])
    head = np.concatenate([edges["head"], edges["tail"][back]])
    directed = np.concatenate([2 * edge, 2 * edge[back] + 1])
    cost_m = np.concatenate([length_m, length_m[back]])
    order = np.lexsort((directed, cost_m, head, tail))
    pair = tail[order] * network.nodes + head[order]
    shortest = order[np.concatenate([[True], pair[1:] != pair[:-1]])]
    return _Graph(tail[shortest], head[shortest], cost_m[shortest], directed[shortest])


def _matrix(graph: _Graph, n: int) -> csr_matrix:
    return csr_matrix((graph.cost_m, (graph.tail, graph.head)), shape=(n, n))


def _all_pairs(graph: _Graph, n: int) -> AllPairs:
    distance_m = dijkstra(_matrix(graph, n))
    first = np.full((n, n), -1, dtype=np.int32)
    best_m = np.full((n, n), np.inf)
    for i in np.argsort(graph.directed, kind="stable"):
        a, b = graph.tail[i], graph.head[i]
        through_m = graph.cost_m[i] + distance_m[b]
        better = through_m < best_m[a] - 1e-6
        best_m[a][better] = through_m[better]
        first[a][better] = graph.directed[i]
    np.fill_diagonal(first, -1)
    first[~np.isfinite(distance_m)] = -1
    return AllPairs(distance_m.astype(np.float32), first)


def _within_reach(graph: _Graph, n: int) -> WithinReach:
    matrix, parts, counts = _matrix(graph, n), [], [0]
    at_once = max(1, CELLS_AT_ONCE // n)
    for low in range(0, n, at_once):
        sources = np.arange(low, min(n, low + at_once))
        found_m = dijkstra(matrix, indices=sources, limit=REACH_M)
        row, node = np.nonzero(np.isfinite(found_m))
        part = np.zeros(len(node), dtype=ENTRY)
        part["node"], part["distance_m"], part["first"] = node, found_m[row, node], -1
        parts.append(part)
        counts.extend(np.bincount(row, minlength=len(sources)).tolist())
        if sum(map(len, parts)) > ENTRIES_MAX:
            raise ValueError(
                f"the map has {n} junctions, and more than {ENTRIES_MAX // 1_000_000} million ways of up to "
                f"{REACH_M:.0f} m between them: split it into districts"
            )
    routes = WithinReach(np.cumsum(counts), np.concatenate(parts), REACH_M)
    order = np.argsort(graph.directed, kind="stable")
    in_turn = _Graph(graph.tail[order], graph.head[order], graph.cost_m[order], graph.directed[order])
    _find_first(routes, in_turn, np.full(len(routes.entries), np.inf))
    return routes


@njit(cache=True, nogil=True)
def _find_first(routes: WithinReach, graph: _Graph, best_m: NDArray[np.float64]) -> None:
    """Fill in each entry's first edge, as the edges (k,) come."""
    for i in range(len(graph.tail)):
        a, b = graph.tail[i], graph.head[i]
        for at in range(routes.start[a], routes.start[a + 1]):
            entry = routes.entries[at]
            through_m = graph.cost_m[i] + way_m(routes, b, entry.node)
            if entry.node != a and through_m < best_m[at] - 1e-3:
                best_m[at] = through_m
                entry.first = graph.directed[i]
