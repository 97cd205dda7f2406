"""What is built between four roads of the made-up Zhanqian: alleys in patterns that make matching hard.

A block's patterns are drawn in shares of its width and depth; where an alley meets a road, the road gets a
vertex in that very place. Coordinates are metres from the district's centre.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

XY = tuple[float, float]


@dataclass(slots=True)
class Alley:
    """A back street in the making, or of kind "road" a lane that nobody audits; metres from the centre."""

    parts: list[list[XY]]
    kind: str = "alley"
    sides: int = 1
    dead_end: bool = False

    @property
    def length_m(self) -> float:
        """Length of the centreline."""
        return sum(math.dist(a, b) for part in self.parts for a, b in pairwise(part))


@dataclass(slots=True)
class Edge:
    """A road between two crossings of the grid: a polyline into which junctions are put."""

    points: list[XY]
    length_m: float = 0.0

    def __post_init__(self) -> None:
        self.length_m = sum(math.dist(a, b) for a, b in pairwise(self.points))

    def at(self, share: float) -> XY:
        """The place at a share of the length; it becomes a vertex, so that lines can join here."""
        left_m = share * self.length_m
        for index, (a, b) in enumerate(pairwise(self.points)):
            step_m = math.dist(a, b)
            if left_m <= step_m:
                place = between(a, b, left_m / step_m)
                self.points.insert(index + 1, place)
                return place
            left_m -= step_m
        return self.points[-1]


@dataclass(slots=True)
class Block:
    """What lies between four roads; `place(u, v)` is west to east and south to north, each 0 to 1."""

    south: Edge
    north: Edge
    west: Edge
    east: Edge
    corners: tuple[XY, XY, XY, XY]

    @property
    def size_m(self) -> XY:
        """From west to east, and from south to north."""
        sw, se, nw, ne = self.corners
        width_m = (math.dist(sw, se) + math.dist(nw, ne)) / 2
        return width_m, (math.dist(sw, nw) + math.dist(se, ne)) / 2

    def place(self, u: float, v: float) -> XY:
        """The place at shares of the block's width and depth."""
        sw, se, nw, ne = self.corners
        return between(between(sw, se, u), between(nw, ne, u), v)

    def turned(self) -> Block:
        """The same block with its axes swapped, so that every pattern exists both ways."""
        sw, se, nw, ne = self.corners
        return Block(self.west, self.east, self.south, self.north, (sw, nw, se, ne))


def between(a: XY, b: XY, share: float) -> XY:
    """The place at a share of the way from a to b."""
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


# Patterns: what is built into a block. `u` runs along the alley, `v` across it.


def _bends(block: Block, rng: random.Random, v: float, shares: Sequence[float]) -> list[XY]:
    _, deep_m = block.size_m
    return [block.place(u, v + rng.uniform(-11, 11) / deep_m) for u in shares]


def through(block: Block, rng: random.Random) -> list[Alley]:
    """One alley from road to road; a wide one is swept along both kerbs."""
    v = rng.uniform(0.35, 0.65)
    inner = _bends(block, rng, v, (0.22, 0.5, 0.75))
    line = [block.west.at(v), *inner, block.east.at(v)]
    wide = rng.random() < 0.6
    return [Alley([line], kind="street" if wide else "alley", sides=2 if wide else 1)]


def pair(block: Block, rng: random.Random) -> list[Alley]:
    """Two alleys side by side, 20 to 40 m apart: which one was it?"""
    _, deep_m = block.size_m
    apart_m = rng.uniform(22, 38)
    v = rng.uniform(0.3, 0.6)
    w = v + apart_m / deep_m
    bends_m = [rng.uniform(-8, 8) for _ in range(2)]
    lines = []
    for base in (v, w):
        inner = [block.place(u, base + b / deep_m) for u, b in zip((0.33, 0.66), bends_m, strict=True)]
        lines.append(Alley([[block.west.at(base), *inner, block.east.at(base)]]))
    return lines


def comb(block: Block, rng: random.Random) -> list[Alley]:
    """A through alley of three parts, with an alley up to the north road and a dead end to the south."""
    v = rng.uniform(0.4, 0.6)
    left, right = rng.uniform(0.28, 0.38), rng.uniform(0.6, 0.72)
    joints = _bends(block, rng, v, (left, right))
    middle = _bends(block, rng, v, (0.5,))
    start, end = block.west.at(v), block.east.at(v)
    main = Alley([[start, joints[0]], [joints[0], *middle, joints[1]], [joints[1], end]])
    if rng.random() < 0.4:
        main.kind, main.sides = "street", 2
    up = Alley([[joints[0], block.place(left + 0.03, (1 + v) / 2), block.north.at(left)]])
    tip_v = v * rng.uniform(0.2, 0.4)
    down = Alley([[joints[1], block.place(right - 0.04, (v + tip_v) / 2), block.place(right, tip_v)]])
    down.dead_end = True
    return [main, up, down]


