from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import typer

from swept import main
from swept.errors import UserError

#: What takes long to import, and must not be touched before a command needs it.
HEAVY = {
    "numpy",
    "numba",
    "scipy",
    "shapely",
    "geopandas",
    "pandas",
    "psycopg",
    "fastapi",
    "paho",
}


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    script = (
        "import sys; from swept.main import run; status = run(['--help']);"
        "print('LOADED', *sorted({name.split('.')[0] for name in sys.modules})); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    help_text, _, loaded = done.stdout.partition("LOADED")
    assert HEAVY & set(loaded.split()) == set()
    for command in typer.main.get_command(main.app).list_commands(None):  # type: ignore[attr-defined]
        assert command in help_text


def test_help_breaks_lines_where_the_terminal_ends_and_nowhere_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main.run(["ingest", "--help"]) == 0
    prose = capsys.readouterr().out.split("╭")[0].split("\n")
    lines = [line.strip() for line in prose]
    for line, following in pairwise(lines):
        if line and following:
            assert len(line) + len(following.split()[0]) >= 97, line


def test_no_arguments_print_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([]) == 0
    assert "Usage: swept" in capsys.readouterr().out


@pytest.mark.parametrize("group", ["streets", "district"])
def test_a_group_without_a_command_prints_its_help(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([group]) == 0
    output = capsys.readouterr()
    assert f"Usage: swept {group}" in output.out
    assert output.err == ""


FIXES = "unit,time,lon,lat\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["replay", "{tmp}/bad.csv"], "no row of {tmp}/bad.csv can be played (line 2: time"),
        (["replay", "{tmp}/good.csv", "--mqtt", "mqtt://h:99999"], "write the broker as mqtt://host:1883"),
        (["replay", "{tmp}/good.csv", "--mqtt", "mqtt://h:x"], "write the broker as mqtt://host:1883"),
        (["replay", "{tmp}/good.csv", "--mqtt", "http://h"], "write the broker as mqtt://host:1883"),
        (["replay", "x" * 300 + ".csv"], "name a recording"),
        (
            ["score", "--truth", "{tmp}/none.json", "--frequency", "{tmp}/good.csv"],
            "that swept simulate wrote",
        ),
        (["streets", "import", "x" * 300 + ".shp"], "name the survey's file"),
        (["streets", "import", "{tmp}/none.shp", "--out", "{tmp}/good.csv"], "name the survey's file"),
        (["streets", "check", "x" * 300], "name a district's folder"),
        (["district", "check", "{tmp}/district"], "plan.toml is no file"),
        (["simulate", "--scenario", "x" * 300 + "/"], "name a scenario's TOML file"),
        (["report", "--from", "0001-01-01", "--to", "0001-01-01"], "dates go from 2000-01-01 to 2100-01-01"),
        (["report", "--from", "9999-12-31", "--to", "9999-12-31"], "dates go from 2000-01-01 to 2100-01-01"),
        (["serve", "--host", "x" * 300], "choose another --host or --port"),
    ],
)
def test_what_cannot_be_used_is_one_line_that_says_what_to_do(
    arguments: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "district/plan.toml").mkdir(parents=True)
    (tmp_path / "good.csv").write_text(FIXES + "u1,2024-05-01T06:00:00+08:00,122.25,40.67\n")
    (tmp_path / "bad.csv").write_text(FIXES + "u1,0001-01-01T00:00:00Z,1,2\n" * 30)
    assert main.run([argument.format(tmp=tmp_path) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert complaint.format(tmp=tmp_path) in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(["--unknown"], "No such option: --unknown"), (["sweep"], "No such command 'sweep'")],
)
def test_a_wrong_command_line_is_one_line_and_status_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"swept: {complaint}")
    assert output.err.endswith("see swept --help.\n")
    assert output.err.count("\n") == 1


def test_an_error_for_the_user_is_always_one_line() -> None:
    assert str(UserError("not a file: x;\n  name one")) == "not a file: x; name one"


def test_the_version_is_the_installed_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("swept 0.")
