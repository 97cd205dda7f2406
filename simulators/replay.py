"""Recordings as messages: CSV, GPX and NDJSON files read row by row, a bad row told and passed over.

Pure parsing: what the rows say is judged by the pipeline's decoder, live and offline alike, so a number that
is none goes through as the text it is. Only what can't be read as a row at all is a problem here.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from processing.era import checked_us
from processing.fix import EQUIPMENT, LEVELS
from processing.service_day import US, to_us
from simulators.channel import Delivery
from simulators.gpx import read_gpx

REQUIRED = ("unit", "time", "lon", "lat")
NUMBERS = ("lon", "lat", "speed_kmh", "heading_deg", "accuracy_m", *LEVELS)
INTEGERS = ("satellites", "seq")
STATES = {"0": False, "1": True, "false": False, "true": True, "off": False, "on": True}
# What pandas makes of a column with empty cells.
STATES |= {"0.0": False, "1.0": True}
#: Columns that the device contract knows, and what `analyze` takes besides.
KNOWN = frozenset({*REQUIRED, *NUMBERS, *INTEGERS, *EQUIPMENT, *LEVELS, "historical", "received_at"})
NUMERAL = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", re.ASCII)
LEAP_SECOND = re.compile(r"(?<=T\d\d:\d\d):60")
US_PER_MS = 1_000
UNIT_BYTES_MAX = 200
DETAIL_MAX = 100
#: A longer line is no row; a cell goes on over at most so many more lines.
LINE_CHARS_MAX, MORE_LINES_MAX = 1 << 17, 8

#: Line number, unit, and the row's payload or what is wrong with the row.
Row = tuple[int, str, dict[str, Any] | str]


class RecordingError(ValueError):
    """A file that is no recording at all; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that can't be played."""

    line: int
    detail: str


@dataclass(frozen=True, slots=True)
class Recording:
    """What a file holds: messages in order of time, and the rows that aren't among them."""

    deliveries: tuple[Delivery, ...]
    problems: tuple[Problem, ...]
    units: tuple[str, ...]


def read_csv(source: Path | str) -> Iterator[Row]:
    """Rows of a CSV file (a Path) or text (a str): line number, unit, and payload or problem.

    Columns unit, time, lon and lat must be there; empty cells are unknown. Equipment columns go into
    `equipment`; columns that the device contract doesn't know are kept as they are, `received_at` too.
    """
    return (row for row, _ in csv_rows(source))


def csv_rows(source: Path | str) -> Iterator[tuple[Row, str]]:
    """The rows of `read_csv`, each with its text as it stands in the file."""
    with _opened(source) as file:
        rows = split_rows(file)
        first = next(rows, (0, "", []))[2]
        if isinstance(first, str):
            raise RecordingError(f"{_name(source)}: its first line is {first}; it must name the columns")
        header = [cell.strip() for cell in first]
        missing = [name for name in REQUIRED if name not in header]
        if missing:
            raise RecordingError(
                f"{_name(source)} has no column {', '.join(missing)}; its first line must name them"
            )
        if len(set(header)) < len(header):
            raise RecordingError(f"{_name(source)} names a column twice; rename one")
        for line, text, cells in rows:
            if isinstance(cells, str):
                yield (line, "", cells), text
            elif not any(cell.strip() for cell in cells):
                continue
            elif len(cells) != len(header):
                yield (line, "", f"{len(cells)} cells under {len(header)} columns"), text
            else:
                named = dict(zip(header, (cell.strip() for cell in cells), strict=True))
                yield _row(line, named), text


def read_ndjson(source: Path | str) -> Iterator[Row]:
    """Rows of NDJSON: contract objects with a `unit`, or lines {"topic": ..., "payload": ...}.

    The payload of a topic's line may be an object, an array or a text of JSON.
    """
    with _opened(source) as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                value = json.loads(text)
            except (ValueError, RecursionError) as error:
                yield line, "", f"not JSON ({str(error)[:DETAIL_MAX]})"
                continue
            yield from _objects(line, value)


def read_reports(path: Path) -> Iterator[Row]:
    """Rows of a recording by its name's ending: .csv, .gpx, .ndjson or .jsonl."""
    readers = {".csv": read_csv, ".ndjson": read_ndjson, ".jsonl": read_ndjson, ".gpx": _gpx}
    if path.suffix.lower() not in readers:
        raise RecordingError(f"{path} is neither .csv, .gpx nor .ndjson; convert or rename it")
    return readers[path.suffix.lower()](path)


