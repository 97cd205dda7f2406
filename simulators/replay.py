"""Recordings as messages: CSV, GPX and NDJSON files read row by row, a bad row told and passed over.

Pure parsing: what the rows say is judged by the pipeline's decoder, live and offline alike, so a number that
is none goes through as the text it is. Only what can't be read as a row at all is a problem here.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from processing.fix import EQUIPMENT, LEVELS
from processing.service_day import to_us
from simulators.channel import Delivery
from simulators.gpx import read_gpx

REQUIRED = ("unit", "time", "lon", "lat")
NUMBERS = ("lon", "lat", "speed_kmh", "heading_deg", "accuracy_m", *LEVELS)
INTEGERS = ("satellites", "seq")
STATES = {"0": False, "1": True, "false": False, "true": True, "off": False, "on": True}

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
    with _opened(source) as file:
        reader = csv.reader(file, strict=True)
        header = [cell.strip() for cell in next(_rows(reader), (0, []))[1]]
        missing = [name for name in REQUIRED if name not in header]
        if missing:
            raise RecordingError(
                f"{_name(source)} has no column {', '.join(missing)}; its first line must name them"
            )
        if len(set(header)) < len(header):
            raise RecordingError(f"{_name(source)} names a column twice; rename one")
        for line, cells in _rows(reader):
            if isinstance(cells, str):
                yield line, "", cells
            elif not any(cell.strip() for cell in cells):
                continue
            elif len(cells) != len(header):
                yield line, "", f"{len(cells)} cells under {len(header)} columns"
            else:
                yield _row(line, dict(zip(header, (cell.strip() for cell in cells), strict=True)))


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
                yield line, "", f"not JSON ({error})"
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
        try:
            moment_us = moment(payload.get("received_at", payload.get("time")))
        except (ValueError, OverflowError) as error:
            problems.append(Problem(line, f"time {payload.get('time')!r}: {error}"))
            continue
        payload.pop("received_at", None)
        placed.append((moment_us, line, unit, payload))
    placed.sort(key=lambda row: row[:3])
    last: dict[str, int] = {}
    deliveries = []
    for moment_us, _, unit, payload in placed:
        last[unit] = last.get(unit, 0) + 1
        kind = "fix" if "lon" in payload or "lat" in payload else "equipment"
        body = json.dumps({**payload, "seq": last[unit]}, ensure_ascii=False, separators=(",", ":")).encode()
        topic = f"swept/v1/{district_id}/{unit}/{kind}"
        deliveries.append(Delivery(moment_us, unit, topic, body, last[unit]))
    return Recording(tuple(deliveries), tuple(problems), tuple(sorted(last)))


def moment(value: object) -> int:
    """Microseconds of RFC 3339 with a zone or of epoch milliseconds; ValueError says what is wrong."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return round(value * 1_000)
    if not isinstance(value, str):
        raise ValueError("is missing")  # noqa: TRY004 - one kind of error for one bad value
    parsed = datetime.fromisoformat(value)
    if parsed.tzinfo is None:
        raise ValueError("has no zone; write it like 2026-06-01T06:00:05+08:00")
    return to_us(parsed)


def _gpx(source: Path | str) -> Iterator[Row]:
    with _opened(source) as file:
        yield from read_gpx(file.read())


@contextmanager
def _opened(source: Path | str) -> Iterator[TextIO]:
    if isinstance(source, str):
        yield io.StringIO(source, newline="")
        return
    with source.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        yield file


def _name(source: Path | str) -> str:
    return str(source) if isinstance(source, Path) else "the text"


def _rows(reader: Any) -> Iterator[tuple[int, Any]]:  # noqa: ANN401 - csv's reader has no public type
    """Line numbers and cells; a row that csv refuses comes as the text of the error."""
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, f"not a CSV row ({error})"
            continue
        yield reader.line_num, cells


def _row(line: int, cells: dict[str, str]) -> Row:
    unit = cells.pop("unit")
    if not _is_unit(unit):
        return line, unit, f"unit {unit!r} can't be part of an MQTT topic; it must not be empty or hold / + #"
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
    if name in INTEGERS or (name in {"time", "received_at"} and text.isdigit()):
        return int(text) if text.isdigit() and len(text) < 20 else text
    if name == "historical":
        return STATES.get(text.lower(), text)
    return text


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
        yield line, "", f"topic {value['topic']!r} is not that of a fix or of equipment"
        return
    payload = value.get("payload")
    try:
        payload = json.loads(payload) if isinstance(payload, str) else payload
    except (ValueError, RecursionError) as error:
        yield line, levels[-2], f"payload is not JSON ({error})"
        return
    for part in payload if isinstance(payload, list) else [payload]:
        yield line, levels[-2], part if isinstance(part, dict) else "payload is not an object"


def _is_unit(unit: str) -> bool:
    return bool(unit) and not set(unit) & set("/+#\0") and len(unit) <= 200
