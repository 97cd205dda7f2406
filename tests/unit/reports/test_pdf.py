"""The PDF is read back as text, its fonts are looked at, and its pages are drawn."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pypdf
import pypdfium2
import pytest
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

import reports
from reports import paper, terms
from reports.columns import COLUMNS
from reports.document import Document, Language, MapStreet
from reports.files import ReportError, render
from tests.unit.reports import samples

FONTS = Path(reports.__file__).parent / "fonts"


def read(document: Document) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(render(document, ".pdf")))


def text_of(reader: pypdf.PdfReader) -> str:
    return "\n".join(page.extract_text() for page in reader.pages)


def letters(file: str) -> set[int]:
    """The code points that a font has."""
    with TTFont(FONTS / file, lazy=True) as font:
        return set(font.getBestCmap())


def squeezed(text: str) -> str:
    """Without white space, which is where lines were broken."""
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_report_shows_all_that_is_filed(language: Language) -> None:
    document = samples.per_day(1, 144, language)
    text = squeezed(text_of(read(document)))
    for street in document.streets:
        assert street.name in text
        assert street.street_id in text
    for term in document.definitions:
        assert squeezed(term.name(language)) in text
        assert squeezed(term.meaning(language)) in text
    for version in (*document.rule_versions, *document.map_versions):
        assert version.version in text
    for unit in document.units:
        assert unit.name in text
    assert document.digests[0].digest in text
    assert document.public_key in text
    assert "供热管网抢修，全路段封闭" in text
    assert "92%" in text
    assert ("盖章" if language == "zh" else "seal") in text
    assert ("模拟数据" if language == "zh" else "Synthetic") in text


def test_a_real_district_is_not_called_synthetic() -> None:
    text = text_of(read(replace(samples.per_day(1, 3), synthetic=False)))
    assert "模拟" not in text


def test_every_page_says_which_of_how_many_it_is_and_repeats_the_heading() -> None:
    reader = read(samples.per_day(1, 144))
    count = len(reader.pages)
    assert count == 7
    for number, page in enumerate(reader.pages, 1):
        text = squeezed(page.extract_text())
        assert f"第{number}页共{count}页" in text
        if 2 <= number <= 6:
            assert "清扫时刻" in text


def test_a_wide_table_lies_across_and_the_rest_stands() -> None:
    def across(document: Document) -> list[bool]:
        return [page.mediabox.width > page.mediabox.height for page in read(document).pages]

    wide = samples.per_day(1, 3)
    assert across(wide) == [False, True, False]
    narrow = replace(
        wide,
        columns=(COLUMNS["street"], COLUMNS["frequency"]),
        rows=(("智慧巷", 2),),
        totals=None,
    )
    assert across(narrow) == [False, False, False]


def test_fonts_are_embedded_and_only_what_is_used_of_them() -> None:
    content = render(samples.per_day(1, 144), ".pdf")
    assert len(content) < 300_000
    fonts = set()
    for page in pypdf.PdfReader(io.BytesIO(content)).pages:
        resources: Any = page["/Resources"]
        for font in resources["/Font"].values():
            descendant = font.get_object()["/DescendantFonts"][0].get_object()
            assert "/FontFile2" in descendant["/FontDescriptor"].get_object()
            fonts.add(str(font.get_object()["/BaseFont"]))
    assert len(fonts) == 2
    assert all(re.match(r"/MPDFAA\+NotoSansSC|/[A-Z]{6}\+NotoSansSC", name) for name in fonts)


@pytest.mark.parametrize(
    ("file", "code", "least"),
    [("NotoSansSC-Regular.ttf", "gbk", 21_000), ("NotoSansSC-Bold.ttf", "gb2312", 6_763)],
)
def test_the_fonts_hold_chinese(file: str, code: str, least: int) -> None:
    cmap = letters(file)
    pairs = (bytes((high, low)) for high in range(0xB0, 0xF8) for low in range(0xA1, 0xFF))
    chinese = {ord(text) for pair in pairs if len(text := pair.decode("gb2312", "ignore")) == 1}
    assert len(chinese) == 6_763
    assert chinese <= cmap
    assert len([letter for letter in cmap if 0x4E00 <= letter < 0xA000]) >= min(least, 20_902), code
    assert (FONTS / file).stat().st_size < 8_000_000


def test_the_fonts_hold_all_that_terms_and_names_need() -> None:
    cmap = letters("NotoSansSC-Regular.ttf")
    text = "".join(term.zh + term.en + term.name_zh + term.name_en for term in terms.TERMS)
    text += "".join(street.name for street in samples.district().streets) + "〓…·–"
    assert {ord(letter) for letter in text} <= cmap


def test_a_letter_that_no_font_has_is_said_and_not_drawn_as_a_box() -> None:
    document = samples.per_day(1, 3)
    odd = replace(document, district="𠅤区", rows=(), totals=None)
    text = text_of(read(odd))
    assert "〓区" in text
    assert "U+20164" in text


def test_a_letter_that_only_the_regular_font_has_is_shown_in_a_bold_place() -> None:
    assert "堃镕区街道清扫保洁报告" in text_of(read(replace(samples.per_day(1, 3), district="堃镕区")))


def test_braces_in_a_name_are_not_the_number_of_pages() -> None:
    document = replace(samples.per_day(1, 3), scope="{nb} {0} 100 %d")
    assert "{nb} {0} 100 %d" in text_of(read(document))


def test_long_names_and_many_times_are_broken_and_cut() -> None:
    document = samples.per_day(1, 1)
    times = document.rows[0][13]
    assert isinstance(times, tuple)
    many = replace(
        document,
        district="很长的名字" * 40,
        columns=(COLUMNS["street"], COLUMNS["contractor"], COLUMNS["cleaned_at"]),
        rows=(("Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch" * 4, "乙" * 200, times * 2_000),),
        totals=None,
        excuses=(replace(document.excuses[0], reason="原因" * 300),),
        notes=("注" * 500,),
    )
    reader = read(many)
    assert len(reader.pages) < 8
    assert "CSV" in text_of(reader)
    inside(many)


def test_more_columns_than_paper_has_room_for_are_refused() -> None:
    document = samples.per_day(1, 1)
    wide = replace(
        document, columns=(COLUMNS["length_m"],) * 60, rows=((1234.5,) * 60,), totals=None, streets=()
    )
    with pytest.raises(
        ReportError, match=r"60 columns are too wide for paper; ask for fewer or write \.xlsx"
    ):
        render(wide, ".pdf")
    assert render(wide, ".xlsx")


def inside(document: Document) -> None:
    """Nothing but white lies in the outer margins of any page."""
    for page in pypdfium2.PdfDocument(render(document, ".pdf")):
        pixels = page.render(scale=1, grayscale=True).to_numpy()
        margin = int(paper.MARGIN_MM / 25.4 * 72) - 3
        assert pixels[:, :margin].min() == 255
        assert pixels[:, -margin:].min() == 255
        assert pixels[:20].min() == 255
        assert pixels[-20:].min() == 255


@pytest.mark.parametrize("language", ["zh", "en"])
def test_nothing_is_written_into_the_margins(language: Language) -> None:
    inside(samples.per_day(1, 144, language))
    inside(samples.per_month(1, language))


def test_streets_are_drawn_in_true_proportion_and_in_the_colour_of_their_verdict() -> None:
    # At 60 degrees north a degree of longitude is half as long: this square of degrees is a tall rectangle.
    corners = ((10.0, 60.0), (10.02, 60.0), (10.02, 60.02), (10.0, 60.02), (10.0, 60.0))
    street = MapStreet("X", "环路", (corners,), 1000.0, verdict="not swept")
    document = replace(samples.per_day(1, 3), streets=(street,), verdict_percent={}, synthetic=False)
    page = pypdfium2.PdfDocument(render(document, ".pdf"))[0]
    pixels = page.render(scale=2).to_numpy().astype(int)
    red = (abs(pixels - np.array([50, 30, 200])).sum(axis=2) < 30).nonzero()
    # The legend's line lies below the map's.
    rows, columns = red[0], red[1]
    on_map = columns > columns.min() + 60
    wide = columns[on_map].max() - columns[on_map].min()
    high = rows[on_map].max() - rows[on_map].min()
    assert wide / high == pytest.approx(0.5, abs=0.02)


def test_a_street_of_one_place_is_no_reason_to_fail() -> None:
    street = MapStreet("X", "点", (((10.0, 60.0), (10.0, 60.0)),), 0.0, verdict="open")
    assert read(replace(samples.per_day(1, 3), streets=(street,))).pages


def test_days_that_are_open_are_told_beside_the_verdicts() -> None:
    text = squeezed(text_of(read(samples.per_day(2, 5))))
    assert "100%=5个已结街道·日" in text
    assert "另有5个街道·日尚未结日" in text


def test_a_report_of_ten_thousand_rows_is_whole() -> None:
    document = samples.per_day(70, 143)
    reader = read(document)
    last = reader.pages[-1].extract_text()
    assert f"第 {len(reader.pages)} 页" in last
    days = re.findall(r"2026-\d\d-\d\d (?=ZQ)", "\n".join(page.extract_text() for page in reader.pages[-8:]))
    assert len(days) > 100
