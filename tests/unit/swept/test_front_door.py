from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

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
