"""The table as CSV (RFC 4180) for programs: UTF-8 with a mark that spreadsheets know it by, keys as headings.

Moments are ISO 8601 in the district's zone with their offset. A text that a spreadsheet would take for a
formula gets an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
from datetime import date, datetime

from reports import shown
from reports.document import Cell, Document


def render(document: Document) -> bytes:
    """The file's bytes: a line of keys, then the rows; totals, which anybody can add up, are left out."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([column.key for column in document.columns])
    for row in document.rows:
        writer.writerow([_text(value, document.timezone) for value in row])
    return out.getvalue().encode("utf-8-sig", "replace")


def _text(value: Cell, timezone: str) -> str | float:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return " ".join(str(_text(moment, timezone)) for moment in value)
    if isinstance(value, datetime):
        return shown.local(value, timezone).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        text = shown.plain(value)
        return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
    return value
