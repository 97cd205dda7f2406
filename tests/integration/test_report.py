from __future__ import annotations

import csv
from pathlib import Path

import pytest

from swept.main import run
from tests.integration.loaded import RECEIVED_US, count_a_round, point_at
from tests.integration.small_world import ROUND_M, START_US, drive


@pytest.fixture(autouse=True)
def counted(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    point_at(store_url, tmp_path, monkeypatch)
    monkeypatch.setenv("COLUMNS", "80")
    count_a_round(tmp_path, store_url)
    capsys.readouterr()


def report(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert run(["report", *options]) == 0
    return capsys.readouterr().out


def cells(said: str) -> list[list[str]]:
    """The rows of a printed table."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in said.splitlines() if "│" in line]


def test_the_table_of_today_has_a_row_for_each_street_and_fits_80_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = report(capsys)
    assert [row[:3] + row[-1:] for row in cells(said)] == [
        ["a", "Alley A", "1 of 1", "swept"],
        ["b", "Alley B", "1 of 2", "no data"],
        ["c", "Lane C", "1 of 1", "swept"],
    ]
    assert "2024-05-01" in said
    assert "3 street-days still open; so far 67 % swept, 33 % no data. Covered 100.0% of 0.7 km." in said
    assert "…" not in said


def test_several_days_have_a_column_for_the_day_and_from_alone_goes_on_to_today(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = report(capsys, "--from", "2024-04-30", "--street", "a")
    assert [(row[0], row[1]) for row in cells(said)] == [
        ("2024-04-30*", "0 of 1"),
        ("2024-05-01*", "1 of 1"),
    ]
    assert "2 street-days still open; so far 50 % swept" in said


def test_a_csv_has_the_figures_with_their_digits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "may.csv"
    assert "3 rows in" in report(capsys, "--from", "2024-05-01", "--to", "2024-05-01", "--csv", str(file))
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [(row["street_id"], row["frequency"], row["required"], row["coverage"]) for row in rows] == [
        ("a", "1", "1", "1.0000"),
        ("b", "1", "2", "1.0000"),
        ("c", "1", "1", "1.0000"),
    ]
    assert rows[0]["swept_m"] == rows[0]["length_m"]
    assert float(rows[0]["length_m"]) == pytest.approx(300, abs=0.5)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--from", "May"], "--from May is no day; write it like 2026-06-01"),
        (["--from", "2024-05-02", "--to", "2024-05-01"], "--from 2024-05-02 is after --to 2024-05-01"),
        (["--from", "2001-01-01"], "ask for fewer"),
        (["--from", "1900-01-01"], "--from 1900-01-01 can't be meant; dates go from 2000-01-01"),
        (["--street", "z"], "there is no street z; see swept streets list"),
        (["--csv", "/nowhere/at/all.csv"], "can't be written"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line_and_status_2(
    options: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["report", *options]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def test_a_file_of_the_same_fixes_analyzed_with_the_district_says_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "fixes.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("unit", "time", "received_at", "lon", "lat", "speed_kmh", "heading_deg", "brush"))
        for one in drive(START_US, ROUND_M):
            place = (one["lon"], one["lat"], one["speed_kmh"], one["heading_deg"])
            writer.writerow(("u1", one["time"], RECEIVED_US // 1_000, *place, 1))
    files = ["--fixes", str(tmp_path / "fixes.csv"), "--out", str(tmp_path / "out")]
    assert run(["analyze", "--district", str(tmp_path / "district"), *files]) == 0
    report(capsys, "--csv", str(tmp_path / "live.csv"))
    with (
        (tmp_path / "live.csv").open(encoding="utf-8") as live,
        (tmp_path / "out/frequency.csv").open(encoding="utf-8") as analyzed,
    ):
        columns = next(csv.reader(analyzed))
        found = list(csv.DictReader(analyzed, columns))
        stored = [{name: row[name] for name in columns} for row in csv.DictReader(live)]
    assert len(found) == 3
    assert found == stored