def cross(block: Block, rng: random.Random) -> list[Alley]:
    """Two alleys that cross in the middle."""
    u, v = rng.uniform(0.4, 0.6), rng.uniform(0.4, 0.6)
    middle = block.place(u, v)
    side = block.place(u / 2, v + rng.uniform(-0.03, 0.03))
    ways = [[block.west.at(v), side, middle], [middle, block.east.at(v)]]
    over = [block.south.at(u), block.place(u + rng.uniform(-0.03, 0.03), v / 2), middle, block.north.at(u)]
    return [Alley(ways), Alley([over])]


def beside(block: Block, rng: random.Random) -> list[Alley]:
    """An alley 12 to 20 m from the road in the south, all along it, and a dead end further in."""
    _, deep_m = block.size_m
    apart_m = rng.uniform(13, 19)
    road = list(block.south.points)
    base = apart_m / deep_m
    start, end = block.west.at(base), block.east.at(base)
    return [Alley([[start, *shifted(road, apart_m), end]]), *dead_end(block, rng)]


def shifted(road: Sequence[XY], apart_m: float) -> list[XY]:
    """A road's vertices, without those near its ends, moved into the block (out of it if negative)."""
    return [
        _shift(road, index, apart_m)
        for index in range(1, len(road) - 1)
        if math.dist(road[index], road[0]) > 25 and math.dist(road[index], road[-1]) > 25
    ]


def _shift(line: Sequence[XY], index: int, apart_m: float) -> XY:
    """A vertex moved away from the line's south (or west) side into the block."""
    (x0, y0), (x1, y1) = line[index - 1], line[index + 1]
    length_m = math.dist((x0, y0), (x1, y1))
    dx, dy = (x1 - x0) / length_m, (y1 - y0) / length_m
    # Into the block is left of an eastward road, right of a northward one.
    sign = 1 if dx > abs(dy) else -1
    x, y = line[index]
    return x - sign * dy * apart_m, y + sign * dx * apart_m


def dead_end(block: Block, rng: random.Random) -> list[Alley]:
    """An alley that ends inside the block, with a turn to the north before its tip."""
    wide_m, _ = block.size_m
    v = rng.uniform(0.38, 0.5)
    tip = min(0.82, rng.uniform(90, 170) / wide_m)
    if rng.random() < 0.5:
        path = [block.west.at(v), block.place(tip * 0.55, v + 0.02), block.place(tip, v - 0.03)]
    else:
        turn = block.place(tip, v + 0.02)
        path = [block.west.at(v), turn, block.place(tip + 0.02, v + rng.uniform(0.18, 0.3))]
    return [Alley([path], dead_end=True)]


def yard(block: Block, rng: random.Random) -> list[Alley]:
    """A stem from the west road and, at its end, a street that goes round a courtyard: a loop."""
    wide_m, deep_m = block.size_m
    v = rng.uniform(0.45, 0.55)
    mouth = rng.uniform(70, 95) / wide_m
    right = min(0.85, mouth + rng.uniform(60, 90) / wide_m)
    half = rng.uniform(22, 34) / deep_m
    gate = block.place(mouth, v)
    ring = [gate, *(block.place(u, w) for u, w in _ring(mouth, right, v, half)), gate]
    stem = [block.west.at(v), block.place(mouth / 2, v + 0.015), gate]
    return [Alley([stem]), Alley([ring])]


def _ring(left: float, right: float, v: float, half: float) -> tuple[XY, ...]:
    return (left, v - half), (right, v - half), (right + 0.01, v), (right, v + half), (left, v + half)


def hook(block: Block, rng: random.Random) -> list[Alley]:
    """An alley of two parts round a corner, from the west road to the north road, and a stub off it."""
    u, v = rng.uniform(0.5, 0.68), rng.uniform(0.36, 0.5)
    turn = block.place(u, v)
    joint = block.place(u * 0.5, v + rng.uniform(-0.03, 0.03))
    first = [block.west.at(v), joint]
    second = [joint, turn, block.place(u + 0.03, (1 + v) / 2), block.north.at(u)]
    stub = [joint, block.place(u * 0.5 + 0.04, v * 0.6), block.place(u * 0.5, v * 0.25)]
    return [Alley([first, second]), Alley([stub], dead_end=True)]


Pattern = Callable[[Block, random.Random], list[Alley]]
PATTERNS: tuple[Pattern, ...] = (
    pair,
    comb,
    cross,
    beside,
    through,
    yard,
    hook,
    pair,
    comb,
    beside,
    through,
    dead_end,
    hook,
    cross,
)
