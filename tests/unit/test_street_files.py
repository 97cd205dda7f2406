"""GeoJSON of streets: what is taken, and what each refusal says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.district import Road, Street
from processing.street_files import chain, parse_feature, parse_streets, to_geojson

A, B, C, D = (122.26, 40.67), (122.261, 40.67), (122.262, 40.671), (122.263, 40.671)


def feature(geometry: dict[str, Any] | None = None, **properties: object) -> dict[str, Any]:
    geometry = geometry or {"type": "LineString", "coordinates": [list(A), list(B)]}
    properties = {"kind": "alley", "street_id": "S1", **properties}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def parts(*lines: tuple[tuple[float, float], ...]) -> dict[str, Any]:
    return {"type": "MultiLineString", "coordinates": [[list(p) for p in line] for line in lines]}


def collection(*features: object, **top: object) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": features, **top}).encode()


def test_alleys_and_streets_are_audited_and_roads_are_context() -> None:
    streets, roads, noded, problems = parse_streets(
        collection(
            feature(street_id="S1", grade=3, required=3, sides=2, subdistrict="建设街道", name="永红巷"),
            feature(street_id="S2", kind="street", work="washing"),
            feature(street_id="R1", kind="road", layer=1),
            noded=True,
        )
    )
    assert problems == []
    assert noded
    assert [street.street_id for street in streets] == ["S1", "S2"]
    assert streets[0] == Street(
        "S1", "永红巷", ((A, B),), grade=3, required=3, sides=2, subdistrict="建设街道"
    )
    assert streets[1].work == "washing"
    assert roads == [Road("R1", "R1", ((A, B),), layer=1)]


def test_parts_are_put_in_order_and_turned_so_that_each_starts_where_the_last_ended() -> None:
    line, faults = parse_feature(feature(parts((C, D), (A, B), (C, B))))
    assert faults == []
    assert line is not None
    assert line.parts in {((A, B), (B, C), (C, D)), ((D, C), (C, B), (B, A))}


def test_parts_that_need_no_turning_keep_their_direction_in_any_order() -> None:
    line, _ = parse_feature(feature(parts((C, D), (A, B), (B, C)), oneway=True))
    assert line is not None
    assert line.parts == ((A, B), (B, C), (C, D))


def test_a_one_way_street_is_not_turned() -> None:
    line, faults = parse_feature(feature(parts((A, B), (C, B)), oneway=True))
    assert line is None
    assert "points one way" in faults[0]


def test_a_street_round_a_yard_and_on_keeps_its_order() -> None:
    ring = (B, C, D, B)
    line, _ = parse_feature(feature(parts((A, B), ring, (B, (122.261, 40.66)))))
    assert line is not None
    assert line.parts[1] == ring


def test_parts_already_in_order_keep_their_direction() -> None:
    line, _ = parse_feature(feature(parts((D, C), (C, B), (B, A))))
    assert line is not None
    assert line.parts == ((D, C), (C, B), (B, A))


def test_a_joint_that_misses_by_a_rounding_becomes_one_coordinate() -> None:
    near = (B[0] + 1e-7, B[1])
    assert chain([(A, B), (near, C)]) == ((A, B), (B, C))


@given(st.permutations(range(5)), st.lists(st.booleans(), min_size=5, max_size=5))
@settings(max_examples=100, deadline=None)
def test_a_chain_is_found_from_any_order_and_direction_of_its_parts(
    order: list[int], turn: list[bool]
) -> None:
    whole = [((i * 1.0, 0.0), (i + 0.5, 1.0), (i + 1.0, 0.0)) for i in range(5)]
    given_parts = [whole[i][::-1] if turn[i] else whole[i] for i in order]
    found = chain(given_parts)
    assert found in {tuple(whole), tuple(part[::-1] for part in reversed(whole))}


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (feature(parts((A, B), (C, D))), "don't connect into one chain"),
        (feature(street_id=None), "street_id is missing; give each feature a stable id"),
        (feature(kind="avenue"), "kind:"),
        (feature(kind=None), "kind is missing"),
        (feature(street_id="a/b"), "street_id:"),
        (feature(sides=3), "sides:"),
        (feature(sides=2, oneway=True), "a one-way street has one side"),
        (feature(required=-1), "required:"),
        (feature(work="painting"), "work:"),
        (feature({"type": "Point", "coordinates": [1, 2]}), "geometry is Point"),
        (feature({"type": "LineString", "coordinates": []}), "no length"),
        (feature({"type": "LineString", "coordinates": [A, A]}), "no length"),
        (feature({"type": "LineString", "coordinates": [A, (A[0], A[1] + 9e-6)]}), "within a metre"),
        (feature({"type": "LineString", "coordinates": [A, ["x", 1]]}), "is no [lon, lat]"),
        (feature({"type": "LineString", "coordinates": [A, [float("nan"), 1]]}), "is no [lon, lat]"),
        (feature({"type": "MultiLineString", "coordinates": []}), "no line"),
        (
            feature({"type": "LineString", "coordinates": [[437000.0, 4502000.0], [437001.0, 4502000.0]]}),
            "swept streets import",
        ),
        (
            feature({"type": "LineString", "coordinates": [[40.67, 122.26], [40.68, 122.26]]}),
            "lat before lon",
        ),
        (feature({"type": "LineString", "coordinates": [[0, 0], list(A)]}), "(0, 0)"),
        (feature({"type": ["LineString"], "coordinates": [A, B]}), "geometry is ['LineString']"),
        (feature({"type": {"a": 1}, "coordinates": [A, B]}), "geometry is {'a': 1}"),
        (feature(street_id="S\0"), "can't be printed"),
        (feature(name="x\0y"), "can't be printed"),
        (feature(subdistrict="\x1b[31m"), "can't be printed"),
        (feature(grade=[1, 2]), "grade:"),
        ([], "not a feature"),
        ({"properties": {"kind": "alley", "street_id": "S1"}, "geometry": None}, "geometry is missing"),
    ],
)
def test_a_refused_feature_says_what_is_wrong(row: Any, what: str) -> None:
    row = json.loads(json.dumps(row))  # as it comes out of a file
    line, faults = parse_feature(row)
    assert line is None
    assert any(what in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\xff\xfe", "not GeoJSON"),
        (b"{", "not GeoJSON"),
        (b"[" * 100_000, "not GeoJSON"),
        (b"[]", "not a FeatureCollection"),
        (b'{"features": 1}', "not a FeatureCollection"),
        (
            collection(crs={"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4549"}}),
            "swept streets import",
        ),
        (collection(datum="GCJ-02"), "GCJ-02, not WGS-84"),
    ],
)
def test_a_file_that_is_no_streets_file_is_one_problem(content: bytes, what: str) -> None:
    streets, roads, _, problems = parse_streets(content, "x.geojson")
    assert (streets, roads) == ([], [])
    assert len(problems) == 1
    assert problems[0].startswith("x.geojson: ")
    assert what in problems[0]


def test_a_file_that_names_wgs_84_is_taken() -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    assert len(parse_streets(collection(feature(), crs=crs))[0]) == 1


def test_every_faulty_feature_is_named_and_the_good_ones_stay() -> None:
    streets, _, _, problems = parse_streets(
        collection(feature(), feature(), feature(street_id="S2"), feature(street_id="S3", grade="x"))
    )
    assert [street.street_id for street in streets] == ["S1", "S2"]
    assert problems[0].startswith("streets.geojson: feature 2 (S1): this street_id is used twice")
    assert problems[1].startswith("streets.geojson: feature 4 (S3): grade:")
    assert len(problems) == 2


def test_numbers_as_shapefiles_and_spreadsheets_write_them_are_taken() -> None:
    line, faults = parse_feature(feature(street_id=12.0, grade="2", sides=2.0, name=None))
    assert faults == []
    assert isinstance(line, Street)
    assert (line.street_id, line.grade, line.sides, line.name) == ("12", 2, 2, "12")


def test_what_is_written_is_read_back_the_same() -> None:
    lines: list[Street | Road] = [
        Street("S1", "永红巷", ((A, B), (B, C)), grade=2, required=2, work="by_hand", contractor="K"),
        Street("S2", "小街", ((C, D),), sides=2),
        Road("R1", "路", ((A, D),), oneway=True, layer=1),
    ]
    streets, roads, noded, problems = parse_streets(to_geojson(lines, noded=True))
    assert problems == []
    assert noded
    assert [*streets, *roads] == lines


def at(street_id: str, lon: float, lat: float) -> dict[str, Any]:
    line = {"type": "LineString", "coordinates": [[lon, lat], [lon + 0.001, lat]]}
    return feature(line, street_id=street_id)


def test_a_street_far_from_the_others_is_named_and_a_map_of_80_km_is_taken() -> None:
    near = [at(f"S{n}", 122.26 + n * 0.1, 40.67) for n in range(10)]
    assert parse_streets(collection(*near))[3] == []
    streets, _, _, problems = parse_streets(collection(*near, at("odd", 137.0, 40.67)))
    assert len(streets) == 11
    (problem,) = problems
    assert problem.startswith("streets.geojson: odd reaches 1,2")
    assert problem.endswith("at most 50 km are possible; correct or remove it")
