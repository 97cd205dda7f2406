"""Recordings of cars with the map around them and the route that people corrected by hand.

The files are those of Kubicka et al., "Dataset for testing and training of map-matching algorithms" (2015): a
folder for each track with .nodes (lon lat), .arcs (from to), .track (lon lat seconds) and .route (indexes of
arcs). They aren't in the repository; a zip of such folders is read as it is.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from processing.district import Road

ZIP = "kubicka_dev16.zip"
#: Arcs that span less, about a metre, are no streets to a district's files; their two nodes become one.
TINY_DEG = 1e-5


@dataclass(frozen=True, slots=True)
class Recording:
    """One track: its map, its fixes and what was truly driven.

    `roads` holds an undirected arc each, in index order; `fixes` rows of longitude, latitude in degrees and
    seconds, rising; `route` the ids of the true roads in order, immediate repeats once.
    """

    name: str
    roads: tuple[Road, ...]
    fixes: NDArray[np.float64]
    route: tuple[str, ...]


def track_folders(folder: Path) -> list[Path | zipfile.Path]:
    """The tracks in a folder, or in the zip that lies in it, by name; ValueError where there is none."""
    root: Path | zipfile.Path = folder
    if (folder / ZIP).is_file():
        root = zipfile.Path(folder / ZIP)
    elif not folder.is_dir():
        raise ValueError(f"{folder} is no folder; name the one that holds the recordings")
    found = [one for one in root.iterdir() if one.is_dir() and (one / f"{one.name}.track").is_file()]
    if not found:
        raise ValueError(f"{folder} holds neither {ZIP} nor folders with a .track; put the recordings there")
    return sorted(found, key=lambda one: one.name)


def read_recording(folder: Path | zipfile.Path, *, tiny_deg: float = 0.0) -> Recording:
    """One track; arcs that span less than `tiny_deg` are left out and their ends joined."""
    nodes = _table(folder, "nodes")
    arcs: list[list[int]] = _table(folder, "arcs").astype(int).reshape(-1, 2).tolist()
    route: list[int] = _table(folder, "route").astype(int).reshape(-1).tolist()
    place = _joined(nodes, arcs, tiny_deg)
    # Two-way roads are there once in each direction; of an undirected arc the first index stands for both.
    first: dict[frozenset[int], int] = {}
    for i, ends in enumerate(arcs):
        first.setdefault(frozenset(ends), i)
    directed = {(a, b) for a, b in arcs}
    roads = []
    for i, (a, b) in enumerate(arcs):
        if first[frozenset((a, b))] != i or place[a] == place[b]:
            continue
        (lon_a, lat_a), (lon_b, lat_b) = nodes[place[a]].tolist(), nodes[place[b]].tolist()
        oneway = (b, a) not in directed
        roads.append(Road(f"{i:07d}", "", (((lon_a, lat_a), (lon_b, lat_b)),), oneway=oneway))
    known = {road.line_id for road in roads}
    driven = [f"{first[frozenset(arcs[arc])]:07d}" for arc in route]
    driven = [one for one in driven if one in known]
    once = tuple(one for i, one in enumerate(driven) if i == 0 or driven[i - 1] != one)
    return Recording(folder.name, tuple(roads), _rising(_table(folder, "track")), once)


def _table(folder: Path | zipfile.Path, kind: str) -> NDArray[np.float64]:
    text = (folder / f"{folder.name}.{kind}").read_text(encoding="ascii")
    return np.loadtxt(text.splitlines())


def _rising(track: NDArray[np.float64]) -> NDArray[np.float64]:
    """The fixes in order of time, of several at one moment the first."""
    return track[np.unique(track[:, 2], return_index=True)[1]]


def _joined(nodes: NDArray[np.float64], arcs: list[list[int]], tiny_deg: float) -> list[int]:
    """For each node the one in whose place it is put, so that no arc is left that spans too little."""
    place = list(range(len(nodes)))
    changed = True
    while changed:
        changed = False
        for a, b in arcs:
            one, other = place[a], place[b]
            if one != other and np.abs(nodes[one] - nodes[other]).max() < tiny_deg:
                place = [one if at == other else at for at in place]
                changed = True
    return place
