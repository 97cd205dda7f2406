"""A CSV of fixes, as `swept analyze` takes it: each row becomes a message of the device contract.

Rows are read as `swept replay` reads them and decoded as what devices send, so a row is refused for the same
reasons and in the same words. Only the file as a whole can be the user's error.
"""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from processing.decode import Directory, decode
from processing.district import Unit, UnitProfile
from processing.era import OutOfEra
from processing.fix import Reason, Rejection, Report
from processing.rules import Rules
from simulators.replay import KNOWN, REQUIRED, RecordingError, Row, csv_rows, moment
from swept.errors import UserError

#: Columns that say whether a unit works where no profile does: the first, else whether any other is on.
WORK_COLUMNS = ("working", "brush", "spray", "fan")
ROWS_MAX = 5_000_000
ADVANCE_EVERY = 1_000
BYTES_A_ROW = 80


@dataclass(slots=True)
class Fixes:
    """What a file of fixes came to; `lines` are where `reports` are in it, a refusal has its line in front.

    A refusal's payload is the row as it stands in the file.
    """

    path: Path
    working_when: tuple[str, ...]
    unused: tuple[str, ...]
    columns: tuple[str, ...] = ()
    rows: int = 0
    reports: list[Report] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    refused: list[tuple[int, str, Rejection]] = field(default_factory=list)
    units: dict[str, Unit] = field(default_factory=dict)


def read_fixes(
    path: Path, district_id: str, rules: Rules, units: Mapping[str, Unit], advance: Callable[[float], None]
) -> Fixes:
    """All rows of the file, decoded; `advance` is told about how many bytes were read.

    Where `units` is empty the file's own are made up: working is what the column of that name says, else
    whether brush, spray or fan are on, and in a file without any of these columns speed alone tells. Otherwise a row of a unit that isn't among them is refused, as it is live.
    """
    fixes = _header(path)
    profile = UnitProfile("analyze", working_when=("working",) if fixes.working_when else ())
    fixes.units.update(units)
    directory = Directory(district_id, fixes.units, rules)
    try:
        for (line, unit_id, payload), text in csv_rows(path):
            fixes.rows += 1
            if fixes.rows > ROWS_MAX:
                raise UserError(f"{path} has over {ROWS_MAX:,} fixes; split it by day and analyze each day.")
            if fixes.rows % ADVANCE_EVERY == 0:
                advance(fixes.rows * BYTES_A_ROW)
            if isinstance(payload, dict) and not units:
                if unit_id not in fixes.units:
                    fixes.units[unit_id] = Unit(unit_id, unit_id, profile)
                _tell_work(payload)
            _take(fixes, (line, unit_id, payload), text, directory)
    except RecordingError as error:
        raise UserError(f"{error}.") from None
    return fixes


def texts_of(path: Path, lines: Collection[int]) -> dict[int, str]:
    """The rows of the file that begin at these lines, as they stand there."""
    return {line: text for (line, _, _), text in csv_rows(path) if line in lines}


def _take(fixes: Fixes, row: Row, text: str, directory: Directory) -> None:
    line, unit_id, payload = row
    original = text.encode("utf-8", "replace")
    received_us = payload if isinstance(payload, str) else _received_us(payload)
    if isinstance(received_us, str):
        refusal = Rejection(Reason.BAD_FIELD, received_us, "", original, 0, unit_id or None)
        fixes.refused.append((line, unit_id, refusal))
        return
    assert isinstance(payload, dict)
    known = {name: value for name, value in payload.items() if name in KNOWN or name == "equipment"}
    known.pop("received_at", None)
    message = json.dumps(known, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    decoded = decode(f"swept/v1/{directory.district_id}/{unit_id}/fix", message, received_us, directory)
    fixes.reports += decoded.reports
    fixes.lines += [line] * len(decoded.reports)
    fixes.refused += [(line, unit_id, replace(one, payload=original)) for one in decoded.rejections]


def _tell_work(payload: dict[str, object]) -> None:
    """Say whether the unit works: as `working` has it, else on where any machine is, off where all told are."""
    equipment = payload.get("equipment")
    if not isinstance(equipment, dict) or "working" in equipment:
        return
    told = [state for name in WORK_COLUMNS[1:] if isinstance(state := equipment.get(name), bool)]
    if told:
        equipment["working"] = any(told)


def _received_us(payload: Mapping[str, object]) -> int | str:
    """When the report came in: the file's word, else the fix's own time; a text says what is wrong with it.

    A time that the decoder has a reason of its own for gives 0, and is refused there.
    """
    name = "received_at" if "received_at" in payload else "time"
    try:
        return moment(payload.get(name))
    except ValueError as error:
        if name == "time" and not isinstance(error, OutOfEra):
            return 0
        return f"{name} {str(payload.get(name))[:40]!r} {error}"


def _header(path: Path) -> Fixes:
    """The columns of the file, or what is wrong with the file."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            first = file.readline(1 << 20)
    except FileNotFoundError:
        raise UserError(f"there is no file {path}; name the CSV of fixes.") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; name the CSV of fixes in it.") from None
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror}); check its name and permissions.") from None
    if "\ufffd" in first or "\0" in first:
        raise UserError(f"{path}:1 is not UTF-8; save the file as UTF-8 (CSV UTF-8).")
    try:
        columns = [name.strip() for name in next(csv.reader([first]), [])]
    except csv.Error as error:
        raise UserError(f"{path}: its first line isn't CSV ({error}); it must name the columns.") from None
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise UserError(f"{path}: {_without(missing[0], columns, first)}")
    working_when = tuple(name for name in WORK_COLUMNS if name in columns)
    unused = tuple(name for name in columns if name not in KNOWN)
    return Fixes(path, working_when, unused, tuple(columns))


def _without(missing: str, columns: list[str], first: str) -> str:
    needed = ", ".join(REQUIRED)
    if not first.strip():
        return f"the file is empty; its first line must name columns, at least {needed}."
    for separator, word in ((";", "semicolons"), ("\t", "tabs")):
        if separator in first and "," not in first:
            return f"columns are separated by {word}; save it with commas."
    others = [name for name in columns if name not in KNOWN]
    close = difflib.get_close_matches(missing, others, n=1, cutoff=0.5)
    hint = f"rename {close[0]!r}" if close else f"it has {', '.join(columns)[:200]}"
    return f"there is no column {missing}; {hint} (needed are {needed})."
