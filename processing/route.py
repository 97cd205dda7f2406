"""Routes: the shortest way between any two nodes, looked up in a table.

A district has some thousand nodes, so all pairs fit: 4 + 4 bytes each, 128 MB at `NODES_MAX`. A larger
map is refused; it is a province, and provinces are worked district by district.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from processing.network import Network

NODES_MAX = 5_000


class Routes(NamedTuple):
    """`distance_m` (n, n) is infinite where no way leads; `first` (n, n) is the first directed edge.

    A directed edge is 2 * edge + dir; -1 where there is no way or none is needed.
    """

    distance_m: NDArray[np.float32]
    first: NDArray[np.int32]


def build_routes(network: Network) -> Routes:
    """All-pairs shortest ways; ties go to the lower directed edge.

    Raises:
        ValueError: the network has more than `NODES_MAX` nodes.
    """
    n = network.nodes
    if n > NODES_MAX:
        raise ValueError(f"the map has {n} junctions, more than {NODES_MAX}: split it into districts")
    edges = network.edges
    length = edges["to_m"] - edges["from_m"]
    edge = np.arange(len(length))
    back = ~edges["oneway"]
    tail = np.concatenate([edges["tail"], edges["head"][back]])
    head = np.concatenate([edges["head"], edges["tail"][back]])
    directed = np.concatenate([2 * edge, 2 * edge[back] + 1])
    cost = np.concatenate([length, length[back]])
    # csr adds up entries of one cell: of parallel edges only the shortest goes in.
    order = np.lexsort((directed, cost, head, tail))
    pair = tail[order] * n + head[order]
    shortest = order[np.concatenate([[True], pair[1:] != pair[:-1]])]
    graph = csr_matrix((cost[shortest], (tail[shortest], head[shortest])), shape=(n, n))
    distance = dijkstra(graph)

    first = np.full((n, n), -1, dtype=np.int32)
    best = np.full((n, n), np.inf)
    for number in order[np.argsort(directed[order], kind="stable")]:
        a, b = tail[number], head[number]
        through = cost[number] + distance[b]
        better = through < best[a] - 1e-6
        best[a][better] = through[better]
        first[a][better] = directed[number]
    np.fill_diagonal(first, -1)
    first[~np.isfinite(distance)] = -1
    return Routes(distance.astype(np.float32), first)
