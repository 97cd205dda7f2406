"""`swept district load` keeps a folder's bytes in a real store, a version for each change."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import psycopg
import pytest

from processing.district_files import parse_district
from storage.district import files_of
from swept.district import app, load_folder
from swept.errors import UserError
from swept.settings import configs_folder


def load(folder: Path) -> None:
    app(args=["load", str(folder)], prog_name="district", standalone_mode=False)


@pytest.fixture
def folder(tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SWEPT_STORE_URL", store_url)
    return Path(shutil.copytree(configs_folder() / "zhanqian", tmp_path / "zhanqian"))


def test_a_folder_is_stored_whole_and_again_only_when_it_changed(
    folder: Path, connection: psycopg.Connection[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    load(folder)
    load(folder)
    assert capsys.readouterr().out.count("Stored as version 1") == 2
    stored = files_of(connection, "zhanqian", 1)
    assert stored is not None
    assert parse_district(stored) == load_folder(folder)
    (folder / "rules.toml").write_text("close_gap_m = 8.0\n")
    load(folder)
    assert "Stored as version 2" in capsys.readouterr().out
    assert (files_of(connection, "zhanqian", 2) or {})["rules.toml"] == b"close_gap_m = 8.0\n"


def test_a_folder_with_problems_is_not_stored(folder: Path, connection: psycopg.Connection[Any]) -> None:
    (folder / "units.toml").write_text("[[unit]]\n")
    with pytest.raises(UserError, match=r"units.toml: unit 1: id is missing; add it \(\d+ more"):
        load(folder)
    assert files_of(connection, "zhanqian", 1) is None
