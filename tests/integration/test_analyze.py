from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from swept.main import run

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
