"""`swept report` over periods: totals, as of a moment, and as files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import psycopg
import pytest

from swept.main import run
from tests.integration.loaded import point_at, write_folder
from tests.integration.recorded import at_us, close_day, put_day

MAY = ("--from", "2024-05-01", "--to", "2024-05-03")


@pytest.fixture(autouse=True)
def recorded(
    connection: psycopg.Connection,
    store_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The small world's streets a, b and c: two closed days, a third that is open, one restated."""
    point_at(store_url, tmp_path, monkeypatch)
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["district", "load", str(write_folder(tmp_path / "district"))]) == 0
    for day in ("2024-05-01", "2024-05-02"):
        closed_us = at_us(f"{day}T23:59")
        close_day(connection, day, closed_us)
        put_day(connection, "a", day, "swept", cleaned_h=[8], known_us=closed_us)
        put_day(connection, "b", day, "no data", cleaned_h=[9], required=2, known_us=closed_us)
        if day == "2024-05-01":
            put_day(connection, "c", day, "swept", cleaned_h=[10], known_us=closed_us)
    changed_us = at_us("2024-05-05T12:00")
    put_day(connection, "c", "2024-05-02", "not swept", known_us=closed_us, superseded_us=changed_us)
    put_day(
        connection,
        "c",
        "2024-05-02",
        "swept",
        cleaned_h=[20],
        known_us=changed_us,
        version=2,
        cause="late data",
    )
    capsys.readouterr()