def recording(rows: Iterable[Row], district_id: str) -> Recording:
    """Messages in order of time, each unit's numbered by `seq`; one report a message."""
    placed: list[tuple[int, int, str, dict[str, Any]]] = []
    problems: list[Problem] = []
    for line, unit, payload in rows:
        if isinstance(payload, str):
            problems.append(Problem(line, payload))
            continue
        name = "received_at" if "received_at" in payload else "time"
        try:
            moment_us = moment(payload.get(name))
        except ValueError as error:
            problems.append(Problem(line, f"{name} {str(payload.get(name))[:DETAIL_MAX]!r} {error}"))
            continue
        payload.pop("received_at", None)
        placed.append((moment_us, line, unit, payload))
    placed.sort(key=lambda row: row[:3])
    last: dict[str, int] = {}
    deliveries = []
    for moment_us, line, unit, payload in placed:
        try:
            body = _json({**payload, "seq": last.get(unit, 0) + 1})
        except RecursionError:
            problems.append(Problem(line, "it is nested too deeply"))
            continue
        last[unit] = last.get(unit, 0) + 1
        kind = "fix" if "lon" in payload or "lat" in payload else "equipment"
        topic = f"swept/v1/{district_id}/{unit}/{kind}"
        deliveries.append(Delivery(moment_us, unit, topic, body, last[unit]))
    problems.sort(key=lambda problem: problem.line)
    return Recording(tuple(deliveries), tuple(problems), tuple(sorted(last)))


def moment(value: object) -> int:
    """Microseconds of RFC 3339 with a zone or of epoch milliseconds; ValueError says what is wrong."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if isinstance(value, float) and not math.isfinite(value * US_PER_MS):
            raise ValueError("is no time; write RFC 3339 with a zone, or milliseconds since 1970")
        return checked_us(round(value * US_PER_MS))
    if not isinstance(value, str):
        raise ValueError("is missing")  # noqa: TRY004 - one kind of error for one bad value
    text = value.strip().upper()
    leap = LEAP_SECOND.search(text)
    try:
        parsed = datetime.fromisoformat(LEAP_SECOND.sub(":59", text))
    except ValueError:
        raise ValueError("is no time; write it like 2026-06-01T06:00:05+08:00") from None
    if parsed.tzinfo is None:
        raise ValueError("has no zone; write it like 2026-06-01T06:00:05+08:00")
    return checked_us(to_us(parsed) + (US if leap else 0))


def _json(payload: Mapping[str, Any]) -> bytes:
    """JSON as a device writes it; half a surrogate pair can't be UTF-8 and stays escaped."""
    try:
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(payload, separators=(",", ":")).encode()


def _gpx(source: Path | str) -> Iterator[Row]:
    with _opened(source) as file:
        yield from read_gpx(file.read())


@contextmanager
def _opened(source: Path | str) -> Iterator[TextIO]:
    if isinstance(source, str):
        yield io.StringIO(source, newline="")
        return
    try:
        with source.open(newline="", encoding="utf-8-sig") as file:
            yield file
    except UnicodeDecodeError:
        # Guessed at, two vehicles' names might become one.
        line = _first_line_not_utf8(source)
        raise RecordingError(f"{source}:{line} is not UTF-8; save the file as UTF-8 (CSV UTF-8)") from None


def _first_line_not_utf8(path: Path) -> int:
    number = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):  # noqa: B007 - the last one is told
            try:
                line.decode()
            except UnicodeDecodeError:
                break
    return number


def _name(source: Path | str) -> str:
    return str(source) if isinstance(source, Path) else "the text"


def split_rows(file: TextIO) -> Iterator[tuple[int, str, list[str] | str]]:
    """First line's number, text, and cells of each row of a CSV; for cells that can't be read, why not.

    A row ends with its line. Where a quote is left open it goes on, for a few lines, to the one that closes
    it, if that makes a row in which only a column unknown to us holds a line's end: so a stray quote costs
    its own row and no other.
    """
    lines = _lines(file)
    ahead: deque[tuple[int, str]] = deque()
    header: list[str] | None = None
    while (line := ahead.popleft() if ahead else next(lines, None)) is not None:
        number, text = line
        cells, more = _cells(text), 0
        whole = text
        while cells is None and more < MORE_LINES_MAX:
            if more == len(ahead):
                following = next(lines, None)
                if following is None:
                    break
                ahead.append(following)
            whole += ahead[more][1]
            more += 1
            cells = _cells(whole)
        if more and isinstance(cells, list) and _fits(header, cells):
            text = whole
            for _ in range(more):
                ahead.popleft()
        elif more or cells is None:
            cells = "not a CSV row (a quote is left open)"
        header = header or (cells if isinstance(cells, list) else None)
        yield number, text.rstrip("\r\n"), cells


