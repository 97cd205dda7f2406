"""Files that say something else than they mean: never a traceback, never a figure that is quietly wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from processing.datum import wgs84_to_gcj02
from swept.main import run
from tests.integration.test_analyze import HEADER, STREETS, analyze, drive, table

GOOD = list(drive())
PLAIN = "unit,time,lon,lat,speed_kmh"


def with_cells(cells: str) -> list[str]:
    """The good rows with other last cells than `working`."""
    return [row.rpartition(",")[0] + "," + cells for row in GOOD]


def frequency(out: Path) -> str:
    return table(out / "frequency.csv")[0]["frequency"]


@pytest.mark.parametrize(
    "time",
    [
        "0001-01-01T00:00:00+08:00",
        "9999-12-31T23:59:59+08:00",
        "1970-01-21T00:00:00Z",
        "999999999999999",
        "9999999999999999999",
        "1714514400",
        "²³",
        "1e306",
        "-1e18",
    ],
)
def test_a_row_whose_time_cannot_be_meant_costs_no_other_and_adds_no_day(time: str, tmp_path: Path) -> None:
    bad = f"s1,{time},122.25,40.67,7,1"
    status, out = analyze(tmp_path, [*GOOD, bad])
    assert status == 0
    assert [(row["line"], row["reason"], row["original"]) for row in table(out / "rejected.csv")] == [
        ("32", "bad_field", bad)
    ]
    assert {row["service_day"] for row in table(out / "frequency.csv")} == {"2024-05-01"}
    assert frequency(out) == "1"


def test_seconds_are_not_taken_for_milliseconds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"s1,{1714514400 + n * 5},122.25,40.67,7,1" for n in range(5)]
    status, _ = analyze(tmp_path, rows)
    assert status == 2
    assert "seconds; write milliseconds" in capsys.readouterr().err


def test_what_is_rejected_stands_as_it_stood(tmp_path: Path) -> None:
    bad = [
        "s1,2024-05-01T07:00:00+08:00,0, 0,7.30,1",
        "s1,2024-05-01T07:00:00+08:00,122.25",
        's1,"2024"x,1,2,7,1',
        "s1,2024-05-01T06:00:00+08:00,122.25,40.6700,9,1",
        "a/b,2024-05-01T07:00:00+08:00,122.25,40.67,7,1",
    ]
    status, out = analyze(tmp_path, [*GOOD, *bad])
    assert status == 0
    assert [row["original"] for row in table(out / "rejected.csv")] == bad


@pytest.mark.parametrize(
    ("columns", "cells", "swept"),
    [
        ("spray", "0", "0"),
        ("spray", "1", "1"),
        ("fan", "1.0", "1"),
        ("working,brush", ",1", "1"),
        ("working,brush", "0,1", "0"),
        ("brush,spray", ",1", "1"),
        ("brush,spray", "0,0", "0"),
        ("brush,spray", "0,1", "1"),
        ("brush,spray", ",", "0"),
        ("engine", "1", "1"),
        ("working", "1.0", "1"),
        ("working", "0.0", "0"),
    ],
)
def test_without_profiles_any_machine_that_is_on_is_work(
    columns: str, cells: str, swept: str, tmp_path: Path
) -> None:
    status, out = analyze(tmp_path, with_cells(cells), header=f"{PLAIN},{columns}")
    assert status == 0
    assert frequency(out) == swept


def test_received_at_is_read_as_time_is_and_refused_where_it_is_none(tmp_path: Path) -> None:
    rows = [f"{row},1714514400000.0" for row in GOOD]
    rows[3] = rows[3].replace("1714514400000.0", "soon")
    rows[4] = rows[4].replace("1714514400000.0", "1.7145144e12")
    rows[5] = rows[5].replace("1714514400000.0", "1714514400")
    status, out = analyze(tmp_path, rows, header=f"{HEADER},received_at")
    assert status == 0
    refused = table(out / "rejected.csv")
    assert [(row["line"], row["reason"]) for row in refused] == [("5", "bad_field"), ("7", "bad_field")]
    assert all(row["detail"].startswith("received_at") for row in refused)


def test_a_file_that_is_not_utf8_is_refused_as_a_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    analyze(tmp_path, GOOD)
    rows = "\n".join([HEADER, *GOOD, *drive(unit="吴1"), *drive(unit="马1")])
    (tmp_path / "fixes.csv").write_bytes(rows.encode("gbk"))
    capsys.readouterr()
    files = ["--streets", str(tmp_path / "streets.geojson"), "--fixes", str(tmp_path / "fixes.csv")]
    assert run(["analyze", *files, "--out", str(tmp_path / "gbk")]) == 2
    error = capsys.readouterr().err
    assert "fixes.csv:32 is not UTF-8" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_what_spreadsheets_call_unicode_is_refused_in_one_line(
    encoding: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    analyze(tmp_path, GOOD)
    (tmp_path / "fixes.csv").write_text("\n".join([HEADER, *GOOD]), encoding=encoding)
    capsys.readouterr()
    files = ["--streets", str(tmp_path / "streets.geojson"), "--fixes", str(tmp_path / "fixes.csv")]
    assert run(["analyze", *files, "--out", str(tmp_path / "other")]) == 2
    assert "fixes.csv:1 is not UTF-8" in capsys.readouterr().err


def test_a_stray_quote_costs_one_row(tmp_path: Path) -> None:
    rows = [*GOOD]
    rows[5] = '"' + rows[5]
    status, out = analyze(tmp_path, rows)
    assert status == 0
    assert [(row["line"], row["original"]) for row in table(out / "rejected.csv")] == [("7", rows[5])]


@pytest.mark.parametrize("header", ["a" * 200_000, "0" * 2_000_000, f"{HEADER},{'x' * 140_000}"])
def test_an_endless_header_is_one_line(
    header: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _ = analyze(tmp_path, GOOD, header=header)
    assert status == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "place"),
    [
        ("--fixes", "x" * 300 + ".csv"),
        ("--streets", "x" * 300 + ".geojson"),
        ("--district", "x" * 300),
        ("--out", "x" * 300),
        ("--out", "/proc/x"),
        ("--out", "/sys/foo"),
        ("--out", "{tmp}/fixes.csv"),
        ("--out", "{tmp}/fixes.csv/out"),
        ("--out", "{tmp}/full"),
    ],
)
def test_a_place_that_cannot_be_is_one_line_and_status_2(
    option: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    analyze(tmp_path, GOOD)
    (tmp_path / "full/frequency.csv").mkdir(parents=True)
    capsys.readouterr()
    named = {"--streets": "{tmp}/streets.geojson", "--fixes": "{tmp}/fixes.csv", "--out": "{tmp}/out"}
    if option == "--district":
        del named["--streets"]
    named[option] = place
    assert run(["analyze", *(text.format(tmp=tmp_path) for pair in named.items() for text in pair)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "; " in error


def gcj02(rows: list[str], unit: str) -> list[str]:
    moved = []
    for row in rows:
        _, time, lon, lat, *rest = row.split(",")
        shifted = wgs84_to_gcj02(float(lon), float(lat))
        moved.append(",".join([unit, time, *(f"{one:.7f}" for one in shifted), *rest]))
    return moved


def test_fixes_in_a_wrong_datum_end_in_one_line_and_their_streets_are_no_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out = analyze(tmp_path, gcj02(GOOD, "s1"))
    assert status == 2
    error = capsys.readouterr().err
    assert "1 of 1 tracks" in error
    assert "only when read as GCJ-02" in error
    assert error.count("\n") == 1
    assert {row["street_id"]: row["verdict"] for row in table(out / "frequency.csv")}["A"] == "no data"
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    (told,) = summary["wrong_datum"]
    assert (told["unit"], told["suspected_datum"], told["fixes"]) == ("s1", "GCJ-02", 30)


def test_where_few_are_in_a_wrong_datum_that_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    units = [row for unit in ("s1", "s2") for row in drive(unit=unit)]
    status, out = analyze(tmp_path, [*units, *gcj02(GOOD, "s3")])
    assert status == 0
    assert "1 of 3 tracks" in capsys.readouterr().err
    assert frequency(out) == "1"


@pytest.mark.parametrize(
    ("feature", "complaint"),
    [
        ({"geometry": {"type": ["LineString"], "coordinates": []}}, "draw a centreline"),
        ({"geometry": {"type": {"a": 1}, "coordinates": []}}, "draw a centreline"),
        ({"properties": {"street_id": "A\0", "kind": "alley"}}, "can't be printed"),
        ({"properties": {"street_id": "A", "name": "x\0y", "kind": "alley"}}, "can't be printed"),
        ({"geometry": {"type": "LineString", "coordinates": [[2.35, 48.85], [2.36, 48.85]]}}, "odd reaches"),
        ({"geometry": {"type": "LineString", "coordinates": [[137, 40.67], [137.01, 40.67]]}}, "odd reaches"),
    ],
)
def test_an_odd_street_is_named_in_one_line(
    feature: dict[str, object], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    analyze(tmp_path, GOOD)
    capsys.readouterr()
    first = STREETS["features"][0]
    assert isinstance(first, dict)
    odd = {**first, "properties": {"street_id": "odd", "kind": "alley"}, **feature}
    (tmp_path / "odd.geojson").write_text(json.dumps({**STREETS, "features": [*STREETS["features"], odd]}))
    files = ["--streets", str(tmp_path / "odd.geojson"), "--fixes", str(tmp_path / "fixes.csv")]
    assert run(["analyze", *files, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def hour(n: int) -> str:
    return f"2024-05-0{1 + n // 24}T{n % 24:02}"


@pytest.mark.parametrize(("from_h", "to_h"), [(26, 27), (23, 24), (24, 25)])
def test_an_hour_of_silence_is_no_data_at_midnight_too(from_h: int, to_h: int, tmp_path: Path) -> None:
    stood = [
        f"s1,{hour(h)}:{minute:02}:00+08:00,122.25,40.672,0,1"
        for h in range(20, 30)
        for minute in range(60)
        if not (from_h * 60 <= h * 60 + minute < to_h * 60)
    ]
    status, out = analyze(tmp_path, stood)
    assert status == 0
    rows = {(row["service_day"], row["street_id"]): row["verdict"] for row in table(out / "frequency.csv")}
    silent = f"2024-05-0{1 + from_h // 24}"
    assert rows[silent, "A"] == "no data"
    other = {"2024-05-01", "2024-05-02"} - {silent}
    assert rows[other.pop(), "A"] == "not swept"
