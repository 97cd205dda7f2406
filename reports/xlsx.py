"""A workbook for people: cover (what it is of, verdicts, definitions, versions, digests), data, units, excuses.

Cells are typed. Text is always text, whatever it begins with. A spreadsheet's times have no zone: they are
the district's wall clock, and as text with the offset where that clock shows a time twice.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from reports import shown, words
from reports.columns import COLUMNS
from reports.document import VERDICTS, Cell, Column, Document

_TEXT_MAX = 32_767
_WIDTH_MAX = 48
_NUMBER_FORMATS = {
    "int": "#,##0",
    "number": "0.00",
    "share": "0.0%",
    "percent": '0" %"',
    "metres": "#,##0.0",
    "km": "#,##0.00",
    "minutes": "#,##0",
    "hours": "#,##0.0",
    "date": "yyyy-mm-dd",
    "time": "yyyy-mm-dd hh:mm:ss",
    "times": "@",
    "text": "@",
    "verdict": "@",
    "work": "@",
}
_UNIT_COLUMNS = tuple(
    COLUMNS[key] for key in ("unit_id", "unit", "driven_km", "working_km", "work_share", "working_hours")
)
_EXCUSE_COLUMNS = (
    COLUMNS["street_id"],
    COLUMNS["street"],
    COLUMNS["first_day"],
    COLUMNS["last_day"],
    Column("kind", "verdict", "事由", "Kind"),
    Column("reason", "text", "原因", "Reason"),
    Column("author", "text", "登记人", "Author"),
)


def render(document: Document) -> bytes:
    """The file's bytes; the same document gives the same bytes."""
    out = io.BytesIO()
    # Formulas and links are never made of what somebody typed.
    book = xlsxwriter.Workbook(
        out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    sheets = _Sheets(book, document)
    sheets.cover()
    sheets.table("data", document.columns, document.rows, document.totals)
    units = [
        (unit.unit_id, unit.name, unit.driven_km, unit.working_km, unit.work_share, unit.working_hours)
        for unit in document.units
    ]
    sheets.table("units", _UNIT_COLUMNS, units)
    excuses = [
        (note.street_id, note.street, note.first_day, note.last_day, note.kind, note.reason, note.author)
        for note in document.excuses
    ]
    sheets.table("excuses", _EXCUSE_COLUMNS, excuses)
    made_at = shown.local(document.made_at, document.timezone).replace(tzinfo=None)
    book.set_properties({"title": words.title(document), "created": made_at})
    book.close()
    return out.getvalue()


class _Sheets:
    """The sheets of a workbook, and the formats they share."""

    def __init__(self, book: xlsxwriter.Workbook, document: Document) -> None:
        self.book, self.document, self.language = book, document, document.language
        base = {"font_name": "Microsoft YaHei" if document.language == "zh" else "Arial", "font_size": 10}
        self.base = base
        self.title = book.add_format({**base, "bold": True, "font_size": 18})
        self.section = book.add_format({**base, "bold": True, "font_size": 12, "bottom": 1})
        self.label = book.add_format({**base, "font_color": "#5b6470", "valign": "top"})
        self.text = book.add_format({**base, "text_wrap": True, "valign": "top", "align": "left"})
        self.warning = book.add_format({**base, "bold": True, "font_color": "#c81e32", "text_wrap": True})
        self.code = book.add_format({**base, "font_name": "Consolas", "font_size": 9})
        self.heading = book.add_format(
            {**base, "bold": True, "bg_color": "#e8edf2", "bottom": 1, "text_wrap": True, "valign": "vcenter"}
        )
        self.formats = {kind: self._format(kind) for kind in _NUMBER_FORMATS}
        self.total_formats = {kind: self._format(kind, bold=True, top=1) for kind in _NUMBER_FORMATS}

    def _format(self, kind: str, **more: object) -> Format:
        align = "right" if kind in shown.NUMERIC else "left"
        return self.book.add_format(
            {**self.base, "num_format": _NUMBER_FORMATS[kind], "align": align, "valign": "top", **more}
        )

    def say(self, word: str) -> str:
        return words.say(word, self.language)

    def cover(self) -> None:
        """What the report is of, its verdicts, and all that its figures rest on."""
        document, sheet = self.document, self.book.add_worksheet(self.say("cover"))
        sheet.hide_gridlines(2)
        sheet.set_column(0, 0, 24)
        sheet.set_column(1, 1, 96)
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.set_row(0, 30)
        sheet.write_string(0, 0, words.title(document), self.title)
        row = 1
        if document.synthetic:
            sheet.write_string(row, 0, self.say("synthetic"), self._no_wrap_warning())
            row += 1
        row = self._pairs(sheet, row + 1, "", shown.facts(document))
        row = self._pairs(sheet, row, "summary", self._verdicts())
        terms = [(term.name(self.language), term.meaning(self.language)) for term in document.definitions]
        terms.insert(0, ("", words.sections(document)))
        row = self._pairs(sheet, row, "definitions", terms)
        row = self._pairs(sheet, row, "versions", self._versions())
        row = self._pairs(sheet, row, "digests", self._digests(), self.code)

    def _no_wrap_warning(self) -> Format:
        return self.book.add_format({**self.base, "bold": True, "font_color": "#c81e32"})

    def _pairs(
        self,
        sheet: Worksheet,
        row: int,
        title: str,
        pairs: Iterable[tuple[str, str]],
        form: Format | None = None,
    ) -> int:
        """Labels and values below a title; returns the row after the blank one that follows."""
        if title:
            sheet.write_string(row, 0, self.say(title), self.section)
            sheet.write_blank(row, 1, None, self.section)
            row += 1
        for label, value in pairs:
            sheet.write_string(row, 0, shown.plain(label)[:_TEXT_MAX], self.label)
            sheet.write_string(row, 1, shown.plain(value)[:_TEXT_MAX], form or self.text)
            lines = -(-_width(value) // 92)
            if lines > 1:
                sheet.set_row(row, 15 * lines)
            row += 1
        return row + 1

    def _verdicts(self) -> list[tuple[str, str]]:
        document = self.document
        rows = [
            (self.say(verdict), f"{document.verdict_percent[verdict]:g} %")
            for verdict in VERDICTS
            if verdict in document.verdict_percent
        ] or [("", self.say("no_verdicts"))]
        closed = document.street_days - document.open_days
        rows.append(("", self.say("of_closed").format(f"{closed:,}")))
        if document.open_days:
            rows.append(("", self.say("open_days").format(f"{document.open_days:,}")))
        return [*rows, *(("", note) for note in document.notes)]

    def _versions(self) -> list[tuple[str, str]]:
        document = self.document
        kinds = (("rule_version", document.rule_versions), ("map_version", document.map_versions))
        rows = [
            (self.say(kind), f"{version.version}   {shown.used(version, self.language)}")
            for kind, versions in kinds
            for version in versions
        ]
        return rows or [("", self.say("no_versions"))]

    def _digests(self) -> list[tuple[str, str]]:
        document = self.document
        rows = [("", self.say("digests_say"))]
        rows += [
            (day.service_day.isoformat(), day.digest or self.say("not_closed")) for day in document.digests
        ]
        if not document.digests:
            rows.append(("", self.say("not_closed")))
        if document.public_key:
            rows.append((self.say("public_key"), document.public_key))
        return rows

    def table(
        self,
        name: str,
        columns: Sequence[Column],
        rows: Sequence[Sequence[Cell]],
        totals: Sequence[Cell] | None = None,
    ) -> None:
        """A sheet of typed cells under a frozen heading that filters."""
        sheet = self.book.add_worksheet(self.say(name))
        sheet.freeze_panes(1, 0)
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(0)
        sheet.set_row(0, 30)
        for number, column in enumerate(columns):
            sheet.write_string(0, number, column.heading(self.language), self.heading)
            sheet.set_column(number, number, self._column_width(column, number, rows))
        for line, row in enumerate(rows, 1):
            day = shown.row_day(tuple(row), tuple(columns), self.document)
            for number, (value, column) in enumerate(zip(row, columns, strict=True)):
                self._write(sheet, line, number, value, column, self.formats[column.kind], day)
        if rows:
            sheet.autofilter(0, 0, len(rows), len(columns) - 1)
        if totals is not None:
            for number, (value, column) in enumerate(zip(totals, columns, strict=True)):
                form = self.total_formats[column.kind]
                self._write(sheet, len(rows) + 1, number, value, column, form, None)
            if totals[0] is None:
                sheet.write_string(len(rows) + 1, 0, self.say("totals"), self.total_formats["text"])

    def _column_width(self, column: Column, number: int, rows: Sequence[Sequence[Cell]]) -> int:
        # A sample will do: a cell that is wider shows on a click.
        some = (shown.cell(row[number], column, self.document) for row in rows[:500])
        widest = max(map(_width, some), default=0)
        # The arrow of the filter needs room beside the heading.
        return min(max(widest, min(_width(column.heading(self.language)), 16) + 2, 8) + 2, _WIDTH_MAX)

    def _write(
        self,
        sheet: Worksheet,
        line: int,
        number: int,
        value: Cell,
        column: Column,
        form: Format,
        day: date | None,
    ) -> None:
        if value is None:
            sheet.write_blank(line, number, None, form)
        elif isinstance(value, datetime) and not shown.is_repeated(
            local := shown.local(value, self.document.timezone)
        ):
            sheet.write_datetime(line, number, local.replace(tzinfo=None), form)
        elif isinstance(value, date) and not isinstance(value, datetime):
            sheet.write_datetime(line, number, datetime.combine(value, time()), form)
        elif isinstance(value, int | float):
            sheet.write_number(line, number, value, form)
        else:
            text = shown.cell(value, column, self.document, day)
            sheet.write_string(line, number, _cut(text), form)


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else f"{text[: _TEXT_MAX - 1]}…"


def _width(text: str) -> int:
    """Width in the letters of a spreadsheet; Chinese ones are twice as wide."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
