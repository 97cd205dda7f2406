"""What a survey of streets gets wrong before anything drives on it.

Lines drawn by hand miss their junctions by a metre, are drawn twice, or leave stubs behind; each makes the
matcher take a way that isn't there, or none. A finding is something to look at: a loop may be meant, and so
may a dead end 8 m from the next alley. Sizes are metres in a local projection of the survey.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString, Point

from processing.district import Line, Road, Street
from processing.geodesy import LocalProjection

#: Ends that lie nearer than this to a line are taken to touch it.
TOUCH_M = 0.5
#: Ends further away than this were not meant to touch.
GAP_M_MAX = 10.0
SLIVER_M = 10.0
#: Two lines are one drawn twice where this share of the shorter lies this near to the other.
SAME_M, SAME_SHARE = 2.0, 0.9
#: An island's finding names this many of its streets.
NAMED_MAX = 8


class Fault(StrEnum):
    """The kinds of finding."""

    LOOP = "loop"
    SELF_CROSSING = "self-crossing"
    SLIVER = "sliver"
    DUPLICATE = "duplicate"
    GAP = "gap"
    ISLAND = "island"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at: on which lines, where (WGS-84 degrees), how large, and what to do."""

    fault: Fault
    street_ids: tuple[str, ...]
    lon: float
    lat: float
    size_m: float
    advice: str


@dataclass(frozen=True, slots=True)
class _Survey:
    lines: Sequence[Line]
    shapes: NDArray[np.object_]
    tree: shapely.STRtree
    projection: LocalProjection

    def finding(self, fault: Fault, indexes: Iterable[int], at: Point, size_m: float, advice: str) -> Finding:
        lon, lat = self.projection.to_lonlat(at.x, at.y)
        ids = tuple(self.lines[index].line_id for index in indexes)
        return Finding(fault, ids, round(float(lon), 7), round(float(lat), 7), round(size_m, 2), advice)


def check(streets: Sequence[Street], roads: Sequence[Road]) -> tuple[Finding, ...]:
    """All findings on the streets, and on the context roads where they concern the network."""
    lines: list[Line] = [*streets, *roads]
    if not lines:
        return ()
    survey = _survey(lines)
    findings = [
        *_loops(survey, len(streets)),
        *_self_crossings(survey),
        *_slivers(survey),
        *_duplicates(survey),
        *_gaps(survey),
        *_islands(survey),
    ]
    order = list(Fault)
    return tuple(sorted(findings, key=lambda f: (order.index(f.fault), f.street_ids, f.lon, f.lat)))


def _survey(lines: Sequence[Line]) -> _Survey:
    points = np.array([point for line in lines for part in line.parts for point in part])
    lon0, lat0 = (points.min(axis=0) + points.max(axis=0)) / 2
    projection = LocalProjection(float(lon0), float(lat0))
    shapes = np.empty(len(lines), dtype=object)
    for index, line in enumerate(lines):
        lonlat = np.array([line.parts[0][0], *(point for part in line.parts for point in part[1:])])
        x_m, y_m = projection.to_xy(lonlat[:, 0], lonlat[:, 1])
        shapes[index] = LineString(np.column_stack((x_m, y_m)))
    return _Survey(lines, shapes, shapely.STRtree(shapes), projection)


def _loops(survey: _Survey, streets: int) -> Iterable[Finding]:
    for index in range(streets):
        shape = survey.shapes[index]
        if shape.is_closed:
            advice = "closed street: measures count round; cut it in two where it isn't meant"
            yield survey.finding(Fault.LOOP, [index], Point(shape.coords[0]), shape.length, advice)


def _self_crossings(survey: _Survey) -> Iterable[Finding]:
    for index, shape in enumerate(survey.shapes):
        if not shape.is_simple:
            at = _crossing_of(shape)
            advice = "the line crosses or runs over itself; split it there into streets of their own"
            yield survey.finding(Fault.SELF_CROSSING, [index], at, shape.length, advice)


