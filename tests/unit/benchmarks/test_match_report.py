from pathlib import Path

from benchmarks.match_report import COLOURS, Growth, Row, markdown, plot

ROWS = [
    Row("swept", seconds=0.5, fixes=1_000, judged=800, wrong=2, nowhere=1),
    Row("fastmm", seconds=5.0, fixes=1_000, judged=800, wrong=20, nowhere=0),
    Row("fastmm, tuned", seconds=5.0, fixes=1_000, judged=800, wrong=0, nowhere=0),
    Row("STRtree snap", seconds=4.0, fixes=1_000, judged=800, wrong=40, nowhere=0),
    Row("swept, from reports", seconds=1.0, fixes=1_000, judged=800, wrong=2, nowhere=1),
    Row("the other, from reports", seconds=3.0, fixes=1_000, judged=800, wrong=4, nowhere=0),
]
SIZE = {
    "streets": 144.0,
    "nodes": 400.0,
    "route_bytes": 1e6,
    "network_bytes": 4e5,
    "build_s": 0.1,
    "before_bytes": 1e8,
    "peak_bytes": 2e8,
}
CALLS = {state: {"start_s": 1.0, "match_s": 2.0, "passes_s": 3.0} for state in ("cold", "warm")}


def cells(text: str, matcher: str) -> list[str]:
    (line,) = [one for one in text.splitlines() if f"| {matcher} |" in one]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_row_says_how_much_faster_swept_is_and_how_much_less_wrong() -> None:
    text = markdown({"5 m, 5 s": ROWS}, "", CALLS, seed=3, repeats=5)
    assert cells(text, "fastmm") == [
        "5 m, 5 s",
        "fastmm",
        "200",
        "10.00 x",
        "2.500%",
        "0.000%",
        "0.10",
    ]
    assert "seed 3" in text


def test_what_is_never_wrong_has_no_share_and_nothing_is_divided_by_it() -> None:
    assert cells(markdown({"a": ROWS}, "", CALLS, 1, 5), "fastmm, tuned")[-1] == ""


def test_another_checkout_is_compared_with_swept_from_reports_too() -> None:
    row = cells(markdown({"a": ROWS}, "", CALLS, 1, 5), "the other, from reports")
    assert (row[3], row[6]) == ("3.00 x", "0.50")


def test_growth_is_a_ratio_or_the_reason_why_there_is_none() -> None:
    many = {name: 10.0 * value for name, value in SIZE.items()}
    text = markdown({"a": ROWS}, Growth(0.5, 0.6, SIZE, many), CALLS, 1, 5)
    assert "| one fix | us | 0.5 | 0.6 | 1.20 |" in text
    assert "| streets |  | 144 | 1,440 | 10.00 |" in text
    assert "too many" in markdown({"a": ROWS}, "1,440 streets: too many", CALLS, 1, 5)


def test_the_plot_names_every_matcher_and_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        plot({"5 m, 5 s": ROWS, "3 m, 1 s": ROWS}, tmp_path / name)
    text = (tmp_path / "one.svg").read_text()
    assert all(f"<!-- {matcher} -->" in text for matcher in COLOURS)
    assert text == (tmp_path / "two.svg").read_text()
