"""Families of scenarios and the districts that they are played in, for benchmarks and for fitting.

A family is a scenario, played with many seeds and at five receptions; with a `town` each seed has a district
of its own. Whoever fits takes `for_fitting()`. Families that nobody may fit to aren't found from here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from processing.district import District
from processing.district_files import Round, parse_district, parse_plan
from processing.fix import ReportColumns
from processing.pipeline import Core
from processing.sweep import Pass
from simulators.district import generate
from simulators.receiver import Reception
from simulators.roads import Roads
from simulators.scenario import Scenario, load_scenario, true_shift, with_seed
from simulators.vehicle import Stay
from swept.playing import district_and_plan
from swept.settings import configs_folder

#: Noise in metres and seconds between two fixes.
GRID = ((3.0, 1.0), (5.0, 5.0), (8.0, 5.0), (5.0, 10.0), (8.0, 15.0))


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A district made ready to be driven in and to be matched on."""

    district: District
    rounds: tuple[Round, ...] | None
    core: Core
    roads: Roads


@dataclass(frozen=True, slots=True, eq=False)
class Shift:
    """A shift: where, what was truly done there, and what was measured at each reception of the grid."""

    place: Place
    truth: tuple[Pass, ...]
    stays: tuple[Stay, ...]
    measured: dict[tuple[float, float], dict[str, ReportColumns]]


def read(folder: Path) -> dict[str, Scenario]:
    """The families in a folder, by name."""
    return {path.stem: load_scenario(path) for path in sorted(folder.glob("*.toml"))}


def for_fitting() -> dict[str, Scenario]:
    """The families that parameters may be fitted to."""
    return read(configs_folder() / "scenarios")


def place_of(scenario: Scenario, seed: int) -> Place:
    """Where a family is played with a seed."""
    if scenario.town is None:
        district, rounds = district_and_plan(configs_folder() / "zhanqian")
    else:
        files = generate(scenario.town.first_seed + seed, scenario.town.layout)
        district, rounds = parse_district(files), parse_plan(files)
    return Place(district, rounds, Core(district), Roads(district))


def played(scenario: Scenario, seed: int, *, bare: bool = False) -> Shift:
    """One shift of a family. With `bare` the devices tell time, place and equipment alone."""
    place = place_of(scenario, seed)
    true = true_shift(place.district, with_seed(scenario, seed), place.rounds, place.roads)
    measured = {
        (sigma_m, every_s): true.sensed(_reception(scenario, sigma_m, every_s)) for sigma_m, every_s in GRID
    }
    if bare:
        measured = {
            key: {unit_id: stripped(columns) for unit_id, columns in units.items()}
            for key, units in measured.items()
        }
    return Shift(place, true.passes, true.stays, measured)


def stripped(columns: ReportColumns) -> ReportColumns:
    """The same reports without speed, heading and accuracy."""
    nothing = np.full(len(columns), np.nan)
    return replace(columns, speed_kmh=nothing, heading_deg=nothing, accuracy_m=nothing)


def passes_of(core: Core, units: dict[str, ReportColumns]) -> list[Pass]:
    """What the core finds in what units measured."""
    return [
        one
        for unit_id, columns in units.items()
        for track in core.tracks(unit_id, columns, {})
        for one in track.passes or ()
    ]


def frequencies(shift: Shift, passes: Iterable[Pass]) -> dict[str, int]:
    """The frequency of every street, of the kind of work that it requires."""
    works = {street.street_id: street.work for street in shift.place.district.streets}
    found = dict.fromkeys(works, 0)
    for one in shift.place.core.street_days(passes):
        if one.work == works[one.street_id]:
            found[one.street_id] = one.frequency
    return found


def _reception(scenario: Scenario, sigma_m: float, every_s: float) -> Reception:
    return replace(scenario.reception, sigma_m=sigma_m, fix_interval_s=every_s)
