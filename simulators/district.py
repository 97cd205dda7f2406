"""A made-up Zhanqian: 144 back streets, the roads around them, units and a plan, from a seed.

No survey of the real streets is public, so the files say `"synthetic": true`. What makes matching hard is
here on purpose: near-parallel alleys, alleys beside an avenue, dead ends, T-junctions, crossings, loops.
Junctions are exact: lines that meet share a vertex, equal in all seven decimals. The same seed gives the
same bytes: `python -m simulators.district configs/zhanqian` rewrites the committed folder unchanged.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from simulators.district_blocks import XY, Alley, Block, Edge, Pattern, between
from simulators.district_close import LAYOUTS, LayoutName
from simulators.district_plan import Stop, plan, toml_files

SEED = 17
LON0, LAT0 = 122.275, 40.675
M_PER_DEG_LAT = 111_047.0
M_PER_DEG_LON = 84_530.0
SPAN_M = 3_000.0
SUBDISTRICTS = ("八田地街道", "建丰街道", "建设街道", "跃进街道", "新建街道", "东兴街道")
STREETS_EACH = 24
#: A grid into which too few streets fit is thrown away and drawn again.
ATTEMPTS_MAX = 50
LENGTH_M = (62.0, 396.0)
#: Where a name is taken so often in a row, names with a quarter of the sky are used too.
TRIES_MAX = 1_000


@dataclass(slots=True)
class Grid:
    """Avenues and lanes: crossings, the edges between them, and the blocks they enclose."""

    crossings: list[list[XY]]
    rows: list[list[Edge]] = field(default_factory=list)
    columns: list[list[Edge]] = field(default_factory=list)

    def block(self, i: int, j: int) -> Block:
        """The block north-east of a crossing."""
        at = self.crossings
        corners = at[i][j], at[i + 1][j], at[i][j + 1], at[i + 1][j + 1]
        rows, columns = self.rows, self.columns
        return Block(rows[i][j], rows[i][j + 1], columns[i][j], columns[i + 1][j], corners)


def _spread(rng: random.Random) -> list[float]:
    """Lines 170 to 430 m apart over the span."""
    steps = [rng.uniform(190, 400) for _ in range(10)]
    scale = SPAN_M / sum(steps)
    places = [-SPAN_M / 2]
    for step in steps:
        places.append(places[-1] + step * scale)
    return places


def _grid(rng: random.Random) -> Grid:
    xs, ys = _spread(rng), _spread(rng)
    # The whole net leans and bulges a little, as towns do; crossings are off by some metres besides.
    grid = Grid([[_lean(x + rng.uniform(-14, 14), y + rng.uniform(-14, 14)) for y in ys] for x in xs])
    at = grid.crossings
    for i in range(len(xs) - 1):
        grid.rows.append([_bent(at[i][j], at[i + 1][j], rng) for j in range(len(ys))])
    for i in range(len(xs)):
        grid.columns.append([_bent(at[i][j], at[i][j + 1], rng) for j in range(len(ys) - 1)])
    return grid


def _lean(x: float, y: float) -> XY:
    return x + 0.07 * y + 45 * math.sin(y / 900), y - 0.05 * x + 40 * math.sin(x / 1_000)


def _bent(a: XY, b: XY, rng: random.Random) -> Edge:
    x, y = between(a, b, rng.uniform(0.4, 0.6))
    length_m = math.dist(a, b)
    off_m = rng.uniform(-5, 5)
    return Edge([a, (x - (b[1] - a[1]) / length_m * off_m, y + (b[0] - a[0]) / length_m * off_m), b])


def _fits(alleys: Iterable[Alley]) -> bool:
    return all(LENGTH_M[0] <= alley.length_m <= LENGTH_M[1] for alley in alleys)


def _build(block: Block, pattern: Pattern, rng: random.Random) -> list[Alley]:
    """The pattern in one of the block's two ways, or nothing where its alleys get too long or too short."""
    for _ in range(6):
        way = block if rng.random() < 0.5 else block.turned()
        edges = (block.south, block.north, block.west, block.east)
        before = [list(edge.points) for edge in edges]
        alleys = pattern(way, rng)
        if _fits(alleys):
            return alleys
        for edge, points in zip(edges, before, strict=True):
            edge.points[:] = points
    return []


