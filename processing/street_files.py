"""Streets and context roads out of GeoJSON (RFC 7946).

Features with kind=alley or kind=street are audited, kind=road is context. Each feature has a stable
street_id and one chain of lines: parts are put in order and turned where needed, and what isn't one chain is
refused. What is wrong with a feature is a line of text, never an exception, so a survey of 500 streets
says all its faults at once.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from processing.district import Road, Street, Work

IMPORT_HINT = "run `swept streets import FILE --crs EPSG:... (or --gcj02)` first"
PARTS_MAX = 64
POINTS_MAX = 100_000
#: Ends of parts meet when no further apart than this, in degrees (about 1 cm).
MEET_DEG = 1.5e-7
#: A line that spans less than this, about a metre, is no street.
TINY_DEG = 1e-5
#: A map reaches at most this far from its middle, so it spans about 100 km; so many lines beyond are named.
AWAY_M_MAX, ODD_NAMED_MAX = 50_000.0, 5
M_PER_DEG = 111_195.0

Point = tuple[float, float]
Part = tuple[Point, ...]


def _whole(value: object) -> object:
    """1.0 and "1" are 1: shapefiles know no whole numbers, spreadsheets only text."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


def _text(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(_whole(value))
    return value.strip() if isinstance(value, str) else value


def _plain(value: str) -> str:
    """What a line of text may hold: a NUL can't be stored, and others forge what is printed."""
    if not value.isprintable():
        raise ValueError("holds a character that can't be printed; remove it")
    return value


PlainText = AfterValidator(_plain)
Text = Annotated[str, BeforeValidator(_text), PlainText]


class _Properties(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    kind: Literal["alley", "street", "road"]
    street_id: Annotated[Text, Field(min_length=1, max_length=64, pattern=r"^[^/+#\s]+$")]
    name: Annotated[Text, Field(max_length=200)] = ""
    grade: int = Field(3, ge=1, le=9)
    required: int = Field(1, ge=0, le=48)
    work: Work = "sweeping"
    sides: Annotated[Literal[1, 2], BeforeValidator(_whole)] = 1
    subdistrict: Text = ""
    contractor: Text = ""
    oneway: bool = False
    layer: int = Field(0, ge=-9, le=9)


def parse_streets(
    geojson: bytes, file: str = "streets.geojson"
) -> tuple[list[Street], list[Road], bool, list[str]]:
    """Streets, context roads, whether lines are already cut at junctions, and problems (one line each)."""
    try:
        content = json.loads(geojson)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        return [], [], False, [f"{file}: not GeoJSON ({str(error)[:80]}); export it again as GeoJSON"]
    if not isinstance(content, dict) or not isinstance(content.get("features"), list):
        return [], [], False, [f"{file}: not a FeatureCollection; export the layer as one"]
    if problem := _wrong_crs(content):
        return [], [], False, [f"{file}: {problem}"]
    streets: list[Street] = []
    roads: list[Road] = []
    problems: list[str] = []
    seen: set[str] = set()
    for number, feature in enumerate(content["features"], 1):
        where = f"{file}: {_label(feature, number)}"
        line, faults = parse_feature(feature)
        problems += [f"{where}: {fault}" for fault in faults]
        if line is None:
            continue
        if line.line_id in seen:
            problems.append(f"{where}: this street_id is used twice; give each street its own")
            continue
        seen.add(line.line_id)
        if isinstance(line, Street):
            streets.append(line)
        else:
            roads.append(line)
    problems += [f"{file}: {problem}" for problem in far_apart((*streets, *roads))]
    return streets, roads, content.get("noded") is True, problems


def far_apart(lines: Sequence[Street | Road]) -> list[str]:
    """Where the map spans more than a district can, the lines that lie far from the others, the furthest first.

    The grid over the network grows with the map, so one stray street would take all memory.
    """
    if not lines:
        return []
    starts = [line.parts[0][0] for line in lines]
    lon0, lat0 = (statistics.median(axis) for axis in zip(*starts, strict=True))
    shrunk = math.cos(math.radians(lat0))

    def away_m(line: Street | Road) -> float:
        return max(
            math.hypot((lon - lon0) * shrunk, lat - lat0) * M_PER_DEG
            for part in line.parts
            for lon, lat in part
        )

    odd = sorted(((away_m(line), line.line_id) for line in lines), reverse=True)
    return [
        f"{line_id} reaches {metres / 1_000:,.0f} km from the middle of the map, at most "
        f"{AWAY_M_MAX / 1_000:.0f} km are possible; correct or remove it"
        for metres, line_id in odd[:ODD_NAMED_MAX]
        if metres > AWAY_M_MAX
    ]


def _wrong_crs(content: Mapping[str, Any]) -> str:
    """What is wrong with the coordinate system that a file names itself, or nothing."""
    crs = content.get("crs")
    named = crs.get("properties", {}) if isinstance(crs, dict) else {}
    name = str(named.get("name", "")) if isinstance(named, dict) else ""
    name = name or str(content.get("datum", ""))
    plain = name.upper().replace("-", "").replace(" ", "")
    if not plain or plain in {"WGS84", "EPSG:4326"} or plain.endswith(("CRS84", ":4326")):
        return ""
    return f"is in {name}, not WGS-84; {IMPORT_HINT}"


def _label(feature: object, number: int) -> str:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    street_id = properties.get("street_id") if isinstance(properties, dict) else None
    return f"feature {number} ({ascii_if_odd(str(street_id)[:64])})" if street_id else f"feature {number}"


def ascii_if_odd(text: str) -> str:
    """A foreign text that may be printed."""
    return text if text.isprintable() else ascii(text)


def parse_feature(feature: object) -> tuple[Street | Road | None, list[str]]:
    """The street or road of a GeoJSON feature, or None and what is wrong with it."""
    if not isinstance(feature, dict):
        return None, ["not a feature; remove it"]
    faults: list[str] = []
    properties = _properties(feature.get("properties"), faults)
    oneway = properties is not None and properties.oneway
    parts = line_parts(feature.get("geometry"), faults, turn=not oneway)
    if properties is None or faults:
        return None, faults
    if properties.sides == 2 and properties.oneway:
        return None, ["a one-way street has one side; set sides to 1 or oneway to false"]
    common = (properties.street_id, properties.name or properties.street_id, parts)
    if properties.kind == "road":
        return Road(*common, oneway=properties.oneway, layer=properties.layer), []
    own = properties.model_dump(exclude={"kind", "street_id", "name"})
    return Street(*common, **own), []


def _properties(properties: object, faults: list[str]) -> _Properties | None:
    given = properties if isinstance(properties, dict) else {}
    # Exporters write null where a column is empty.
    given = {name: value for name, value in given.items() if value is not None}
    try:
        return _Properties.model_validate(given)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_context=False):
            name = ".".join(str(part) for part in fault["loc"])
            if fault["type"] == "missing":
                faults.append(f"{name} is missing; {_MISSING.get(name, 'add it')}")
            else:
                told = fault["msg"].removeprefix("Value error, ")
                faults.append(f"{name}: {told} (is {ascii_if_odd(repr(fault['input'])[:100])})")
        return None


_MISSING = {
    "street_id": "give each feature a stable id of its own",
    "kind": "say kind=alley or kind=street (audited) or kind=road (context)",
}


def line_parts(geometry: object, faults: list[str], *, turn: bool = True) -> tuple[Part, ...]:
    """The connected parts of a GeoJSON geometry in order; appends to `faults` what is wrong.

    Without `turn`, as of a one-way street, every part must point along the chain already.
    """
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if not isinstance(geometry, dict) or kind not in ("LineString", "MultiLineString"):
        faults.append(
            f"geometry is {str(kind or 'missing')[:40]}; draw a centreline (LineString, MultiLineString)"
        )
        return ()
    raw = geometry.get("coordinates")
    lines = [raw] if kind == "LineString" else raw
    if not isinstance(lines, list) or not 0 < len(lines) <= PARTS_MAX:
        faults.append(f"coordinates hold no line, or more than {PARTS_MAX} parts; merge or split the street")
        return ()
    parts = []
    for line in lines:
        points = _points(line, faults)
        if faults:
            return ()
        parts.append(points)
    spans = [(max(axis) - min(axis)) for axis in zip(*(p for part in parts for p in part), strict=True)]
    if max(spans) < TINY_DEG:
        faults.append("lies within a metre (wrong coordinate system?); draw it or remove it")
        return ()
    chained = chain(parts, turn=turn)
    if chained is None:
        way = "" if turn else " that points one way"
        faults.append(f"parts don't connect into one chain{way}; join them, or make a street of each")
        return ()
    return chained


def _points(line: object, faults: list[str]) -> Part:
    if not isinstance(line, list) or len(line) > POINTS_MAX:
        faults.append(f"a part is no list of up to {POINTS_MAX} coordinates; export it again")
        return ()
    points: list[Point] = []
    for position in line:
        if not isinstance(position, list) or len(position) < 2 or not all(map(_is_number, position[:2])):
            faults.append(f"{str(position)[:40]} is no [lon, lat]; export it again")
            return ()
        lon, lat = float(position[0]), float(position[1])
        if problem := _out_of_range(lon, lat):
            faults.append(problem)
            return ()
        if not points or points[-1] != (lon, lat):
            points.append((lon, lat))
    if len(points) < 2:
        faults.append("has no length; draw at least two different points, or remove it")
    return tuple(points)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _out_of_range(lon: float, lat: float) -> str:
    if abs(lon) <= 180 and abs(lat) <= 90:
        return "lies at (0, 0); the survey lost its coordinates there" if lon == lat == 0 else ""
    if abs(lon) <= 90 and abs(lat) <= 180:
        return f"[{lon}, {lat}] has lat before lon; write [lon, lat]"
    return f"[{lon:.2f}, {lat:.2f}] isn't in degrees (projected?); {IMPORT_HINT}"


def to_geojson(lines: Iterable[Street | Road], *, synthetic: bool = False, noded: bool = False) -> bytes:
    """Lines as a file that `parse_streets` reads back; a feature a line, coordinates to 1e-7 degrees."""
    head = {"type": "FeatureCollection", "synthetic": synthetic, "noded": noded}
    features = ",\n".join(json.dumps(_feature(line), ensure_ascii=False) for line in lines)
    return f'{json.dumps(head)[:-1]}, "features": [\n{features}\n]}}\n'.encode()


def _feature(line: Street | Road) -> dict[str, object]:
    properties: dict[str, object] = {"kind": "road", "street_id": line.line_id, "name": line.name}
    if isinstance(line, Street):
        properties |= {"kind": "alley" if line.sides == 1 else "street"}
        properties |= {name: getattr(line, name) for name in _AUDITED}
    properties |= {"oneway": line.oneway, "layer": line.layer}
    parts = [[[round(lon, 7), round(lat, 7)] for lon, lat in part] for part in line.parts]
    one = len(parts) == 1
    kind = "LineString" if one else "MultiLineString"
    geometry = {"type": kind, "coordinates": parts[0] if one else parts}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


_AUDITED = ("grade", "required", "work", "sides", "subdistrict", "contractor")


def chain(parts: Sequence[Part], *, turn: bool = True) -> tuple[Part, ...] | None:
    """The parts so that each starts where the one before ends, or None where they are no one chain.

    The order given is kept if it is one, else parts are reordered, and only if need be (and `turn`) turned.
    """
    for may_turn in (False, True) if turn else (False,):
        for first in range(len(parts)):
            rest = [*parts[:first], *parts[first + 1 :]]
            for start in (parts[first], parts[first][::-1])[: 1 + may_turn]:
                if (found := _follow(start, list(rest), may_turn)) is not None:
                    return found
    return None


def _follow(start: Part, rest: list[Part], may_turn: bool) -> tuple[Part, ...] | None:  # noqa: FBT001
    found = [start]
    while rest:
        end = found[-1][-1]
        for index, part in enumerate(rest):
            turned = part if _meets(part[0], end) or not may_turn else part[::-1]
            if _meets(turned[0], end):
                # The joint is one coordinate, or noding would see two.
                found.append((end, *turned[1:]))
                del rest[index]
                break
        else:
            return None
    return tuple(found)


def _meets(one: Point, other: Point) -> bool:
    return abs(one[0] - other[0]) <= MEET_DEG and abs(one[1] - other[1]) <= MEET_DEG
