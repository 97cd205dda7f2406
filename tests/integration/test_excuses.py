"""`swept excuse`: entered with reason and author, listed, withdrawn, never gone."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from swept.main import run
from tests.integration.loaded import RECEIVED_US, count_a_round, point_at

RAIN = ("--kind", "rain", "--reason", "a storm [all day]", "--author", "Li Wei")


@pytest.fixture(autouse=True)
def counted(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    point_at(store_url, tmp_path, monkeypatch)
    monkeypatch.setenv("COLUMNS", "100")
    count_a_round(tmp_path, store_url)
    capsys.readouterr()


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["excuse", *arguments]) == 0
    return capsys.readouterr().out


def test_an_excuse_is_entered_listed_and_withdrawn_and_stays_on_the_record(
    connection: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "No excuse stands there." in said(capsys, "list")
    assert "Excuse 1 stands" in said(capsys, "add", "b", "--from", "2024-05-01", "--to", "2024-05-02", *RAIN)
    assert "Excuse 2 stands" in said(capsys, "add", "a", "--from", "2024-05-01", *RAIN)
    listed = said(capsys, "list", "--street", "b")
    assert "2024-05-01 to 2024-05-02" in listed
    assert "a storm [all day]" in listed
    assert "Li Wei" in listed
    assert "No excuse stands" in said(capsys, "list", "--from", "2024-05-03")
    assert "Excuse 1 is withdrawn" in said(capsys, "withdraw", "1", "--author", "Wang")
    assert "No excuse stands" in said(capsys, "list", "--street", "b")
    assert "Wang" in said(capsys, "list", "--street", "b", "--withdrawn")
    rows = connection.execute(
        "SELECT street_id, kind, author, at_us, withdrawn_by, withdrawn_us FROM excuse ORDER BY excuse_id"
    ).fetchall()
    # Times are the district's: those of 2024, when the newest report came.
    assert rows == [
        ("b", "rain", "Li Wei", RECEIVED_US, "Wang", RECEIVED_US),
        ("a", "rain", "Li Wei", RECEIVED_US, None, None),
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["add", "z", "--from", "2024-05-01", *RAIN], "there is no street z; see swept streets list"),
        (["add", "a", "--from", "2024-05-02", "--to", "2024-05-01", *RAIN], "exchange them"),
        (["add", "a", "--from", "May", *RAIN], "write it like 2026-06-01"),
        (["add", "a", "--from", "2024-05-01", "--kind", "holiday", *RAIN[2:]], "'road works'"),
        (["add", "a", "--from", "2024-05-01", *RAIN[:2], "--reason", " ", *RAIN[4:]], "--reason is empty"),
        (["add", "a", "--from", "2024-05-01", *RAIN[:4]], "--author"),
        (
            ["add", "a", "--from", "2024-05-01", *RAIN[:4], "--author", "x\ty"],
            "--author is empty, too long or not",
        ),
        (["withdraw", "9", "--author", "Wang"], "there is no excuse 9; see swept excuse list"),
        (["list", "--from", "2024-05-02", "--to", "2024-05-01"], "exchange them"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line_and_nothing_is_entered(
    arguments: list[str], complaint: str, connection: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["excuse", *arguments]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert connection.execute("SELECT count(*) FROM excuse").fetchone() == (0,)


def test_an_excuse_is_withdrawn_once(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "add", "a", "--from", "2024-05-01", *RAIN)
    said(capsys, "withdraw", "1", "--author", "Wang")
    assert run(["excuse", "withdraw", "1", "--author", "Zhao"]) == 2
    assert "was withdrawn by Wang already" in capsys.readouterr().err
