"""A CSV of fixes, as `swept analyze` takes it: each row becomes a message of the device contract.

Rows are read as `swept replay` reads them and decoded as what devices send, so a row is refused for the same
reasons and in the same words. Only the file as a whole can be the user's error.
"""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from processing.decode import Directory, decode
from processing.district import Unit, UnitProfile
from processing.fix import EQUIPMENT, LEVELS, Reason, Rejection, Report
from processing.rules import Rules
from simulators.replay import INTEGERS, NUMBERS, REQUIRED, RecordingError, moment, read_csv
from swept.errors import UserError

KNOWN = frozenset({*REQUIRED, *NUMBERS, *INTEGERS, *EQUIPMENT, *LEVELS, "historical", "received_at"})
ROWS_MAX = 5_000_000
ADVANCE_EVERY = 1_000
BYTES_A_ROW = 80


@dataclass(slots=True)
class Fixes:
    """What a file of fixes came to; `lines` are where `reports` are in it, a refusal has its line in front."""

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

    Where `units` is empty the file's own are made up: working is what the column of that name says, else the
    brush, else speed alone. Otherwise a row of a unit that isn't among them is refused, as it is live.
    """
    fixes = _header(path)
    profile = UnitProfile("analyze", working_when=fixes.working_when)
    fixes.units.update(units)
    directory = Directory(district_id, fixes.units, rules)
    try:
        for line, unit_id, payload in read_csv(path):
            fixes.rows += 1
            if fixes.rows > ROWS_MAX:
                raise UserError(f"{path} has over {ROWS_MAX:,} fixes; split it by day and analyze each day.")
            if fixes.rows % ADVANCE_EVERY == 0:
                advance(fixes.rows * BYTES_A_ROW)
            if isinstance(payload, str):
                refusal = Rejection(Reason.BAD_FIELD, payload, "", b"", 0, unit_id or None)
                fixes.refused.append((line, unit_id, refusal))
                continue
            if not units and unit_id not in fixes.units:
                fixes.units[unit_id] = Unit(unit_id, unit_id, profile)
            _take(fixes, line, unit_id, payload, directory)
    except RecordingError as error:
        raise UserError(f"{error}.") from None
    return fixes


def _take(fixes: Fixes, line: int, unit_id: str, payload: dict[str, object], directory: Directory) -> None:
    received_us = _received_us(payload)
    known = {name: value for name, value in payload.items() if name in KNOWN or name == "equipment"}
    known.pop("received_at", None)
    message = json.dumps(known, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    decoded = decode(f"swept/v1/{directory.district_id}/{unit_id}/fix", message, received_us, directory)
    fixes.reports += decoded.reports
    fixes.lines += [line] * len(decoded.reports)
    fixes.refused += [(line, unit_id, rejection) for rejection in decoded.rejections]


def _received_us(payload: Mapping[str, object]) -> int:
    """When the report came in: the file's word, else the fix's own time, else 0: it will be refused."""
    for name in ("received_at", "time"):
        if name in payload:
            try:
                return moment(payload[name])
            except (ValueError, OverflowError):
                continue
    return 0


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
        raise UserError(f"{path} can't be read ({error.strerror}); check its permissions.") from None
    columns = [name.strip() for name in next(csv.reader([first]), [])]
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise UserError(f"{path}: {_without(missing[0], columns, first)}")
    working_when = next(((name,) for name in ("working", "brush") if name in columns), ())
    unused = tuple(name for name in columns if name not in KNOWN)
    return Fixes(working_when, unused, tuple(columns))


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
