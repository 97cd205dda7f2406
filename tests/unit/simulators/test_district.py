"""The made-up Zhanqian has what makes matching hard, and nothing that makes it impossible."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise
from pathlib import Path

import pytest
import shapely
from shapely.geometry import LineString, Point

from processing.district import District, Line, Street
from processing.district_files import Round, parse_district, parse_plan
from processing.geodesy import LocalProjection
from processing.survey import Fault, check
from simulators.district import LAT0, LON0, SEED, SUBDISTRICTS, generate
from simulators.district_plan import Stop, duration_s

FOLDER = Path(__file__).parents[3] / "configs" / "zhanqian"
PROJECTION = LocalProjection(LON0, LAT0)
FILES = generate()
DISTRICT = parse_district(FILES)
ROUNDS = parse_plan(FILES)


def shape(line: Line) -> LineString:
    points = [line.parts[0][0], *(point for part in line.parts for point in part[1:])]
    return LineString([tuple(map(float, PROJECTION.to_xy(*point))) for point in points])


SHAPES = {line.line_id: shape(line) for line in (*DISTRICT.streets, *DISTRICT.roads)}


def test_the_committed_folder_is_what_the_seed_gives_byte_for_byte() -> None:
    committed = {file.name: file.read_bytes() for file in FOLDER.iterdir()}
    assert committed == dict(generate(SEED))


@pytest.mark.parametrize("seed", range(5))
def test_any_seed_gives_a_whole_district_of_its_own(seed: int) -> None:
    district = parse_district(generate(seed))
    assert len(district.streets) == 144
    assert district.map_version != DISTRICT.map_version
    assert {finding.fault for finding in check(district.streets, district.roads)} <= {Fault.LOOP}


def test_every_geojson_says_that_it_is_synthetic() -> None:
    for name, content in FILES.items():
        if name.endswith(".geojson"):
            assert json.loads(content)["synthetic"] is True
    assert DISTRICT.synthetic


def test_there_are_144_streets_24_in_each_subdistrict_with_names_of_their_own() -> None:
    assert Counter(street.subdistrict for street in DISTRICT.streets) == dict.fromkeys(SUBDISTRICTS, 24)
    assert len({street.name for street in DISTRICT.streets}) == 144
    assert all(street.name.endswith(("巷", "胡同", "里", "小街")) for street in DISTRICT.streets)


def test_streets_are_60_to_400_metres_long() -> None:
    lengths_m = [SHAPES[street.street_id].length for street in DISTRICT.streets]
    assert min(lengths_m) >= 60
    assert max(lengths_m) <= 400


def test_the_district_lies_in_three_by_three_kilometres_of_yingkou() -> None:
    for line in (*DISTRICT.streets, *DISTRICT.roads):
        for lon, lat in (point for part in line.parts for point in part):
            assert 122.25 <= lon <= 122.30
            assert 40.655 <= lat <= 40.695


def test_grades_require_as_many_sweeps_and_two_sides_are_grade_three() -> None:
    assert Counter(street.grade for street in DISTRICT.streets).keys() == {1, 2, 3}
    assert all(street.required == street.grade for street in DISTRICT.streets)
    wide = [street for street in DISTRICT.streets if street.sides == 2]
    assert len(wide) >= 8
    assert all(street.grade == 3 for street in wide)
    assert 4 <= sum(street.work == "by_hand" for street in DISTRICT.streets) <= 12


def test_some_streets_have_several_edges_and_some_are_closed() -> None:
    assert sum(len(street.parts) > 1 for street in DISTRICT.streets) >= 10
    assert sum(SHAPES[street.street_id].is_closed for street in DISTRICT.streets) >= 4


def _mean_distance_m(one: LineString, other: LineString) -> float:
    """How far apart two lines run, over the middle of the first."""
    places = [one.interpolate(share, normalized=True) for share in (0.1, 0.3, 0.5, 0.7, 0.9)]
    distances = [other.distance(place) for place in places]
    return sum(distances) / len(distances) if max(distances) < 60 else math.inf


def test_near_parallel_pairs_run_20_to_40_metres_apart() -> None:
    streets = [SHAPES[street.street_id] for street in DISTRICT.streets]
    near = [_mean_distance_m(a, b) for a, b in combinations(streets, 2) if a.dwithin(b, 45)]
    assert sum(20 <= distance_m <= 40 for distance_m in near) >= 10


def test_some_alleys_run_12_to_20_metres_beside_a_road() -> None:
    roads = shapely.union_all([SHAPES[road.line_id] for road in DISTRICT.roads])
    beside = [_mean_distance_m(SHAPES[street.street_id], roads) for street in DISTRICT.streets]
    assert sum(12 <= distance_m <= 20 for distance_m in beside) >= 8


def _vertices(line: Line) -> set[tuple[float, float]]:
    return {point for part in line.parts for point in part}


def test_lines_meet_in_vertices_that_are_equal_to_the_last_decimal() -> None:
    lines = [*DISTRICT.streets, *DISTRICT.roads]
    degrees = [LineString([point for part in line.parts for point in part]) for line in lines]
    tree = shapely.STRtree(degrees)
    meetings = 0
    for one, other in zip(*tree.query(degrees, predicate="intersects").tolist(), strict=True):
        if one < other:
            common = shapely.get_parts(degrees[one].intersection(degrees[other]))
            both = _vertices(lines[one]) & _vertices(lines[other])
            assert all(isinstance(at, Point) and (at.x, at.y) in both for at in common)
            meetings += len(common)
    assert meetings > 300


def test_there_are_dead_ends_t_junctions_and_crossings() -> None:
    users = Counter(point for line in (*DISTRICT.streets, *DISTRICT.roads) for point in _vertices(line))
    dead, joins, crossings = 0, 0, 0
    streets = DISTRICT.streets
    ends = [(street.parts[0][0], street.parts[-1][-1]) for street in streets]
    inner = [_vertices(street) - set(end) for street, end in zip(streets, ends, strict=True)]
    dead = sum(users[end] == 1 for pair in ends for end in pair)
    joins = sum(end in middle for pair in ends for end in pair for middle in inner)
    crossings = sum(bool(one & other) for one, other in combinations(inner, 2))
    assert dead >= 20
    assert joins >= 20
    assert crossings >= 6


def test_the_survey_check_finds_the_loops_and_nothing_else() -> None:
    findings = check(DISTRICT.streets, DISTRICT.roads)
    assert {finding.fault for finding in findings} == {Fault.LOOP}


def test_twelve_units_are_expected_in_the_day_shift() -> None:
    profiles = Counter(unit.profile.profile_id for unit in DISTRICT.units)
    assert profiles == {"sweeper": 7, "electric_sweeper": 2, "washer": 1, "badge": 2}
    assert DISTRICT.roster == {"day": tuple(unit.unit_id for unit in DISTRICT.units)}
    assert (DISTRICT.shifts[0].start_s, DISTRICT.shifts[0].end_s) == (6 * 3600, 14 * 3600)


def _stops(district: District) -> dict[str, Stop]:
    stops = {}
    users = Counter(point for line in (*district.streets, *district.roads) for point in _vertices(line))
    for street in district.streets:
        line = SHAPES[street.street_id]
        dead = 1 in {users[street.parts[0][0]], users[street.parts[-1][-1]]}
        place = line.interpolate(0.5, normalized=True)
        by_hand = street.work == "by_hand"
        stops[street.street_id] = Stop(
            street.street_id, 0, street.grade, by_hand, street.sides, dead, line.length, (place.x, place.y)
        )
    return stops


def test_each_units_rounds_fit_one_after_the_other_into_the_shift() -> None:
    stops = _stops(DISTRICT)
    for unit in DISTRICT.units:
        mine = sorted((tour for tour in ROUNDS if tour.unit_id == unit.unit_id), key=lambda t: t.start_s)
        ends_s = [
            tour.start_s + duration_s(unit.unit_id, [stops[s] for s in tour.street_ids]) for tour in mine
        ]
        assert mine
        assert mine[0].start_s >= 6 * 3600
        assert ends_s[-1] <= 14 * 3600
        assert all(end_s <= later.start_s for end_s, (_, later) in zip(ends_s, pairwise(mine), strict=False))


def _planned_s(street: Street, rounds: Sequence[Round]) -> list[int]:
    """About when each planned work of the street's own kind begins."""
    works = {unit.unit_id: unit.profile.work for unit in DISTRICT.units}
    mine = [tour for tour in rounds if works[tour.unit_id] == street.work]
    return sorted(tour.start_s for tour in mine if street.street_id in tour.street_ids)


def test_most_streets_are_planned_as_often_as_required_and_some_less_or_not_at_all() -> None:
    plans = [(street, _planned_s(street, ROUNDS)) for street in DISTRICT.streets]
    met = sum(len(starts_s) >= street.required for street, starts_s in plans)
    left_out = sum(not starts_s for _, starts_s in plans)
    assert met >= 120
    assert left_out == 4
    assert 144 - met - left_out >= 3


def test_rounds_of_one_street_lie_far_enough_apart_to_count() -> None:
    for street in DISTRICT.streets:
        assert all(later - earlier >= 5_400 for earlier, later in pairwise(_planned_s(street, ROUNDS)))


def test_the_washer_washes_and_nothing_else_depends_on_it() -> None:
    washed = [tour for tour in ROUNDS if tour.unit_id == "ZQ-W01"]
    assert sum(len(tour.street_ids) for tour in washed) >= 8


@pytest.mark.parametrize("name", ["streets.geojson", "roads.geojson"])
def test_a_feature_is_a_line_of_the_file(name: str) -> None:
    rows = FILES[name].decode().splitlines()
    assert len(rows) == len(json.loads(FILES[name])["features"]) + 2
