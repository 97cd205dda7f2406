"""A report's file is whole or not there, and what can't be made says what to do."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from reports import files
from tests.unit.reports import samples

ENDINGS = sorted(files.FORMATS)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_document_gives_the_same_bytes(ending: str) -> None:
    document = samples.per_day(2, 20)
    assert files.render(document, ending) == files.render(document, ending)


@pytest.mark.parametrize("ending", ENDINGS)
def test_only_the_report_is_left_in_the_folder(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"报告{ending.upper()}"
    files.write(samples.per_day(1, 3), path)
    files.write(samples.per_day(2, 3), path)
    assert names(tmp_path) == [path.name]
    assert path.read_bytes() == files.render(samples.per_day(2, 3), ending)


FULL_DISK = """
import resource, sys
from pathlib import Path
from reports import files
from tests.unit.reports import samples
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
files.write(samples.per_day(5, 60), Path(sys.argv[1]))
"""


def test_a_full_disk_leaves_the_old_report_and_nothing_half_written(tmp_path: Path) -> None:
    """In a process of its own, in which no file may grow over 10,000 bytes."""
    path = tmp_path / "report.csv"
    files.write(samples.per_day(1, 3), path)
    old = path.read_bytes()
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], check=False, cwd=root, capture_output=True, text=True
    )
    assert "File too large" in done.stderr
    assert names(tmp_path) == ["report.csv"]
    assert path.read_bytes() == old


def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.write(samples.per_day(1, 3), tmp_path / "gone" / "report.csv")


def test_a_folder_in_the_files_place_stays_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "report.csv").mkdir()
    with pytest.raises(OSError, match="directory"):
        files.write(samples.per_day(1, 3), tmp_path / "report.csv")
    assert names(tmp_path) == ["report.csv"]


def test_an_unknown_ending_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(files.ReportError, match=r"end the file's name in one of .csv, .geojson, .pdf, .xlsx"):
        files.write(samples.per_day(1, 3), tmp_path / "report.doc")
    assert not names(tmp_path)


@pytest.mark.parametrize("ending", sorted(files.ROWS_MAX))
def test_too_many_rows_are_refused_with_what_to_do(tmp_path: Path, ending: str) -> None:
    document = samples.per_day(1, 1)
    many = replace(document, rows=document.rows * (files.ROWS_MAX[ending] + 1))
    with pytest.raises(files.ReportError, match=r"shorter period, group by week or month, or write \.csv"):
        files.write(many, tmp_path / f"report{ending}")
    assert not names(tmp_path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_period_without_anything_makes_a_report(ending: str) -> None:
    empty = replace(
        samples.per_day(1, 3),
        rows=(),
        totals=None,
        verdict_percent={},
        street_days=0,
        streets=(),
        excuses=(),
        units=(),
        rule_versions=(),
        map_versions=(),
        digests=(),
        public_key="",
    )
    assert files.render(empty, ending)