def report(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert run(["report", *options]) == 0
    return capsys.readouterr().out


def cells(said: str) -> list[list[str]]:
    """The rows of a printed table."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in said.splitlines() if "│" in line]


def test_totals_have_their_verdicts_shares_and_what_is_open(capsys: pytest.CaptureFixture[str]) -> None:
    said = report(capsys, *MAY, "--each", "day", "--by", "district")
    assert [row[:5] for row in cells(said)] == [
        ["2024-05-01", "3 of 4", "1", "66.7%", "100.0%"],
        ["2024-05-02", "3 of 4", "1", "66.7%", "100.0%"],
        ["2024-05-03", "0 of 4", "–", "–", "0.0%"],
    ]
    told = " ".join(said.split())
    assert "6 street-days: █ 67 % swept, ░ 33 % no data; 3 more still open." in told
    assert "…" not in said


def test_by_street_has_the_longest_time_without_a_cleaning(capsys: pytest.CaptureFixture[str]) -> None:
    said = report(
        capsys,
        "--from",
        "2024-05-01",
        "--to",
        "2024-05-02",
        "--by",
        "street",
        "--as-of",
        "2024-05-06T00:00+08:00",
    )
    assert {row[0]: (row[1], row[2], row[6]) for row in cells(said)} == {
        "a": ("Alley A", "2 of 2", "24.0 h"),
        "b": ("Alley B", "2 of 4", "24.0 h"),
        "c": ("Lane C", "2 of 2", "34.0 h"),
    }
    assert "as of 2024-05-06 00:00+08:00" in said


def test_as_of_a_moment_shows_what_was_known_then(capsys: pytest.CaptureFixture[str]) -> None:
    day = ("--from", "2024-05-02", "--to", "2024-05-02")
    verdicts = {
        as_of: [row[-1] for row in cells(report(capsys, *day, "--as-of", f"{as_of}+08:00"))]
        for as_of in ("2024-05-02T10:00", "2024-05-03T00:00", "2024-05-05T12:00")
    }
    assert verdicts == {
        "2024-05-02T10:00": ["open", "open", "open"],
        "2024-05-03T00:00": ["swept", "no data", "not swept"],
        "2024-05-05T12:00": ["swept", "no data", "swept"],
    }
    # The record alone says the same as the API says now.
    assert [row[-1] for row in cells(report(capsys, *day))] == verdicts["2024-05-05T12:00"]


def test_before_anything_was_known_all_is_open(capsys: pytest.CaptureFixture[str]) -> None:
    said = report(capsys, *MAY, "--by", "grade", "--as-of", "2001-01-01T00:00Z")
    assert "9 street-days still open. Covered 0.0%" in " ".join(said.split())


def test_a_year_with_no_data_has_rows_and_is_open(capsys: pytest.CaptureFixture[str]) -> None:
    said = report(capsys, "--from", "2023-01-01", "--to", "2023-12-31", "--each", "month", "--by", "district")
    assert len(cells(said)) == 12
    assert "1,095 street-days still open." in said


def test_a_shift_has_no_requirement(capsys: pytest.CaptureFixture[str]) -> None:
    assert cells(report(capsys, *MAY, "--by", "shift")) == [["early", "Early", "0", "0.0%", "3"]]


def test_one_streets_cleanings_are_told_with_their_local_times(capsys: pytest.CaptureFixture[str]) -> None:
    said = report(capsys, "--from", "2024-05-01", "--to", "2024-05-02", "--street", "c")
    assert "c Lane C" in said
    assert cells(said) == [
        ["2024-05-01", "1 of 1", "100.0%", "10:00", "swept"],
        ["2024-05-02", "1 of 1", "100.0%", "20:00", "swept"],
    ]


def test_excuses_stand_in_a_column_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    before = cells(report(capsys, *MAY, "--by", "street"))
    reason = ("--kind", "road works", "--reason", "gas main", "--author", "Li Wei")
    assert run(["excuse", "add", "b", "--from", "2024-05-01", *reason]) == 0
    capsys.readouterr()
    rows = cells(report(capsys, "--from", "2024-05-01", "--to", "2024-05-01"))
    assert [row[-2:] for row in rows] == [["swept", ""], ["no data", "road works"], ["swept", ""]]
    said = report(capsys, *MAY, "--by", "street")
    assert "1 that fall short have an excuse" in said
    assert [row[:6] for row in cells(said) if row[0]] == [row[:6] for row in before if row[0]]


def test_a_narrow_terminal_leaves_columns_out_and_cuts_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "64")
    said = report(capsys, *MAY, "--by", "street")
    assert [row[:3] for row in cells(said)] == [
        ["a", "Alley A", "2 of 3"],
        ["b", "Alley B", "2 of 6"],
        ["c", "Lane C", "2 of 3"],
    ]
    assert "…" not in said


def test_a_csv_of_totals_has_every_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(capsys, *MAY, "--each", "week", "--by", "contractor", "--csv", str(tmp_path / "w.csv"))
    with (tmp_path / "w.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["bucket_first"], row["bucket_last"], row["key"]) == ("2024-05-01", "2024-05-03", "")
    assert (row["street_days"], row["cleanings"], row["required"], row["shortfall"]) == ("9", "6", "12", "2")
    assert (row["compliance"], row["swept"], row["no_data"], row["open"]) == ("0.6667", "4", "2", "3")


def test_files_to_hand_on_are_written_by_their_ending(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("m.csv", "m.xlsx", "m.geojson", "m.pdf"):
        assert "is written" in report(
            capsys, *MAY, "--by", "street", "--language", "en", "--out", str(tmp_path / name)
        )
        assert (tmp_path / name).stat().st_size > 200
    with (tmp_path / "m.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["street_id"]: row for row in csv.DictReader(file)}
    assert {key: (row["cleanings"], row["required"], row["open"]) for key, row in rows.items()} == {
        "a": ("2", "3", "1"),
        "b": ("2", "6", "1"),
        "c": ("2", "3", "1"),
    }
    features = json.loads((tmp_path / "m.geojson").read_text(encoding="utf-8"))["features"]
    assert {feature["properties"]["street_id"] for feature in features} == {"a", "b", "c"}
    # A day's own document has a row for each street, also while it is open.
    report(
        capsys,
        "--from",
        "2024-05-02",
        "--to",
        "2024-05-03",
        "--out",
        str(tmp_path / "d.csv"),
        "--language",
        "en",
    )
    with (tmp_path / "d.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["verdict"] for row in csv.DictReader(file)] == [
            "swept",
            "no data",
            "swept",
            "open",
            "open",
            "open",
        ]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--from", "2024-05-02", "--to", "2024-05-01", "--by", "grade"], "exchange them"),
        ([*MAY, "--by", "colour"], "'street', 'grade'"),
        ([*MAY, "--each", "year"], "'day', 'week', 'month', 'period'"),
        ([*MAY, "--by", "street", "--street", "z"], "there is no street z; see swept streets list"),
        ([*MAY, "--as-of", "yesterday"], "write it like 2026-06-08T09:00+08:00"),
        ([*MAY, "--as-of", "2024-05-02T00:00"], "has no zone; add Z or +08:00"),
        (
            [*MAY, "--out", "june.doc"],
            "no such format; end the file's name in one of .csv, .geojson, .pdf, .xlsx",
        ),
        ([*MAY, "--out", "/nowhere/at/all.csv"], "can't be written"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line_and_status_2(
    options: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["report", *options]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
