"""`swept district`: a folder on disk, read and checked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from swept.district import app, load_folder, read_folder
from swept.errors import UserError
from swept.settings import configs_folder

ZHANQIAN = configs_folder() / "zhanqian"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ZHANQIAN, tmp_path / "zhanqian"))


def run(*arguments: str | Path) -> None:
    app(args=[str(argument) for argument in arguments], prog_name="district", standalone_mode=False)


def test_the_district_that_comes_with_swept_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    run("check", ZHANQIAN)
    said = capsys.readouterr().out
    assert "synthetic, 144 streets, 22 context roads, 12 units, 1 shifts" in said
    assert load_folder(ZHANQIAN).map_version in said


def test_other_files_in_the_folder_are_left_alone(folder: Path) -> None:
    (folder / "README.md").write_text("notes")
    assert "README.md" not in read_folder(folder)
    load_folder(folder)


def test_all_problems_are_listed_and_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "rules.toml").write_text("close_gap = 1\nlate_max = 2\n")
    with pytest.raises(UserError, match="2 problems, listed above"):
        run("check", folder)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "rules.toml: close_gap: no such rule; did you mean 'close_gap_m'?"
    assert len(said) == 2


def test_a_command_that_needs_a_district_names_the_first_problem(folder: Path) -> None:
    (folder / "rules.toml").write_text("close_gap = 1\nlate_max = 2\n")
    with pytest.raises(UserError, match=r"did you mean 'close_gap_m'\? \(1 more: swept district check"):
        load_folder(folder)


def test_a_misspelt_file_is_noticed(folder: Path) -> None:
    (folder / "road.geojson").write_text("{}")
    with pytest.raises(UserError, match=r"did you mean 'roads.geojson'"):
        load_folder(folder)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no TOML or GeoJSON"):
        read_folder(tmp_path)
