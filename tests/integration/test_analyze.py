from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from processing import pipeline
from processing.decode import Directory, decode
from simulators.scenario import Run, play
from simulators.truth import write_fixes
from swept.main import run
from swept.playing import district_and_plan
from swept.settings import configs_folder
from swept.simulate import find_scenario

ZHANQIAN = configs_folder() / "zhanqian"
STREETS = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"street_id": street_id, "kind": kind, "required": 1},
            "geometry": {"type": "LineString", "coordinates": [[122.25, lat], [122.2535, lat]]},
        }
        for street_id, kind, lat in [("A", "alley", 40.670), ("B", "street", 40.680), ("R", "road", 40.675)]
    ],
}
HEADER = "unit,time,lon,lat,speed_kmh,working"


def drive(day: str = "2024-05-01", lat: float = 40.670, unit: str = "s1") -> Iterator[str]:
    """From end to end of a street of 295 m in half a minute less than three, 2 m/s."""
    for n in range(30):
        minute, second = divmod(n * 5, 60)
        lon = 122.25 + 0.0035 * n / 29
        yield f"{unit},{day}T06:{minute:02}:{second:02}+08:00,{lon:.7f},{lat},7.3,1"


def analyze(folder: Path, rows: list[str], *options: str, header: str = HEADER) -> tuple[int, Path]:
    (folder / "streets.geojson").write_text(json.dumps(STREETS), encoding="utf-8")
    (folder / "fixes.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    files = ["--streets", str(folder / "streets.geojson"), "--fixes", str(folder / "fixes.csv")]
    return run(["analyze", *files, "--out", str(folder / "out"), *options]), folder / "out"


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_swept_street_has_its_frequency_and_one_without_data_has_a_row_too(tmp_path: Path) -> None:
    status, out = analyze(tmp_path, list(drive()))
    assert status == 0
    rows = table(out / "frequency.csv")
    assert list(rows[0]) == [
        "service_day", "street_id", "frequency", "frequency_certain", "required", "coverage", "swept_m",
        "length_m", "verdict",
    ]  # fmt: skip
    swept, other = rows
    assert (swept["service_day"], swept["street_id"], swept["frequency"]) == ("2024-05-01", "A", "1")
    assert swept["verdict"] == "swept"
    assert float(swept["coverage"]) > 0.95
    assert (other["street_id"], other["frequency"], other["swept_m"], other["verdict"]) == (
        "B", "0", "0.000", "not swept",
    )  # fmt: skip
    passes = table(out / "passes.csv")
    assert [(one["unit"], one["street_id"], one["direction"]) for one in passes] == [("s1", "A", "1")]
    assert passes[0]["swept"].count("-") == 1


def test_order_duplicates_and_a_second_run_change_no_byte(tmp_path: Path) -> None:
    rows = list(drive())
    files = []
    for number, given in enumerate((rows, rows, rows[::-1] + rows[3:9])):
        folder = tmp_path / str(number)
        folder.mkdir()
        _, out = analyze(folder, given)
        files.append([(out / name).read_bytes() for name in ("frequency.csv", "passes.csv", "rejected.csv")])
    assert files[0] == files[1] == files[2]
    summary = json.loads((tmp_path / "2/out/summary.json").read_text(encoding="utf-8"))
    assert summary["counts"]["duplicates"] == 6
    assert summary["counts"]["fixes"] == 30


def test_a_bad_row_is_refused_with_its_line_and_reason_and_costs_no_good_one(tmp_path: Path) -> None:
    bad = [
        "s1,2024-05-01T07:00:00,122.25,40.67,7,1",
        "s1,yesterday,122.25,40.67,7,1",
        "s1,2024-05-01T07:00:00+08:00,0,0,7,1",
        "s1,2024-05-01T07:00:00+08:00,east,40.67,7,1",
        "s1,2024-05-01T07:00:00+08:00,122.25",
        "s1,2024-05-01T06:00:00+08:00,122.25,40.67,9,1",
    ]
    status, out = analyze(tmp_path, [*drive(), *bad])
    assert status == 0
    rejected = table(out / "rejected.csv")
    assert [(row["line"], row["reason"]) for row in rejected] == [
        ("32", "no_zone"), ("33", "bad_field"), ("34", "null_island"), ("35", "bad_field"), ("36", "bad_field"),
        ("37", "conflict"),
    ]  # fmt: skip
    assert table(out / "frequency.csv")[0]["frequency"] == "1"


def test_the_day_begins_when_the_flags_say(tmp_path: Path) -> None:
    status, out = analyze(tmp_path, list(drive()), "--day-start", "07:00")
    assert status == 0
    assert {row["service_day"] for row in table(out / "frequency.csv")} == {"2024-04-30"}
    status, out = analyze(tmp_path, list(drive()), "--tz", "America/New_York")
    assert {row["service_day"] for row in table(out / "frequency.csv")} == {"2024-04-30"}


def test_without_any_word_on_work_speed_alone_tells(tmp_path: Path) -> None:
    rows = [row.rpartition(",")[0] for row in drive()]
    status, out = analyze(tmp_path, rows, header="unit,time,lon,lat,speed_kmh")
    assert status == 0
    assert table(out / "frequency.csv")[0]["frequency"] == "1"
    idle = [row.rpartition(",")[0] + ",0" for row in drive()]
    _, out = analyze(tmp_path, idle)
    assert table(out / "frequency.csv")[0]["frequency"] == "0"


@pytest.mark.parametrize(
    ("rows", "header", "options", "complaint"),
    [
        (["x"], "unit,time,lon", [], "there is no column lat"),
        (["x"], "unit,time,longitude,lat", [], "rename 'longitude'"),
        (["x"], "unit;time;lon;lat", [], "separated by semicolons"),
        ([], "", [], "is empty"),
        (list(drive()), HEADER, ["--day-start", "25:00"], "--day-start 25:00 is no time of day"),
        (list(drive()), HEADER, ["--tz", "Mars"], "--tz Mars is no time zone"),
        (list(drive(lat=10.0)), HEADER, [], "lies near a street"),
        (["s1,2024-05-01T06:00:00,122.25,40.67,7,1"], HEADER, [], "no fix of"),
        (list(drive()), HEADER, ["--fast"], "No such option: --fast"),
    ],
)
def test_what_is_wrong_as_a_whole_is_one_line_and_status_2(
    rows: list[str],
    header: str,
    options: list[str],
    complaint: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, _ = analyze(tmp_path, rows, *options, header=header)
    assert status == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def test_without_profiles_a_pass_counts_for_the_work_that_its_street_requires(tmp_path: Path) -> None:
    features = [json.loads(json.dumps(one)) for one in STREETS["features"]]
    features[0]["properties"]["work"] = "washing"
    (tmp_path / "washed.geojson").write_text(json.dumps({**STREETS, "features": features}), encoding="utf-8")
    status, out = analyze(tmp_path, list(drive()), "--streets", str(tmp_path / "washed.geojson"))
    assert status == 0
    assert [row["frequency"] for row in table(out / "frequency.csv")] == ["1", "0"]
    assert [row["work"] for row in table(out / "passes.csv")] == ["washing"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "name their GeoJSON with --streets, or a folder with --district"),
        (["--district", "{tmp}"], "holds no TOML or GeoJSON file"),
        (["--district", "{tmp}", "--tz", "UTC"], "--tz is in the district's district.toml"),
        (["--district", "{tmp}", "--day-start", "04:00"], "--day-start is in the district's district.toml"),
    ],
)
def test_what_is_wrong_with_the_streets_and_the_district_is_one_line_and_status_2(
    options: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [one.format(tmp=tmp_path) for one in options]
    assert run(["analyze", *named, "--fixes", str(tmp_path / "f.csv"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """Two hours of the shipped district without noise or mishaps, and its fixes.csv."""
    folder = tmp_path_factory.mktemp("quiet")
    district, rounds = district_and_plan(ZHANQIAN)
    scenario = replace(find_scenario("quiet"), shift_end_s=8 * 3_600)
    played = play(district, scenario, rounds)
    write_fixes(folder / "fixes.csv", played)
    return played, folder


def test_with_a_district_the_figures_are_those_of_its_messages(
    quiet: tuple[Run, Path], tmp_path: Path
) -> None:
    played, folder = quiet
    files = ["--fixes", str(folder / "fixes.csv"), "--out", str(tmp_path)]
    assert run(["analyze", "--district", str(ZHANQIAN), *files]) == 0
    directory = Directory.of(played.district)
    reports = [
        report
        for one in played.deliveries
        for report in decode(one.mqtt_topic, one.payload, one.deliver_at_us, directory).reports
    ]
    works = {street.street_id: street.work for street in played.district.streets}
    days = pipeline.analyze(played.district, reports).street_days
    live = {one.street_id: one for one in days if one.work == works[one.street_id]}
    rows = table(tmp_path / "frequency.csv")
    assert len(rows) == len(played.district.streets)
    for row in rows:
        figures = live.get(row["street_id"])
        expected = (figures.frequency, figures.swept_mm / 1000) if figures else (0, 0.0)
        assert (int(row["frequency"]), float(row["swept_m"])) == expected, row
    assert {row["work"] for row in table(tmp_path / "passes.csv")} == {"sweeping", "washing", "by_hand"}


def test_with_a_district_a_unit_that_it_does_not_have_is_refused_and_a_silent_one_is_no_data(
    quiet: tuple[Run, Path], tmp_path: Path
) -> None:
    header, *rows = (quiet[1] / "fixes.csv").read_text(encoding="utf-8").splitlines()
    mine = [row for row in rows if ",ZQ-S01," in f",{row},"]
    strange = mine[0].replace("ZQ-S01", "ZQ-X99")
    (tmp_path / "fixes.csv").write_text("\n".join([header, *mine, strange]) + "\n", encoding="utf-8")
    files = ["--fixes", str(tmp_path / "fixes.csv"), "--out", str(tmp_path / "out")]
    assert run(["analyze", "--district", str(ZHANQIAN), *files]) == 0
    assert [row["reason"] for row in table(tmp_path / "out/rejected.csv")] == ["unknown_unit"]
    verdicts = {row["verdict"] for row in table(tmp_path / "out/frequency.csv")}
    assert "no data" in verdicts
    assert "not swept" not in verdicts


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "not GeoJSON"),
        ('{"type":"FeatureCollection","features":[]}', "no street to audit"),
        (json.dumps({**STREETS, "crs": {"properties": {"name": "EPSG:4549"}}}), "not WGS-84"),
    ],
)
def test_a_wrong_file_of_streets_is_one_line_and_status_2(
    content: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    analyze(tmp_path, list(drive()))
    capsys.readouterr()
    (tmp_path / "streets.geojson").write_text(content, encoding="utf-8")
    files = ["--streets", str(tmp_path / "streets.geojson"), "--fixes", str(tmp_path / "fixes.csv")]
    assert run(["analyze", *files, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert run(["analyze", "--streets", str(tmp_path), *files[2:], "--out", str(tmp_path / "out")]) == 2
    assert "is a folder" in capsys.readouterr().err
