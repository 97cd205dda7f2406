"""The terms of a report are those of the definitions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reports import breaking
from reports.columns import COLUMNS
from reports.terms import TERMS

DEFINITIONS = (Path(__file__).parents[3] / "docs" / "DEFINITIONS.md").read_text()


def test_each_term_is_from_a_section_of_the_definitions() -> None:
    sections = set(re.findall(r"^## (.+)$", DEFINITIONS, re.MULTILINE))
    assert {term.section for term in TERMS} <= sections


def test_numbers_in_the_terms_are_those_of_the_definitions_in_both_languages() -> None:
    for term in TERMS:
        numbers = re.findall(r"\d+(?:\.\d+)?", term.en)
        assert sorted(numbers) == sorted(re.findall(r"\d+(?:\.\d+)?", term.zh)), term.name_en
        for number in set(numbers) - {"23", "25"}:
            assert re.search(rf"\b{number}\b", DEFINITIONS), (term.name_en, number)


def test_columns_have_headings_in_both_languages() -> None:
    for column in COLUMNS.values():
        assert column.zh, column.key
        assert column.en, column.key


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("at most 20 %", ["at ", "most ", "20 %"]),
        ("智慧巷，新", ["智", "慧", "巷，", "新"]),
        ("清扫（米）", ["清", "扫", "（米）"]),
        ("第12页", ["第", "12", "页"]),
        ("", []),
    ],
)
def test_a_line_is_broken_at_spaces_and_between_chinese_letters(text: str, pieces: list[str]) -> None:
    assert breaking.pieces_of(text) == pieces


def test_columns_share_the_width_and_none_gets_less_than_it_needs() -> None:
    assert sum(breaking.shared([10, 20], [5, 5], 60)) == pytest.approx(60)
    widths = breaking.shared([10, 50], [10, 20], 40)
    assert widths == pytest.approx([10, 30])


@pytest.mark.parametrize(
    ("length", "step"), [(1.0, 1.0), (4.9, 2.0), (99.0, 50.0), (0.03, 0.02), (500.0, 500.0)]
)
def test_a_scale_bar_has_a_round_length(length: float, step: float) -> None:
    assert breaking.nice(length) == pytest.approx(step)
