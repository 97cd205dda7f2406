"""Writes a document into a file, whose ending says the format. A file is there whole or not at all."""

from __future__ import annotations

import importlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

from reports.document import Document

#: Ending -> the module that renders it; xlsxwriter and fpdf2 are heavy, so each is loaded when it is asked for.
FORMATS = {
    ".csv": "reports.csv",
    ".geojson": "reports.geojson",
    ".pdf": "reports.pdf",
    ".xlsx": "reports.xlsx",
}
#: More on paper nobody reads; a workbook of 200,000 rows took 44 s and 700 MB to make.
ROWS_MAX = {".pdf": 20_000, ".xlsx": 100_000}


class ReportError(Exception):
    """A report that can't be made as asked; the message is one line and says what to do."""


def suffix_of(path: Path) -> str:
    """The format that a file's name asks for; `ReportError` where there is none."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        endings = ", ".join(FORMATS)
        raise ReportError(f"{path}: no such format; end the file's name in one of {endings}")
    return suffix


def render(document: Document, suffix: str) -> bytes:
    """The bytes of a format, named by its ending."""
    rows_max = ROWS_MAX.get(suffix)
    if rows_max is not None and len(document.rows) > rows_max:
        raise ReportError(
            f"{len(document.rows):,} rows are too many for {suffix} (at most {rows_max:,}); "
            "take a shorter period, group by week or month, or write .csv"
        )
    content = importlib.import_module(FORMATS[suffix]).render(document)
    assert isinstance(content, bytes)
    return content


def write(document: Document, path: Path) -> None:
    """Writes the report; `ReportError` for what can't be made, OSError for what can't be written.

    The content goes into a file beside it first, which then takes its place: whatever was there stays until
    the new one is whole and on disk.
    """
    content = render(document, suffix_of(path))
    # As long as a name may be, and nobody else's.
    part = path.with_name(f".{path.name[:60]}.{secrets.token_hex(8)}")
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
