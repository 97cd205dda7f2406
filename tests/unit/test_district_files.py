"""A district's folder: taken whole, or every problem in it named."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from processing.district_files import (
    DistrictError,
    Round,
    map_version,
    parse_contractors,
    parse_district,
    parse_plan,
)
from processing.rules import Rules

STREET = {
    "type": "Feature",
    "properties": {"kind": "alley", "street_id": "S1", "name": "永红巷", "contractor": "K1"},
    "geometry": {"type": "LineString", "coordinates": [[122.26, 40.67], [122.262, 40.67]]},
}
ROAD = {
    "type": "Feature",
    "properties": {"kind": "road", "street_id": "R1"},
    "geometry": {"type": "LineString", "coordinates": [[122.26, 40.67], [122.26, 40.68]]},
}


def geojson(*features: object) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


GOOD: Mapping[str, bytes] = {
    "district.toml": 'id = "d"\nname = "区"\nday_start = "04:30"\ntimezone = "Asia/Urumqi"'.encode(),
    "streets.geojson": geojson(STREET),
    "roads.geojson": geojson(ROAD),
    "profiles.toml": b'[sweeper]\nwork_kmh_max = 12.0\n[badge]\nwork = "by_hand"\nworking_when = []',
    "units.toml": '[[unit]]\nid = "U1"\nname = "扫路车"\nprofile = "sweeper"\ncontractor = "K1"'.encode(),
    "contractors.toml": '[[contractor]]\nid = "K1"\nname = "一公司"'.encode(),
    "shifts.toml": '[[shift]]\nid = "night"\nname = "夜班"\nstart="22:00"\nend="04:00"\nroster=["U1"]'.encode(),
    "plan.toml": b'[[round]]\nshift = "night"\nunit = "U1"\nstart = "01:00"\nstreets = ["S1"]',
    "rules.toml": b"close_gap_m = 8\nturn_logp = -5.5",
}


def problems(**changed: bytes | None) -> tuple[str, ...]:
    files = {**GOOD, **{name.replace("__", "."): content for name, content in changed.items()}}
    with pytest.raises(DistrictError) as caught:
        parse_district({name: content for name, content in files.items() if content is not None})
    return caught.value.problems


def test_a_whole_folder_becomes_a_district() -> None:
    district = parse_district(GOOD)
    assert (district.district_id, district.name) == ("d", "区")
    assert district.streets[0].contractor == "K1"
    assert [road.line_id for road in district.roads] == ["R1"]
    assert district.units[0].profile.work_kmh_max == 12.0
    assert district.rules == Rules(
        timezone="Asia/Urumqi", day_start_s=16_200, close_gap_m=8.0, turn_logp=-5.5
    )
    assert (district.shifts[0].start_s, district.shifts[0].end_s) == (22 * 3600, 28 * 3600)
    assert district.roster == {"night": ("U1",)}
    assert district.map_version == map_version(GOOD)
    assert not district.synthetic


def test_a_shift_over_the_start_of_the_service_day_is_refused() -> None:
    over = b'[[shift]]\nid="night"\nname="n"\nstart="22:00"\nend="05:00"\nroster=["U1"]'
    (said,) = problems(shifts__toml=over)
    assert said.startswith("shifts.toml: shift night: runs over the start of the service day; set day_start")


def test_a_round_after_midnight_lies_in_the_shift_that_began_before_it() -> None:
    assert parse_plan(GOOD) == (Round("night", "U1", 25 * 3600, ("S1",)),)
    assert parse_contractors(GOOD)[0].name == "一公司"


def test_only_four_files_are_needed() -> None:
    bare = json.loads(GOOD["streets.geojson"])
    del bare["features"][0]["properties"]["contractor"]
    files = {name: GOOD[name] for name in ("district.toml", "profiles.toml")}
    files["units.toml"] = b'[[unit]]\nid = "U1"\nname = "a"\nprofile = "sweeper"'
    files["streets.geojson"] = json.dumps(bare).encode()
    assert len(parse_district(files).streets) == 1


@pytest.mark.parametrize(
    ("file", "content", "what"),
    [
        ("district.toml", None, "district.toml: is missing; add it"),
        ("district.toml", b"id = ", "district.toml: not TOML"),
        ("district.toml", b'\xff = "x"', "district.toml: not TOML"),
        ("district.toml", b'id = "d"', "district.toml: name is missing; add it"),
        ("district.toml", b'id = "a/b"\nname = "x"', "district.toml: id:"),
        ("district.toml", b'id = "d"\nname = "x"\ntimezone = "Asia/Sanghai"', "no such time zone"),
        ("district.toml", b'id = "d"\nname = "x"\nday_start = "24:00"', "write a time of day as HH:MM"),
        ("district.toml", b'id = "d"\nname = "x"\ntimezne = "UTC"', "did you mean 'timezone'?"),
        ("streets.geojson", geojson(), "no street to audit"),
        ("streets.geojson", geojson(ROAD), "no street to audit"),
        ("roads.geojson", geojson(STREET), "streets to audit belong into streets.geojson"),
        ("contractors.toml", None, "no contractor 'K1'"),
        ("profiles.toml", b"[sweper]", "no profile 'sweeper'; did you mean 'sweper'?"),
        ("profiles.toml", b'[sweeper]\nworking_when = ["brushes"]', "no equipment 'brushes'"),
        ("profiles.toml", b"[sweeper]\nwork_kmh_max = 70.0", "speeds must rise"),
        ("profiles.toml", b'[sweeper]\ndatum = "GCJ02"', "sweeper: datum:"),
        ("profiles.toml", b"sweeper = 1", "profiles.toml: sweeper:"),
        ("units.toml", GOOD["units.toml"] + b"\n" + GOOD["units.toml"], "unit U1: this id is used twice"),
        ("units.toml", b"unit = 1", "write rows as [[unit]]"),
        ("units.toml", b"[[units]]", "rows are written as [[unit]]"),
        ("units.toml", b"unit = [1]", "units.toml: unit 1:"),
        (
            "shifts.toml",
            b'[[shift]]\nid="night"\nname="n"\nstart="22:00"\nend="04:00"\nroster=["U2"]',
            "'U2'",
        ),
        ("plan.toml", b'[[round]]\nshift="day"\nunit="U1"\nstart="01:00"\nstreets=["S1"]', "no shift 'day'"),
        ("plan.toml", b'[[round]]\nshift="night"\nunit="U1"\nstart="07:00"\nstreets=["S1"]', "outside shift"),
        (
            "plan.toml",
            b'[[round]]\nshift="night"\nunit="U1"\nstart="23:00"\nstreets=["S9"]',
            "no street 'S9'",
        ),
        ("rules.toml", b"close_gap = 8", "no such rule; did you mean 'close_gap_m'?"),
        ("rules.toml", b"zzzz = 8", "no such rule"),
        ("rules.toml", b"day_start_s = 8", "is set in district.toml"),
        ("rules.toml", b"close_gap_m = -1", "must be a number of at least 0"),
        ("rules.toml", b"close_gap_m = nan", "must be a number of at least 0"),
        ("rules.toml", b"turn_logp = 4", "must be a number of at most 0"),
        ("rules.toml", b"close_gap_m = true", "must be a number"),
        ("rule.toml", b"", "rule.toml: not a file of a district; did you mean 'rules.toml'?"),
    ],
)
def test_a_problem_names_its_file_and_what_to_do(file: str, content: bytes | None, what: str) -> None:
    found = problems(**{file.replace(".", "__"): content})
    assert any(what in problem for problem in found), found
    assert all("\n" not in problem for problem in found)


def test_all_problems_of_all_files_come_at_once() -> None:
    found = problems(rules__toml=b"x = 1", district__toml=b'id = "d"\nname = "x"\ny = 1', plan__toml=b"[")
    assert [problem.split(":")[0] for problem in found] == ["district.toml", "rules.toml", "plan.toml"]


def test_the_map_version_sees_content_and_not_its_form() -> None:
    content = json.loads(GOOD["streets.geojson"])
    spaced = json.dumps(content, indent=4, sort_keys=True, ensure_ascii=False).encode()
    assert map_version({**GOOD, "streets.geojson": spaced}) == map_version(GOOD)
    content["features"][0]["geometry"]["coordinates"][0][0] += 1e-7
    assert map_version({**GOOD, "streets.geojson": json.dumps(content).encode()}) != map_version(GOOD)
    assert map_version({**GOOD, "plan.toml": b""}) == map_version(GOOD)


FAR = {**ROAD, "properties": {"kind": "road", "street_id": "R9"}}
FAR["geometry"] = {"type": "LineString", "coordinates": [[2.35, 48.85], [2.36, 48.85]]}


def test_a_line_far_from_the_others_is_named_once_whichever_file_it_is_in() -> None:
    both = problems(roads__geojson=geojson(FAR))
    assert [problem.split(" km")[0] for problem in both] == [
        "roads.geojson: S1 reaches 4,756",
        "roads.geojson: R9 reaches 4,756",
    ]
    (beside,) = problems(
        roads__geojson=geojson(ROAD, {**ROAD, "properties": {"kind": "road", "street_id": "R2"}}, FAR)
    )
    assert beside.startswith("roads.geojson: R9 reaches 1")
    assert "at most 50 km are possible; correct or remove it" in beside


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("units.toml", b'[[unit]]\nid = "U\\u0000"\nname = "a"\nprofile = "sweeper"'),
        ("units.toml", b'[[unit]]\nid = "U1"\nname = "a\\u0000b"\nprofile = "sweeper"'),
        ("district.toml", b'id = "d"\nname = "a\\u0007"'),
    ],
)
def test_an_id_or_name_that_cannot_be_printed_is_refused(file: str, content: bytes) -> None:
    said = problems(**{file.replace(".", "__"): content})
    assert any("can't be printed" in problem for problem in said)
    assert all(problem.isprintable() for problem in said)
