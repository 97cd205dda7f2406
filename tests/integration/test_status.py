from __future__ import annotations

from pathlib import Path

import pytest

from processing.datum import wgs84_to_gcj02
from streams.log import Envelope
from swept.main import run
from tests.integration.loaded import RECEIVED_US, count_a_round, point_at, write_folder
from tests.integration.small_world import ROUND_M, START_US, close_logs, drive, log_of, message


def status(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    capsys.readouterr()
    assert run(["status"]) == 0
    lines = [line.split("│") for line in capsys.readouterr().out.splitlines() if "│" in line]
    return {name.strip(): value.strip() for _, name, value, _ in lines}


@pytest.fixture(autouse=True)
def place(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(store_url, tmp_path, monkeypatch)
    monkeypatch.setenv("COLUMNS", "200")


def test_it_says_what_the_store_has_what_was_refused_and_when_the_newest_fix_came(
    store_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count_a_round(tmp_path, store_url)
    said = status(capsys)
    assert said["district"] == "Test [old town] (test), from the store"
    assert said["store, broker"] == "as the environment says"
    assert said["store"].startswith("PostgreSQL ")
    assert said["running"].startswith("nothing in")
    assert said["log"].startswith("2 records")
    assert said["lag"] == "none"
    assert said["dead letters"] == "1 no_time"
    assert said["newest fix"].startswith("came 2024-05-01 07:00:00+08:00")


def test_records_that_no_figure_has_seen_are_the_lag(
    store_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count_a_round(tmp_path, store_url)
    log_of(store_url, [Envelope("u1", "swept/v1/test/u1/fix", b"no", 1)] * 3)
    close_logs()
    assert status(capsys)["lag"].startswith("3 records (3 in partition ")


def test_an_empty_store_is_told_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_folder(tmp_path / "district")
    monkeypatch.setenv("SWEPT_DISTRICT", str(folder))
    said = status(capsys)
    assert said["district"] == f"Test [old town] (test), from {folder}"
    assert said["newest fix"] == "none yet"
    assert (said["lag"], said["dead letters"]) == ("none", "none")


def test_a_unit_in_a_wrong_datum_is_named(
    store_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count_a_round(tmp_path, store_url)
    assert "wrong datum" not in status(capsys)
    fixes = drive(START_US + 7_200_000_000, ROUND_M)
    for one in fixes:
        one["lon"], one["lat"] = wgs84_to_gcj02(one["lon"], one["lat"])
    log_of(store_url, [message("u1", fixes, RECEIVED_US + 7_200_000_000)])
    close_logs()
    assert run(["process", "--once"]) == 0
    assert status(capsys)["wrong datum"].startswith("u1 seems to be GCJ-02; set datum in its profile")
