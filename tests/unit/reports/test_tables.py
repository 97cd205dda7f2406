"""CSV, XLSX and GeoJSON are read back with other people's readers."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import openpyxl
import pytest

from reports.columns import COLUMNS
from reports.document import Document, ExcuseNote, Language, MapStreet
from reports.files import render
from tests.unit.reports import samples

FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0")


def lines(document: Document) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render(document, ".csv").decode("utf-8-sig"), newline="")))


def workbook(document: Document) -> Any:
    return openpyxl.load_workbook(io.BytesIO(render(document, ".xlsx")))


def named(document: Document, names: tuple[str, ...]) -> Document:
    """A document of texts alone."""
    return replace(
        document, columns=(COLUMNS["street"],), rows=tuple((name,) for name in names), totals=None, streets=()
    )


def texts(sheet: Any) -> list[str]:
    return [str(cell.value) for row in sheet.iter_rows() for cell in row if cell.value is not None]


def test_csv_has_keys_plain_numbers_and_moments_with_their_offset() -> None:
    document = samples.per_day(2, 5)
    rows = lines(document)
    assert list(rows[0]) == [column.key for column in document.columns]
    assert len(rows) == len(document.rows)
    for row, cells in zip(rows, document.rows, strict=True):
        found = dict(zip(samples.PER_DAY, cells, strict=True))
        assert row["service_day"] == str(found["service_day"])
        assert row["street"] == found["street"]
        assert float(row["coverage"]) == found["coverage"]
        moments = tuple(datetime.fromisoformat(text) for text in row["cleaned_at"].split())
        assert moments == found["cleaned_at"]
        assert all(moment.utcoffset() == timedelta(hours=8) for moment in moments)
        assert row["verdict"] == found["verdict"]


def test_csv_opens_with_the_mark_that_spreadsheets_know_chinese_by() -> None:
    assert render(samples.per_day(1, 1), ".csv").startswith(b"\xef\xbb\xbfservice_day,")


def test_csv_keeps_the_two_passes_of_a_repeated_hour_apart() -> None:
    ended = datetime(2026, 11, 1, 6, tzinfo=UTC)
    moments = (ended - timedelta(minutes=30), ended + timedelta(minutes=30))
    document = replace(
        samples.per_day(1, 1),
        timezone="America/New_York",
        columns=(COLUMNS["cleaned_at"], COLUMNS["last_cleaned_at"]),
        rows=((moments, moments[1]),),
        totals=None,
    )
    row = lines(document)[0]
    assert row["cleaned_at"] == "2026-11-01T01:30:00-04:00 2026-11-01T01:30:00-05:00"
    assert row["last_cleaned_at"] == "2026-11-01T01:30:00-05:00"


def test_csv_text_that_looks_like_a_formula_has_an_apostrophe() -> None:
    rows = lines(named(samples.per_day(1, 1), (*FORMULAS, "a=b")))
    assert [row["street"] for row in rows] == [*(f"'{text}" for text in FORMULAS), "a=b"]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_xlsx_has_a_cover_that_says_what_the_figures_rest_on(language: Language) -> None:
    document = samples.per_day(3, 4, language)
    cover = texts(workbook(document).worksheets[0])
    joined = "\n".join(cover)
    assert document.district in cover[0]
    assert ("模拟数据" if language == "zh" else "Synthetic") in joined
    assert "2026-03-01" in joined
    assert "2026-04-02 09:30:00 (UTC+8)" in joined
    assert "92 %" in cover
    for term in document.definitions:
        assert term.name(language) in cover
        assert term.meaning(language) in cover
    for version in (*document.rule_versions, *document.map_versions):
        assert version.version in joined
    assert document.digests[0].digest in cover
    assert ("尚未结日" if language == "zh" else "not closed yet") in cover
    assert document.public_key in cover


def test_xlsx_cells_are_typed_and_the_heading_is_frozen_and_filters() -> None:
    document = samples.per_day(2, 5)
    sheet = workbook(document).worksheets[1]
    assert [cell.value for cell in sheet[1]] == [column.zh for column in document.columns]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:O11"
    for line, cells in enumerate(document.rows, 2):
        row = dict(zip(samples.PER_DAY, sheet[line], strict=True))
        found = dict(zip(samples.PER_DAY, cells, strict=True))
        assert row["service_day"].value.date() == found["service_day"]
        assert row["service_day"].number_format == "yyyy-mm-dd"
        assert row["frequency"].value == found["frequency"]
        assert row["coverage"].value == pytest.approx(found["coverage"])
        assert row["coverage"].number_format == "0.0%"
        assert row["street"].value == found["street"]
        assert row["street"].data_type == "s"
    assert sheet.cell(12, 1).value == "合计"
    assert sheet.cell(12, 7).value == 600


def test_xlsx_makes_no_formula_of_what_somebody_typed() -> None:
    note = ExcuseNote("ZQ-001", "=1+1", samples.DAY, samples.DAY, "rain", "=HYPERLINK(1)", "@me")
    document = replace(named(samples.per_day(1, 1), FORMULAS), excuses=(note,))
    book = workbook(document)
    assert [row[0].value for row in book.worksheets[1].iter_rows(min_row=2)] == list(FORMULAS)
    for sheet in book:
        assert all(
            cell.data_type != "f" and cell.hyperlink is None for row in sheet.iter_rows() for cell in row
        )


def test_xlsx_shows_the_wall_clock_and_the_offset_where_it_repeats() -> None:
    ended = datetime(2026, 11, 1, 6, tzinfo=UTC)
    document = replace(
        samples.per_day(1, 1),
        timezone="America/New_York",
        columns=(COLUMNS["last_cleaned_at"],),
        rows=((ended + timedelta(minutes=30),), (ended + timedelta(hours=2),)),
        totals=None,
    )
    sheet = workbook(document).worksheets[1]
    assert sheet["A2"].value == "2026-11-01 01:30:00 (UTC-5)"
    assert sheet["A3"].value == datetime(2026, 11, 1, 3)  # noqa: DTZ001 - a sheet has no zones
    assert sheet["A3"].is_date


def test_xlsx_shows_units_and_excuses() -> None:
    document = samples.per_day(1, 3)
    _, _, units, excuses = workbook(document).worksheets
    assert units.max_row == len(document.units) + 1
    assert units["E2"].value == pytest.approx(0.8)
    assert excuses["E2"].value == "道路施工"
    assert excuses["C2"].value.date() == samples.DAY


def test_xlsx_cuts_what_no_cell_can_hold() -> None:
    sheet = workbook(named(samples.per_day(1, 1), ("街" * 40_000,))).worksheets[1]
    assert len(sheet["A2"].value) == 32_767
    assert sheet["A2"].value.endswith("…")


def test_geojson_has_each_street_with_its_line_figures_and_excuses() -> None:
    document = samples.per_day(2, 5)
    collection = json.loads(render(document, ".geojson"))
    assert collection["type"] == "FeatureCollection"
    assert len(collection["features"]) == 5
    west, south, east, north = collection["bbox"]
    for feature, street in zip(collection["features"], document.streets, strict=True):
        assert feature["type"] == "Feature"
        assert feature["id"] == street.street_id
        assert feature["properties"]["name"] == street.name
        assert len(feature["properties"]["figures"]) == 2
        assert feature["properties"]["figures"][0]["service_day"] == "2026-03-01"
        geometry = feature["geometry"]
        parts = geometry["coordinates"]
        if geometry["type"] == "LineString":
            parts = [parts]
        else:
            assert geometry["type"] == "MultiLineString"
        assert parts == [[list(point) for point in line] for line in street.lines]
        assert all(west <= lon <= east and south <= lat <= north for line in parts for lon, lat in line)
    assert collection["features"][0]["properties"]["excuses"][0]["kind"] == "road works"
    about = collection["swept"]
    assert about["synthetic"] is True
    assert about["verdict_percent"]["swept"] == 92
    assert about["digests"]["2026-03-02"] is None


def test_geojson_of_a_street_without_a_line_has_no_geometry() -> None:
    street = MapStreet("X", "新街", (), 0.0)
    collection = json.loads(render(replace(samples.per_day(1, 1), streets=(street,)), ".geojson"))
    assert collection["features"][0]["geometry"] is None
    assert "bbox" not in collection


def test_geojson_of_figures_that_are_not_of_streets_has_none() -> None:
    document = replace(named(samples.per_day(1, 1), ("a",)), streets=samples.per_day(1, 1).streets)
    collection = json.loads(render(document, ".geojson"))
    assert collection["features"][0]["properties"]["figures"] == []


def test_dates_of_a_report_are_service_days_of_the_district() -> None:
    document = samples.per_day(1, 1)
    assert document.first_day == date(2026, 3, 1)
    assert lines(document)[0]["service_day"] == "2026-03-01"
