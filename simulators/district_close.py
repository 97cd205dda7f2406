"""Blocks that are harder than the made-up Zhanqian's: everything close to something that looks like it.

Alleys 12 to 20 m beside avenues on both sides of them, alleys that leave an avenue and come back to it, lanes
that nobody audits beside alleys, and alleys that cross once or four times. A layout is the order in which a
subdistrict's blocks are built.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal

from simulators.district_blocks import (
    PATTERNS,
    XY,
    Alley,
    Block,
    Pattern,
    beside,
    between,
    comb,
    cross,
    dead_end,
    hook,
    pair,
    shifted,
    through,
)

CLOSE_M = (12.0, 20.0)


def lined(block: Block, rng: random.Random) -> list[Alley]:
    """An alley 12 to 20 m from the road in the south, another as near to the one in the north."""
    _, deep_m = block.size_m
    alleys = []
    for edge, far in ((block.south, False), (block.north, True)):
        apart_m = rng.uniform(*CLOSE_M)
        v = 1.0 - apart_m / deep_m if far else apart_m / deep_m
        inner = shifted(edge.points, -apart_m if far else apart_m)
        alleys.append(Alley([[block.west.at(v), *inner, block.east.at(v)]]))
    return alleys


def frontage(block: Block, rng: random.Random) -> list[Alley]:
    """An alley that leaves the south road, runs 12 to 20 m beside it and comes back; and a dead end."""
    wide_m, deep_m = block.size_m
    apart_m = rng.uniform(*CLOSE_M)
    left, right = rng.uniform(0.1, 0.2), rng.uniform(0.8, 0.9)
    leave, back = block.south.at(left), block.south.at(right)
    mouth = rng.uniform(6.0, 14.0) / wide_m
    v = apart_m / deep_m
    # Beside the road itself, not beside the straight line between its ends.
    points = shifted(block.south.points, apart_m)
    inner = [p for p in points if math.dist(p, leave) > 30.0 and math.dist(p, back) > 30.0]
    start = _beside(block, left + mouth, v)
    end = _beside(block, right - mouth, v)
    return [Alley([[leave, start, *inner, end, back]]), *dead_end(block, rng)]


def laned(block: Block, rng: random.Random) -> list[Alley]:
    """A lane from road to road that nobody audits, and an alley 12 to 20 m beside it."""
    _, deep_m = block.size_m
    v = rng.uniform(0.3, 0.6)
    w = v + rng.uniform(*CLOSE_M) / deep_m
    bends = [rng.uniform(-8, 8) / deep_m for _ in range(2)]
    lines = []
    for base in (v, w):
        inner = [block.place(u, base + bend) for u, bend in zip((0.33, 0.66), bends, strict=True)]
        lines.append([block.west.at(base), *inner, block.east.at(base)])
    return [Alley([lines[0]], kind="road"), Alley([lines[1]])]


def scissors(block: Block, rng: random.Random) -> list[Alley]:
    """Two alleys from road to road that cross at an acute angle."""
    low, high = rng.uniform(0.25, 0.4), rng.uniform(0.6, 0.75)
    first = block.west.at(low), block.east.at(high)
    second = block.west.at(high), block.east.at(low)
    middle = _crossing(first, second)
    return [Alley([[a, middle, b]]) for a, b in (first, second)]


def lattice(block: Block, rng: random.Random) -> list[Alley]:
    """Two alleys from west to east and two from south to north: four crossings."""
    us = sorted((rng.uniform(0.28, 0.42), rng.uniform(0.58, 0.72)))
    vs = sorted((rng.uniform(0.28, 0.42), rng.uniform(0.58, 0.72)))
    rows = [(block.west.at(v), block.east.at(v)) for v in vs]
    columns = [(block.south.at(u), block.north.at(u)) for u in us]
    at = [[_crossing(row, column) for column in columns] for row in rows]
    alleys = [Alley([[a, *at[j], b]]) for j, (a, b) in enumerate(rows)]
    return alleys + [Alley([[a, at[0][i], at[1][i], b]]) for i, (a, b) in enumerate(columns)]


def _beside(block: Block, u: float, v: float) -> XY:
    """The place at depth v of the block beside the share u of its south road."""
    sw, se, nw, ne = block.corners
    on_road = _along(block.south.points, u)
    straight, far = between(sw, se, u), between(nw, ne, u)
    return (
        on_road[0] + (far[0] - straight[0]) * v,
        on_road[1] + (far[1] - straight[1]) * v,
    )


def _along(points: Sequence[XY], share: float) -> XY:
    left_m = share * sum(math.dist(a, b) for a, b in pairwise(points))
    for a, b in pairwise(points):
        length_m = math.dist(a, b)
        if left_m <= length_m:
            return between(a, b, left_m / length_m)
        left_m -= length_m
    return points[-1]


def _crossing(first: tuple[XY, XY], second: tuple[XY, XY]) -> XY:
    """Where two straight lines cross."""
    (ax, ay), (bx, by) = first
    (cx, cy), (dx, dy) = second
    det = (bx - ax) * (dy - cy) - (by - ay) * (dx - cx)
    share = ((cx - ax) * (dy - cy) - (cy - ay) * (dx - cx)) / det
    return between(first[0], first[1], share)


#: "avenues" has nothing but alleys close to avenues.
LAYOUTS: Mapping[str, tuple[Pattern, ...]] = {
    "zhanqian": PATTERNS,
    "close": (lined, scissors, frontage, pair, laned, comb, lined, hook, beside, cross, frontage, through),
    "crossing": (lattice, pair, scissors, cross, comb, lattice, hook, scissors, through, cross),
    "avenues": (lined, frontage, lined, beside, lined),
}
LayoutName = Literal["zhanqian", "close", "crossing", "avenues"]