def _alleys(
    grid: Grid, patterns: Sequence[Pattern], rng: random.Random
) -> tuple[list[tuple[str, Alley]], list[Alley]]:
    """Streets with their subdistricts, three columns and two rows of blocks, and lanes that are no streets.

    There are fewer streets than 144 if too few fit.
    """
    found: list[tuple[str, Alley]] = []
    lanes: list[Alley] = []
    blocks = len(grid.rows)
    for index, subdistrict in enumerate(SUBDISTRICTS):
        columns = range(blocks * (index % 3) // 3, blocks * (index % 3 + 1) // 3)
        rows = range(blocks * (index // 3) // 2, blocks * (index // 3 + 1) // 2)
        places = [(i, j) for i in columns for j in rows]
        rng.shuffle(places)
        mine: list[Alley] = []
        for turn, (i, j) in enumerate(places):
            built = _build(grid.block(i, j), patterns[turn % len(patterns)], rng)
            alleys = [alley for alley in built if alley.kind != "road"]
            if len(mine) < STREETS_EACH:
                lanes += [alley for alley in built if alley.kind == "road"]
            mine += alleys[: STREETS_EACH - len(mine)]
        found += [(subdistrict, alley) for alley in mine]
    return found, lanes


NAMES = (
    "永红,福源,长安,和平,光明,新华,向阳,朝阳,胜利,团结,幸福,民生,民主,文化,育才,振兴,兴隆,兴业,青年,友谊,"
    "红旗,东风,工农,铁西,站前,公园,菜市,粮库,糖厂,纸坊,渡口,盐仓,辽河,海滨,望海,潮沟,石桥,柳树,槐花,枣园,"
    "梨园,杏花,桃源,松竹,芦苇,荷塘,水源,泉眼,义和,仁爱,礼泉,智慧,信义,平安,吉祥,如意,康宁,永泰,德胜,建国"
)
ROAD_NAMES = (
    "渤海大街,市府路,学府路,金牛山大街,辽河大街,体育馆路,新兴大街,少年宫路,文兴路,盼盼路,清华路,"
    "楞严寺路,东升路,平安路,智泉街,光华路,园丁路,启文路,通惠街,澄湖路,得胜路,滨海路"
)


def _names(alleys: Sequence[Alley], rng: random.Random) -> list[str]:
    """A name for each, none twice; a wide one is a 小街, a dead end a 里 or 胡同."""
    words = NAMES.split(",")
    used: set[str] = set()
    names = []
    for alley in alleys:
        endings = ["小街"] if alley.sides == 2 else ["里", "胡同"] if alley.dead_end else ["巷", "巷", "胡同"]
        tries = 0
        while (name := rng.choice(words) + rng.choice(endings)) in used:
            tries += 1
            if tries == TRIES_MAX:
                endings = ["东巷", "西巷", "南巷", "北巷"]
        used.add(name)
        names.append(name)
    return names


def _lonlat(place: XY) -> list[float]:
    return [round(LON0 + place[0] / M_PER_DEG_LON, 7), round(LAT0 + place[1] / M_PER_DEG_LAT, 7)]


def _feature(properties: Mapping[str, object], parts: Sequence[Sequence[XY]]) -> dict[str, object]:
    lines = [[_lonlat(place) for place in part] for part in parts]
    geometry = (
        {"type": "LineString", "coordinates": lines[0]}
        if len(lines) == 1
        else {"type": "MultiLineString", "coordinates": lines}
    )
    return {"type": "Feature", "properties": dict(properties), "geometry": geometry}


def _geojson(features: Sequence[object]) -> bytes:
    """A feature a line, so that a change of one street is a change of one line."""
    head = '{"type":"FeatureCollection","synthetic":true,"noded":false,"features":[\n'
    lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in features)
    return (head + ",\n".join(lines) + "\n]}\n").encode()


def _grade(alley: Alley, rng: random.Random) -> int:
    return 3 if alley.sides == 2 else rng.choices((3, 2, 1), (3, 5, 4))[0]


def _streets(
    rows: Sequence[tuple[str, Alley]], rng: random.Random
) -> tuple[list[dict[str, object]], list[Stop]]:
    names = _names([alley for _, alley in rows], rng)
    features, stops = [], []
    by_hand_left = 8
    for number, ((subdistrict, alley), name) in enumerate(zip(rows, names, strict=True), 1):
        street_id = f"ZQ-{number:03d}"
        grade = _grade(alley, rng)
        by_hand = alley.dead_end and by_hand_left > 0 and number % 3 == 0
        by_hand_left -= by_hand
        grade = min(grade, 2) if by_hand else grade
        properties = {
            "kind": alley.kind,
            "street_id": street_id,
            "name": name,
            "grade": grade,
            "required": grade,
            "work": "by_hand" if by_hand else "sweeping",
            "sides": alley.sides,
            "subdistrict": subdistrict,
            "contractor": ("ZQ-HW1", "ZQ-HW2")[SUBDISTRICTS.index(subdistrict) // 3],
            "oneway": False,
            "layer": 0,
        }
        features.append(_feature(properties, alley.parts))
        area = SUBDISTRICTS.index(subdistrict)
        middle = alley.parts[len(alley.parts) // 2][0]
        stop = Stop(street_id, area, grade, by_hand, alley.sides, alley.dead_end, alley.length_m, middle)
        stops.append(stop)
    return features, stops


def _roads(grid: Grid, lanes: Sequence[Alley]) -> list[dict[str, object]]:
    """Each avenue is one line from edge to edge of the district, through all its crossings; then the lanes."""
    rows = [[grid.rows[i][j] for i in range(len(grid.rows))] for j in range(len(grid.rows[0]))]
    names = ROAD_NAMES.split(",")
    features = []
    for letter, lines in (("E", rows), ("N", grid.columns)):
        for number, edges in enumerate(lines, 1):
            name = names[(number - 1) * 2 + (letter == "N")]
            points = [place for edge in edges for place in edge.points[:-1]] + [edges[-1].points[-1]]
            properties = {"kind": "road", "street_id": f"ZQ-R{letter}{number:02d}", "name": name}
            features.append(_feature({**properties, "oneway": False, "layer": 0}, [points]))
    for number, lane in enumerate(lanes, 1):
        properties = {"kind": "road", "street_id": f"ZQ-RL{number:02d}", "name": f"{number}号通道"}
        features.append(_feature({**properties, "oneway": False, "layer": 0}, lane.parts))
    return features


def generate(seed: int = SEED, layout: LayoutName = "zhanqian") -> Mapping[str, bytes]:
    """The folder's files; the same seed and layout give the same bytes."""
    for attempt in range(ATTEMPTS_MAX):
        rng = random.Random(seed + attempt * 1_000_003)
        grid = _grid(rng)
        rows, lanes = _alleys(grid, LAYOUTS[layout], rng)
        if len(rows) == STREETS_EACH * len(SUBDISTRICTS):
            break
    else:
        raise ValueError(f"no district fits seed {seed}; choose another")
    features, stops = _streets(rows, rng)
    return {
        "streets.geojson": _geojson(features),
        "roads.geojson": _geojson(_roads(grid, lanes)),
        **toml_files(plan(stops)),
    }


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="where to write, such as configs/zhanqian")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name, content in generate(arguments.seed).items():
        (arguments.folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