def _lines(file: TextIO) -> Iterator[tuple[int, str]]:
    """Numbered lines; of one that is too long the first part, which `_cells` refuses."""
    number = 0
    while text := file.readline(LINE_CHARS_MAX):
        number += 1
        yield number, text
        while len(text) == LINE_CHARS_MAX and not text.endswith(("\n", "\r")):
            text = file.readline(LINE_CHARS_MAX)


def _cells(text: str) -> list[str] | str | None:
    """The cells of a row, what is wrong with it, or None where a quote is left open."""
    if len(text) >= LINE_CHARS_MAX:
        return f"not a CSV row (over {LINE_CHARS_MAX - 1:,} characters)"
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        return None if str(error) == "unexpected end of data" else f"not a CSV row ({error})"


def _fits(header: list[str] | None, cells: list[str]) -> bool:
    if header is None or len(cells) != len(header):
        return False
    broken = {name.strip() for name, cell in zip(header, cells, strict=True) if "\n" in cell or "\r" in cell}
    return not broken & KNOWN


def _row(line: int, cells: dict[str, str]) -> Row:
    unit = cells.pop("unit")
    if not _is_unit(unit):
        return (
            line,
            unit,
            f"unit {unit[:40]!r} can't be part of an MQTT topic; write 1 to {UNIT_BYTES_MAX} bytes without / + #",
        )
    payload: dict[str, Any] = {}
    equipment: dict[str, Any] = {}
    for name, text in cells.items():
        if not text:
            continue
        if name in EQUIPMENT:
            equipment[name] = STATES.get(text.lower(), text)
        elif name in LEVELS:
            equipment[name] = _number(text)
        else:
            payload[name] = _value(name, text)
    if equipment:
        payload["equipment"] = equipment
    return line, unit, payload


def _value(name: str, text: str) -> object:
    if name in NUMBERS:
        return _number(text)
    if name in INTEGERS:
        return _integer(text)
    if name in {"time", "received_at"} and NUMERAL.fullmatch(text):
        number = _integer(text)
        return number if isinstance(number, int) else _number(text)
    if name == "historical":
        return STATES.get(text.lower(), text)
    return text


def _integer(text: str) -> int | str:
    """The whole number in a text, 14.0 too; the text itself where there is none, for the decoder to refuse."""
    value = _number(text)
    if isinstance(value, str) or not value.is_integer() or abs(value) >= 2**63:
        return text
    return int(text) if text.isascii() and text.isdigit() else int(value)


def _number(text: str) -> float | str:
    """The number in a text; the text itself where there is none, for the decoder to refuse."""
    try:
        value = float(text)
    except ValueError:
        return text
    return value if abs(value) < 1e300 else text  # NaN and infinity are no JSON


def _objects(line: int, value: object) -> Iterator[Row]:
    """The reports of one line of NDJSON."""
    if not isinstance(value, dict):
        yield line, "", "not an object"
        return
    if "topic" not in value:
        unit = value.pop("unit", "")
        known = isinstance(unit, str) and _is_unit(unit)
        yield (line, unit, value) if known else (line, "", "no unit")
        return
    levels = str(value["topic"]).split("/")
    if len(levels) < 3 or levels[-1] not in {"fix", "equipment"} or not _is_unit(levels[-2]):
        yield line, "", f"topic {str(value['topic'])[:DETAIL_MAX]!r} is not that of a fix or of equipment"
        return
    payload = value.get("payload")
    try:
        payload = json.loads(payload) if isinstance(payload, str) else payload
    except (ValueError, RecursionError) as error:
        yield line, levels[-2], f"payload is not JSON ({str(error)[:DETAIL_MAX]})"
        return
    for part in payload if isinstance(payload, list) else [payload]:
        yield line, levels[-2], part if isinstance(part, dict) else "payload is not an object"


def _is_unit(unit: str) -> bool:
    if not unit or set(unit) & set("/+#\0"):
        return False
    try:
        return len(unit.encode()) <= UNIT_BYTES_MAX
    except UnicodeEncodeError:
        return False
