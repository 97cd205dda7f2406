"""A4 pages to write on: fonts, text that fits, headings, tables with repeated heads, and the foot of each page.

Lengths are millimetres from the upper left corner, sizes of letters are points. Text is measured with the
font's own widths, and whatever is too wide is broken into lines, whatever is too long is cut with '…'.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

from fpdf import FPDF
from fpdf.fonts import TTFFont

from reports import words
from reports.breaking import chopped, pieces_of, shared
from reports.document import Language
from reports.shown import plain

Rgb = tuple[int, int, int]
INK, GREY, RULE, BAND, RED = (28, 33, 40), (96, 104, 114), (190, 196, 203), (238, 241, 245), (178, 24, 43)
MARGIN_MM = 16.0
FOOT_MM = 18.0
_FONTS = Path(__file__).parent / "fonts"
_MM_PER_PT = 25.4 / 72
_LEADING = 1.38
_CELL_LINES_MAX = 12
_PAD = 0.62  # of the letters' height, on each side of a cell
_SIZE_MIN = 5.0
_HEAD_MM = 15.0
_NEED_MM = 22.0
#: Stands for a letter that neither font has.
GETA = "〓"


@dataclass(frozen=True, slots=True)
class PaperColumn:
    """A column on paper: its heading, on which side its text stands, and whether it may be broken."""

    heading: str
    right: bool = False
    breaks: bool = False


class Paper(FPDF):
    """Pages, and where the next thing goes (`y`)."""

    def __init__(self, language: Language, foot: str) -> None:
        super().__init__(unit="mm", format="A4")
        self.language, self.foot = language, foot
        self.set_auto_page_break(auto=False)
        self.set_margin(MARGIN_MM)
        self.c_margin = 0.0
        self.add_font("swept", "", _FONTS / "NotoSansSC-Regular.ttf")
        self.add_font("swept", "B", _FONTS / "NotoSansSC-Bold.ttf")
        self.faces = {style: self._face(style) for style in ("", "B")}
        self.missing: set[str] = set()
        self.is_cut = False
        self.measure = lru_cache(maxsize=65_536)(self._measure)
        self.fitting = lru_cache(maxsize=65_536)(self._fitting)

    def _face(self, style: str) -> TTFFont:
        face = self.fonts[f"swept{style}"]
        assert isinstance(face, TTFFont)
        return face

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for face in self.faces.values():
            face.close()

    # Pages

    @property
    def right(self) -> float:
        """The right edge of what is written."""
        return float(self.w) - MARGIN_MM

    @property
    def width(self) -> float:
        """The width of what is written."""
        return float(self.w) - 2 * MARGIN_MM

    @property
    def bottom(self) -> float:
        """Where the foot begins."""
        return float(self.h) - FOOT_MM

    def footer(self) -> None:
        """What the report is, and which page of how many; the number of pages is known at the end."""
        y = self.h - 10
        self.rule(y - 4.5)
        foot = self.fitting(self.foot, self.width - 40, 7, "")
        self.line_of(foot[0] + ("…" if len(foot) > 1 else ""), MARGIN_MM, y, 7, colour=GREY)
        pages = words.say("page", self.language).format(self.page_no(), self.str_alias_nb_pages)
        room = self.measure(pages.replace(str(self.str_alias_nb_pages), "000"), 7, "")
        # Only a cell puts the number in; its base line is 0.3 of the letters' height below its middle.
        self.set_xy(self.right - room, y - 0.3 * 7 * _MM_PER_PT)
        self.cell(w=room, h=0, text=pages)

    def room(self, height: float) -> None:
        """Begins a page where less than this height is left."""
        if self.y + height > self.bottom:
            self.turn()

    def turn(self, orientation: Literal["portrait", "landscape"] | None = None) -> None:
        """Begins a page; as the one before where nothing is said."""
        self.add_page(orientation=orientation or ("landscape" if self.w > self.h else "portrait"))
        self.y = MARGIN_MM

    def rule(self, y: float, width: float = 0.2, colour: Rgb = RULE) -> None:
        """A line over the width."""
        self.set_draw_color(*colour)
        self.set_line_width(width)
        self.line(MARGIN_MM, y, self.right, y)

    # Text

    def known(self, text: str) -> str:
        """The text as the fonts can show it."""
        cmap = self.faces[""].cmap
        lacking = {letter for letter in text if ord(letter) not in cmap and letter not in "{}"}
        if lacking:
            self.missing |= lacking
            text = "".join(GETA if letter in lacking else letter for letter in text)
        return text

    def _style(self, text: str, style: str) -> str:
        """Bold where the bold font has all of the text."""
        return style if style and all(ord(letter) in self.faces[style].cmap for letter in text) else ""

    def _measure(self, text: str, size: float, style: str) -> float:
        widths = self.faces[self._style(text, style)].cw
        return sum(widths[ord(letter)] for letter in text) * size * _MM_PER_PT / 1000

    def line_of(self, text: str, x: float, y: float, size: float, style: str = "", colour: Rgb = INK) -> None:
        """One line of text whose base line is at y."""
        text = self.known(text)
        self.set_font("swept", self._style(text, style), size)
        self.set_text_color(*colour)
        self.text(x, y, text)

    def _fitting(self, text: str, width: float, size: float, style: str = "") -> tuple[str, ...]:
        """Lines no wider than the width; broken at spaces, and between Chinese letters."""
        text = self.known(text)
        if self.measure(text, size, style) <= width:
            return (text,)
        face = self.faces[self._style(text, style)].cw
        scale = size * _MM_PER_PT / 1000
        lines, line, used = [], "", 0.0
        for word in pieces_of(text):
            room = sum(face[ord(letter)] for letter in word.rstrip()) * scale
            if line and used + room > width:
                lines.append(line.rstrip())
                line, used = "", 0.0
            if room > width:
                *full, word = chopped(word, width / scale, face)  # noqa: PLW2901 - the rest of the word
                lines += full
            line += word
            used += sum(face[ord(letter)] for letter in word) * scale
        return (*lines, line.rstrip())

    def paragraph(
        self,
        text: str,
        size: float = 8.5,
        style: str = "",
        colour: Rgb = INK,
        x: float = MARGIN_MM,
        width: float = 0.0,
    ) -> None:
        """Lines of text from y on; y is below them afterwards."""
        height = size * _MM_PER_PT * _LEADING
        for line in self.fitting(plain(text), width or self.right - x, size, style):
            self.room(height)
            self.line_of(line, x, self.y + height * 0.76, size, style, colour)
            self.y += height

    def section(self, text: str, least: float = 24.0) -> None:
        """A heading that has at least that much room below it."""
        self.room(least)
        if self.y > MARGIN_MM:
            self.y += 4.0
        self.line_of(text, MARGIN_MM, self.y + 4.2, 11, "B")
        self.y += 6.0
        self.rule(self.y, 0.35, INK)
        self.y += 2.2

    # Tables

    def widths_of(
        self, columns: Sequence[PaperColumn], rows: Iterable[Sequence[str]], size: float
    ) -> tuple[list[float], list[float]]:
        """Of each column, the width it would like to have and the one it needs at least."""
        texts: list[set[str]] = [set() for _ in columns]
        for row in rows:
            for some, text in zip(texts, row, strict=True):
                some.add(text)
        likes, needs, pad = [], [], _pad(size)
        for column, some in zip(columns, texts, strict=True):
            head = self._head_width(column.heading, size)
            wide = max((self.measure(self.known(text), size, "") for text in some), default=0.0)
            likes.append(max(wide, head) + 2 * pad)
            needs.append(max(min(wide, _NEED_MM) if column.breaks else wide, head) + 2 * pad)
        return likes, needs

    def _head_width(self, heading: str, size: float) -> float:
        """A heading that isn't short takes two lines, as even as can be."""
        whole = self.measure(heading, size, "B")
        if whole <= _HEAD_MM:
            return whole
        parts = pieces_of(heading)
        halves = (("".join(parts[:cut]).rstrip(), "".join(parts[cut:])) for cut in range(1, len(parts)))
        even = min((max(self.measure(half, size, "B") for half in two) for two in halves), default=whole)
        return even + 0.05

    def size_of(
        self, columns: Sequence[PaperColumn], rows: Sequence[Sequence[str]], size: float
    ) -> float | None:
        """The size of letters, at most the one given, at which the columns get what they need; None: too many."""
        while sum(self.widths_of(columns, rows, size)[1]) > self.width:
            size -= 0.25
            if size < _SIZE_MIN:
                return None
        return size

    def grid(
        self,
        columns: Sequence[PaperColumn],
        rows: Sequence[Sequence[str]],
        size: float,
        *,
        bold_last: bool = False,
    ) -> None:
        """A table over the width whose head is repeated on each page."""
        widths = shared(*self.widths_of(columns, rows, size), self.width)
        self._head(columns, widths, size)
        for number, row in enumerate(rows):
            style = "B" if bold_last and number == len(rows) - 1 else ""
            self._row(columns, widths, row, size, style, band=number % 2 == 1)
        self.rule(self.y, 0.35, INK)
        self.y += 2.0

    def _head(self, columns: Sequence[PaperColumn], widths: Sequence[float], size: float) -> None:
        cells = [
            self.fitting(column.heading, width - 2 * _pad(size), size, "B")
            for column, width in zip(columns, widths, strict=True)
        ]
        height = max(map(len, cells)) * size * _MM_PER_PT * _LEADING + 2.0
        self.set_fill_color(*BAND)
        self.rect(MARGIN_MM, self.y, sum(widths), height, style="F")
        self._cells(columns, widths, cells, size, "B")
        self.y += height
        self.rule(self.y, 0.35, INK)

    def _row(
        self,
        columns: Sequence[PaperColumn],
        widths: Sequence[float],
        row: Sequence[str],
        size: float,
        style: str,
        *,
        band: bool,
    ) -> None:
        cells = [
            self._short(self.fitting(text, width - 2 * _pad(size), size, style))
            for text, width in zip(row, widths, strict=True)
        ]
        height = max(map(len, cells)) * size * _MM_PER_PT * _LEADING + 1.2
        if self.y + height > self.bottom:
            self.rule(self.y, 0.35, INK)
            self.turn()
            self._head(columns, widths, size)
        if band:
            self.set_fill_color(248, 249, 251)
            self.rect(MARGIN_MM, self.y, sum(widths), height, style="F")
        if style:
            self.rule(self.y, 0.35, INK)
        self._cells(columns, widths, cells, size, style)
        self.y += height

    def _short(self, lines: tuple[str, ...]) -> tuple[str, ...]:
        if len(lines) <= _CELL_LINES_MAX:
            return lines
        self.is_cut = True
        last = lines[_CELL_LINES_MAX - 1]
        # Never half of a number.
        kept = last.rpartition(" ")[0] or last[:-1]
        return (*lines[: _CELL_LINES_MAX - 1], f"{kept} …")

    def _cells(
        self,
        columns: Sequence[PaperColumn],
        widths: Sequence[float],
        cells: Sequence[tuple[str, ...]],
        size: float,
        style: str,
    ) -> None:
        x, leading = MARGIN_MM, size * _MM_PER_PT * _LEADING
        for column, width, lines in zip(columns, widths, cells, strict=True):
            y = self.y + leading * 0.76 + 0.6
            for line in lines:
                left = x + _pad(size)
                if column.right:
                    left = x + width - _pad(size) - self.measure(line, size, style)
                if line:
                    self.line_of(line, left, y, size, style)
                y += leading
            x += width


def _pad(size: float) -> float:
    return _PAD * size * _MM_PER_PT
