"""The truth of a run as a file beside it, and a run's reports as a CSV that `swept analyze` reads."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from processing.fix import EQUIPMENT, LEVELS
from processing.sweep import Pass
from simulators.scenario import Run

FORMAT = 1
#: A status of the equipment on its own topic holds this long in the CSV, as in the pipeline by default.
HOLD_S = 900.0
COLUMNS = ("unit", "time", "lon", "lat", "speed_kmh", "heading_deg", "accuracy_m", *EQUIPMENT, *LEVELS)


@dataclass(frozen=True, slots=True)
class Truth:
    """What a simulated run truly did; `start_us` and `end_us` bound its shift."""

    scenario: str
    seed: int
    district_id: str
    map_version: str
    start_us: int
    end_us: int
    units: tuple[str, ...]
    passes: tuple[Pass, ...]
    format: int = FORMAT


class TruthError(ValueError):
    """A file that is no truth of a run; the message says why."""


def truth_of(run: Run) -> Truth:
    """The truth of a run."""
    return Truth(
        scenario=run.scenario.name,
        seed=run.scenario.seed,
        district_id=run.district.district_id,
        map_version=run.district.map_version,
        start_us=run.start_us,
        end_us=run.end_us,
        units=tuple(unit.unit_id for unit in run.units),
        passes=run.truth_passes,
    )


def write_truth(path: Path, truth: Truth) -> None:
    """Write the truth as JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(truth), indent=0) + b"\n")


def read_truth(path: Path) -> Truth:
    """The truth in a file; `TruthError` where it is none."""
    try:
        truth = msgspec.json.decode(path.read_bytes(), type=Truth)
    except msgspec.MsgspecError as error:
        raise TruthError(
            f"{path} is no truth of a simulated run ({error}); swept simulate writes it"
        ) from error
    if truth.format != FORMAT:
        raise TruthError(f"{path} has format {truth.format}, this release reads {FORMAT}; simulate again")
    return truth


def write_fixes(path: Path, run: Run) -> int:
    """Write a run's reports as a CSV of fixes in order of device time; returns how many.

    A CSV's row is a fix, so what was told on the equipment's own topic stands in the fixes after it. The
    column `working` says what the unit's profile makes of its equipment, for readers without profiles.
    """
    profiles = {unit.unit_id: unit.profile for unit in run.units}
    status: dict[str, tuple[datetime, Mapping[str, Any]]] = {}
    rows = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for report in run.reports:
            moment = datetime.fromisoformat(report["time"])
            if "lon" not in report:
                status[report["unit"]] = moment, report["equipment"]
                continue
            equipment = report.get("equipment", {})
            told = status.get(report["unit"])
            if not equipment and told and (moment - told[0]).total_seconds() <= HOLD_S:
                equipment = told[1]
            needed = profiles[report["unit"]].working_when
            working = all(equipment[name] for name in needed) if set(needed) <= equipment.keys() else None
            row = {"working": working, **equipment, **report}
            writer.writerow(_cell(row.get(column)) for column in COLUMNS)
            rows += 1
    return rows


def _cell(value: object) -> object:
    return int(value) if isinstance(value, bool) else value