def _crossing_of(shape: LineString) -> Point:
    """The first vertex at which the noded line visits a place again."""
    seen: set[tuple[float, float]] = set()
    for piece in shapely.get_parts(shapely.node(shape)):
        ends = {piece.coords[0], piece.coords[-1]}
        inside = [end for end in sorted(ends & seen) if end not in {shape.coords[0], shape.coords[-1]}]
        if inside:
            return Point(inside[0])
        seen |= ends
    return Point(shape.coords[0])


def _slivers(survey: _Survey) -> Iterable[Finding]:
    for index, shape in enumerate(survey.shapes):
        if shape.length < SLIVER_M:
            advice = "shorter than a machine can show; merge it with its neighbour or remove it"
            yield survey.finding(Fault.SLIVER, [index], shape.centroid, shape.length, advice)


def _near(survey: _Survey, distance_m: float) -> Iterable[tuple[int, int]]:
    """Pairs of lines, each once, that come nearer than a distance."""
    one, other = survey.tree.query(survey.shapes, predicate="dwithin", distance=distance_m)
    for a, b in zip(one.tolist(), other.tolist(), strict=True):
        if a < b:
            yield a, b


def _duplicates(survey: _Survey) -> Iterable[Finding]:
    for a, b in sorted(_near(survey, SAME_M)):
        if survey.lines[a].layer != survey.lines[b].layer:
            continue
        short, long = (a, b) if survey.shapes[a].length <= survey.shapes[b].length else (b, a)
        shape, other = survey.shapes[short], survey.shapes[long]
        # A short stub stands within 2 m of the line it joins; that is a sliver, not a duplicate.
        if shape.length < SLIVER_M:
            continue
        common_m = shape.intersection(other.buffer(SAME_M)).length
        if common_m >= SAME_SHARE * shape.length:
            middle = shape.interpolate(0.5, normalized=True)
            advice = "drawn twice: remove one of them, or move it to where it is"
            yield survey.finding(Fault.DUPLICATE, [short, long], middle, common_m, advice)


def _gaps(survey: _Survey) -> Iterable[Finding]:
    """Ends that touch no other line but nearly do."""
    for index, shape in enumerate(survey.shapes):
        # Both ends of a sliver are near whatever it joins; it is reported as that already.
        if shape.is_closed or shape.length < SLIVER_M:
            continue
        for end in (Point(shape.coords[0]), Point(shape.coords[-1])):
            near = [i for i in survey.tree.query(end, "dwithin", GAP_M_MAX).tolist() if i != index]
            if not near:
                continue
            away_m, other = min((survey.shapes[i].distance(end), i) for i in near)
            if away_m > TOUCH_M:
                advice = "the end nearly meets the other line: snap it to a vertex there if they join"
                yield survey.finding(Fault.GAP, [index, other], end, away_m, advice)


def _islands(survey: _Survey) -> Iterable[Finding]:
    """Groups of lines that no way leads to from the largest."""
    group = list(range(len(survey.lines)))

    def top(index: int) -> int:
        while group[index] != index:
            group[index] = group[group[index]]
            index = group[index]
        return index

    for a, b in _near(survey, TOUCH_M):
        if survey.lines[a].layer == survey.lines[b].layer or _end_meets(survey.shapes[a], survey.shapes[b]):
            group[top(a)] = top(b)
    members: dict[int, list[int]] = {}
    for index in range(len(group)):
        members.setdefault(top(index), []).append(index)
    lengths_m = {key: sum(survey.shapes[i].length for i in rows) for key, rows in members.items()}
    largest = max(members, key=lambda key: (lengths_m[key], -members[key][0]))
    for key, rows in members.items():
        if key != largest:
            more = f" (and {len(rows) - NAMED_MAX} more lines)" if len(rows) > NAMED_MAX else ""
            advice = f"no way leads here from the rest of the network: draw the road that does{more}"
            at = survey.shapes[rows[0]].centroid
            yield survey.finding(Fault.ISLAND, rows[:NAMED_MAX], at, lengths_m[key], advice)


def _end_meets(one: LineString, other: LineString) -> bool:
    """Whether an end of either lies on the other: a bridge's foot is a junction in any layer."""
    return any(
        line.distance(Point(end)) <= TOUCH_M
        for line, ends in ((one, other.coords), (other, one.coords))
        for end in (ends[0], ends[-1])
    )
