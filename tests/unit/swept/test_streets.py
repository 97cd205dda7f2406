"""`swept streets`: real files of three formats and several coordinate systems in, WGS-84 GeoJSON out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import geopandas
import pytest
from shapely.geometry import LineString, MultiLineString, Point
from shapely.geometry.base import BaseGeometry

from processing.datum import wgs84_to_gcj02
from processing.street_files import parse_streets
from swept.errors import UserError
from swept.settings import configs_folder
from swept.streets import app

SURVEY = [
    ("A1", "永红巷", LineString([(122.26, 40.67), (122.261, 40.6705), (122.262, 40.67)])),
    (
        "A2",
        "福源里",
        MultiLineString([[(122.27, 40.67), (122.271, 40.67)], [(122.272, 40.67), (122.271, 40.67)]]),
    ),
]
DRIVERS = {".geojson": "GeoJSON", ".shp": "ESRI Shapefile", ".gpkg": "GPKG"}


def survey(
    file: Path,
    rows: Sequence[tuple[str | None, str, BaseGeometry | None]] = SURVEY,
    crs: str | None = "EPSG:4326",
) -> Path:
    """A survey file as a surveyor would hand it over."""
    data = {"CODE": [row[0] for row in rows], "MC": [row[1] for row in rows], "grade": [2] * len(rows)}
    frame = geopandas.GeoDataFrame(data, geometry=[row[2] for row in rows], crs="EPSG:4326")
    if crs is None:
        frame = frame.set_crs(None, allow_override=True)
    elif crs != "EPSG:4326":
        frame = frame.to_crs(crs)
    frame.to_file(file, driver=DRIVERS[file.suffix])
    return file


def run(*arguments: str | Path) -> None:
    app(args=[str(argument) for argument in arguments], prog_name="streets", standalone_mode=False)


def imported(out: Path) -> dict[str, list[tuple[float, float]]]:
    streets, _, _, problems = parse_streets(out.read_bytes())
    assert problems == []
    return {street.street_id: [point for part in street.parts for point in part] for street in streets}


@pytest.mark.parametrize("suffix", [".geojson", ".shp", ".gpkg"])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:4490", "EPSG:4549", "EPSG:3857"])
def test_a_survey_of_any_format_and_system_becomes_wgs_84(tmp_path: Path, suffix: str, crs: str) -> None:
    file, out = survey(tmp_path / f"survey{suffix}", crs=crs), tmp_path / "streets.geojson"
    run("import", file, "--out", out, "--id-field", "CODE", "--name-field", "MC")
    lines = imported(out)
    assert lines["A1"] == [pytest.approx(point, abs=2e-7) for point in SURVEY[0][2].coords]
    assert lines["A2"][-1] == pytest.approx((122.272, 40.67), abs=2e-7)  # its second part was turned
    streets = parse_streets(out.read_bytes())[0]
    assert [(s.street_id, s.name, s.grade) for s in streets] == [("A1", "永红巷", 2), ("A2", "福源里", 2)]


def test_gcj_02_is_shifted_back(tmp_path: Path) -> None:
    shifted = LineString([wgs84_to_gcj02(*point) for point in SURVEY[0][2].coords])
    file, out = survey(tmp_path / "s.gpkg", [("A1", "巷", shifted)]), tmp_path / "out.geojson"
    run("import", file, "--out", out, "--id-field", "CODE", "--gcj02")
    assert imported(out)["A1"] == [pytest.approx(point, abs=2e-7) for point in SURVEY[0][2].coords]
    run("import", file, "--out", out, "--id-field", "CODE")
    assert abs(imported(out)["A1"][0][0] - 122.26) > 1e-3


def test_a_shapefile_without_its_prj_needs_the_option(tmp_path: Path) -> None:
    file, out = survey(tmp_path / "s.shp", crs="EPSG:4549"), tmp_path / "out.geojson"
    file.with_suffix(".prj").unlink()
    with pytest.raises(UserError, match="names no coordinate system; say it with --crs"):
        run("import", file, "--out", out, "--id-field", "CODE")
    assert not out.exists()
    run("import", file, "--out", out, "--id-field", "CODE", "--crs", "EPSG:4549")
    assert imported(out)["A1"][0] == pytest.approx((122.26, 40.67), abs=2e-7)


def test_each_feature_left_out_is_named_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        *SURVEY,
        ("A3", "广场", Point(122.26, 40.67)),
        ("A1", "又一", SURVEY[0][2]),
        (None, "无号", SURVEY[0][2]),
        (
            "A6",
            "两段",
            MultiLineString([[(122.27, 40.67), (122.271, 40.67)], [(122.28, 40.67), (122.29, 40.67)]]),
        ),
        ("A7", "空", None),
    ]
    file, out = survey(tmp_path / "s.gpkg", rows), tmp_path / "out.geojson"
    run("import", file, "--out", out, "--id-field", "CODE", "--name-field", "MC")
    said = capsys.readouterr().out
    assert list(imported(out)) == ["A1", "A2"]
    assert "5 features left out" in said
    for reason in (
        "3 A3",
        "geometry is Point",
        "4 A1",
        "used twice",
        "street_id is missing",
        "6 A6",
        "one chain",
    ):
        assert reason in said
    assert "2 of 7 features" in said


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--id-field", "COD"], "no column COD .--id-field.; did you mean CODE"),
        ([], "no column street_id .--id-field.; it has CODE, MC, grade"),
        (["--id-field", "CODE", "--grade-field", "zzz"], "no column zzz .--grade-field."),
        (["--id-field", "CODE", "--crs", "EPSG:99999999"], "no such coordinate system"),
        (["--id-field", "CODE", "--crs", "nonsense"], "no such coordinate system"),
        (["--id-field", "CODE", "--kind", "avenue"], "--kind avenue"),
        (["--id-field", "CODE", "--layer", "no"], "can't be read"),
        (["--id-field", "CODE", "--crs", "EPSG:4549"], "none of its 2 features is a street"),
    ],
)
def test_a_wrong_flag_is_one_line_that_says_what_to_do(
    tmp_path: Path, arguments: list[str], what: str
) -> None:
    file, out = survey(tmp_path / "s.gpkg"), tmp_path / "out.geojson"
    with pytest.raises(UserError, match=what) as caught:
        run("import", file, "--out", out, *arguments)
    assert "\n" not in str(caught.value)
    assert not out.exists()


def test_a_file_that_is_no_survey_is_refused(tmp_path: Path) -> None:
    broken, text = tmp_path / "a.geojson", tmp_path / "a.txt"
    broken.write_text("{}")
    text.write_text("")
    for file, what in ((broken, "a.geojson"), (text, "is none of"), (tmp_path / "b.shp", "isn't there")):
        with pytest.raises(UserError, match=what):
            run("import", file, "--out", tmp_path / "out.geojson")


def test_the_survey_itself_is_never_overwritten(tmp_path: Path) -> None:
    file = survey(tmp_path / "s.geojson")
    before = file.read_bytes()
    with pytest.raises(UserError, match="is the survey itself"):
        run("import", file, "--out", file, "--id-field", "CODE")
    assert file.read_bytes() == before


def test_a_folder_as_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't be written"):
        run("import", survey(tmp_path / "s.geojson"), "--out", tmp_path, "--id-field", "CODE")


def test_check_lists_findings_and_unreadable_features(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("check", configs_folder() / "zhanqian")
    said = capsys.readouterr().out
    assert "loop" in said
    assert "144 streets and 22 context roads: 6 findings." in said
    broken = tmp_path / "s.geojson"
    broken.write_text(json.dumps({"type": "FeatureCollection", "features": [{"type": "Feature"}]}))
    with pytest.raises(UserError, match="3 problems"):
        run("check", broken)
    assert "street_id is missing" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(UserError, match="isn't there"):
        run("check", tmp_path / "nowhere")


def test_list_shows_every_street(capsys: pytest.CaptureFixture[str]) -> None:
    run("list", configs_folder() / "zhanqian" / "streets.geojson")
    said = capsys.readouterr().out
    assert "144 streets" in said
    assert "ZQ-144" in said


def test_coordinates_that_no_system_can_place_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*SURVEY, ("A3", "远", LineString([(1e30, 1e30), (2e30, 1e30)]))]
    file, out = survey(tmp_path / "s.gpkg", rows), tmp_path / "out.geojson"
    run("import", file, "--out", out, "--id-field", "CODE")
    assert list(imported(out)) == ["A1", "A2"]
    assert "3 A3" in capsys.readouterr().out
    with pytest.raises(UserError, match="none of its 3 features"):
        run("import", file, "--out", tmp_path / "other.geojson", "--id-field", "CODE", "--crs", "EPSG:32651")


def test_help_answers_without_loading_the_geographic_libraries() -> None:
    script = "import sys, swept.streets; print('geopandas' in sys.modules or 'shapely' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "False"


def test_a_property_that_is_a_list_is_a_fault_of_its_feature_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = [
        {
            "type": "Feature",
            "properties": {"street_id": street_id, "grade": grade, "name": "x"},
            "geometry": {"type": "LineString", "coordinates": [[122.26, lat], [122.261, lat]]},
        }
        for street_id, grade, lat in (("A1", [1, 2], 40.67), ("A2", [3, 4], 40.68))
    ]
    features[1]["properties"] = {"street_id": "A2", "name": "y"}
    file = tmp_path / "survey.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    run("import", file, "--out", tmp_path / "out.geojson")
    assert set(imported(tmp_path / "out.geojson")) == {"A2"}
    assert "grade" in capsys.readouterr().out
