"""A scenario: all that a simulated shift depends on besides the district, as one value from a TOML file.

The district is the map. Units drive where the streets truly run (`map_error.py`), and what they did is told
in the map's measures. `true_shift` is what happened, `TrueShift.sensed` what the receivers measured of it,
and `play` also what became of that on the way. The same seed gives the same bytes: every unit and stage draws from a generator of its own, so that one more
unit, or another draw in one stage, moves nothing elsewhere.
"""

from __future__ import annotations

import datetime as dt
import tomllib
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated

from processing.district import District, Unit
from processing.district_files import Round
from processing.fix import ReportColumns
from processing.service_day import US, day_start_us
from processing.sweep import Pass
from simulators.channel import Channel, Delivery, transmit
from simulators.district_close import LayoutName
from simulators.itinerary import Driving, Itinerary, Tour, automatic_rounds, sway_factors
from simulators.map_error import MapError
from simulators.receiver import Reception, Sky, measure, sense
from simulators.roads import Roads
from simulators.vehicle import Gait, Motion, Stay, drive, true_passes, true_stays
from simulators.walls import Walls

DAY_S = 86_400


@validated(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class Town:
    """A made-up district of its own for each seed: its layout, and the district's seed for shift seed 0."""

    layout: LayoutName = "zhanqian"
    first_seed: Annotated[int, Field(ge=0)] = 0


@validated(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class Scenario:
    """A seeded shift; the shift is in seconds of local clock from midnight of `date`.

    It may be played in any district. Benchmarks play it in those of its `town`, where it has one.
    """

    name: str = "unnamed"
    seed: Annotated[int, Field(ge=0)] = 1
    date: dt.date = dt.date(2026, 6, 1)
    shift_start_s: int = 6 * 3_600
    shift_end_s: int = 14 * 3_600
    #: How many of the district's units take part, in the district's order; 0 means all.
    units: Annotated[int, Field(ge=0)] = 0
    driving: Driving = field(default_factory=Driving)
    map_error: MapError = field(default_factory=MapError)
    walls: Walls = field(default_factory=Walls)
    reception: Reception = field(default_factory=Reception)
    channel: Channel = field(default_factory=Channel)
    town: Town | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.shift_start_s < self.shift_end_s <= 2 * DAY_S:
            raise ValueError("shift_end_s must come after shift_start_s, within two days")


@dataclass(frozen=True, slots=True)
class Run:
    """A played scenario: the truth, the reports in order of device time, and what is delivered when."""

    scenario: Scenario
    district: District
    units: tuple[Unit, ...]
    start_us: int
    end_us: int
    truth_passes: tuple[Pass, ...]
    reports: tuple[dict[str, Any], ...]
    deliveries: tuple[Delivery, ...]


class ScenarioError(ValueError):
    """A scenario file that can't be used; the message says what is wrong in it."""


def parse_scenario(text: str, name: str) -> Scenario:
    """The scenario in a TOML text; `name` is what messages and results call it."""
    try:
        values = {"name": name, **tomllib.loads(text)}
        return TypeAdapter(Scenario).validate_python(values)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"scenario {name} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ScenarioError(f"scenario {name}: {place}: {first['msg']}") from error


def load_scenario(path: Path) -> Scenario:
    """The scenario in a TOML file, named after it."""
    return parse_scenario(path.read_text(encoding="utf-8"), path.stem)


def with_seed(scenario: Scenario, seed: int | None) -> Scenario:
    """The same scenario with another seed, if one is given."""
    return scenario if seed is None else replace(scenario, seed=seed)


@dataclass(frozen=True, slots=True, eq=False)
class Outing:
    """One unit's shift as it truly was; the seeds are those of its receiver and of its channel."""

    motion: Motion
    passes: tuple[Pass, ...]
    receiver: np.random.SeedSequence
    channel: np.random.SeedSequence


@dataclass(frozen=True, slots=True, eq=False)
class TrueShift:
    """What all units truly did; `roads` are those they drove on. A unit without legs has no outing."""

    scenario: Scenario
    roads: Roads
    start_us: int
    end_us: int
    outings: tuple[Outing, ...]

    @property
    def passes(self) -> tuple[Pass, ...]:
        """The true passes of all units."""
        return tuple(one for outing in self.outings for one in outing.passes)

    @property
    def stays(self) -> tuple[Stay, ...]:
        """When which unit was on which street."""
        return tuple(one for outing in self.outings for one in true_stays(outing.motion, self.roads))

    def sensed(self, reception: Reception | None = None) -> dict[str, ReportColumns]:
        """What each unit measured, as if all had arrived: much faster than to send and decode it."""
        sky = self.sky(reception)
        return {
            outing.motion.unit.unit_id: sense(
                outing.motion, self.roads, sky, np.random.default_rng(outing.receiver)
            ).columns
            for outing in self.outings
        }

    def sky(self, reception: Reception | None = None) -> Sky:
        """What the receivers see through: the scenario's reception, or another."""
        return Sky(reception or self.scenario.reception, self.scenario.walls, self.scenario.seed)


def true_shift(
    district: District,
    scenario: Scenario,
    rounds: Sequence[Round] | None = None,
    mapped: Roads | None = None,
) -> TrueShift:
    """Drive a shift along the plan's rounds; `mapped` are the district's roads, if made already.

    Without rounds the district's streets are shared out among its units. Rounds that begin before the
    scenario's shift begin with it; those that begin after its end are left out.
    """
    midnight_us = day_start_us(scenario.date, 0, district.rules.timezone)
    shift_us = midnight_us + scenario.shift_start_s * US, midnight_us + scenario.shift_end_s * US
    roads = scenario.map_error.true_roads(mapped or Roads(district), scenario.seed)
    rounds = automatic_rounds(district, scenario.shift_start_s) if rounds is None else rounds
    outings = []
    for unit in district.units[: scenario.units or None]:
        mine = [one for one in rounds if one.unit_id == unit.unit_id]
        tours = [(one.start_s - scenario.shift_start_s, one.street_ids) for one in mine]
        outing = _outing(unit, roads, scenario, tours, shift_us)
        if outing is not None:
            outings.append(outing)
    return TrueShift(scenario, roads, *shift_us, tuple(outings))


def _outing(
    unit: Unit, roads: Roads, scenario: Scenario, tours: Sequence[Tour], shift_us: tuple[int, int]
) -> Outing | None:
    """One unit's shift; its generators depend on the seed and its id alone, one for each stage."""
    seeds = np.random.SeedSequence([scenario.seed, zlib.crc32(unit.unit_id.encode())]).spawn(4)
    driving = scenario.driving
    itinerary = Itinerary(unit, roads, driving, np.random.default_rng(seeds[0]))
    legs = itinerary.fill(tours, (shift_us[1] - shift_us[0]) / US)
    if not legs:
        return None
    gait = Gait(driving.accel_mps2, sway_factors(driving, np.random.default_rng(seeds[1])))
    motion = drive(unit, legs, shift_us, itinerary.begin_s, gait)
    return Outing(motion, true_passes(motion, roads), seeds[2], seeds[3])


def play(
    district: District,
    scenario: Scenario,
    rounds: Sequence[Round] | None = None,
    told: Callable[[int, int], None] | None = None,
) -> Run:
    """Simulate a shift in memory, as `true_shift` does; `told(done, total)` is called after each unit."""
    shift = true_shift(district, scenario, rounds)
    sky, timezone = shift.sky(), district.rules.timezone
    units = district.units[: scenario.units or None]
    reports: list[tuple[str, str, dict[str, Any]]] = []
    deliveries: list[Delivery] = []
    for done, outing in enumerate(shift.outings, start=1):
        measured = measure(outing.motion, shift.roads, sky, np.random.default_rng(outing.receiver))
        channel = np.random.default_rng(outing.channel)
        sent = transmit(measured, district.district_id, scenario.channel, timezone, channel)
        deliveries += sent
        reports += _reports(sent)
        if told is not None:
            told(done, len(shift.outings))
    reports.sort(key=lambda row: row[:2])
    deliveries.sort(key=lambda d: (d.deliver_at_us, d.unit_id, d.seq))
    bodies = tuple(body for _, _, body in reports)
    bounds = shift.start_us, shift.end_us
    return Run(scenario, district, units, *bounds, shift.passes, bodies, tuple(deliveries))


def _reports(deliveries: Sequence[Delivery]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(time, unit, report) of each report once, whatever was delivered twice."""
    seen: set[int] = set()
    for delivery in deliveries:
        content = msgspec.json.decode(delivery.payload)
        for body in content if isinstance(content, list) else [content]:
            if body["seq"] not in seen:
                seen.add(body["seq"])
                yield body["time"], delivery.unit_id, {"unit": delivery.unit_id, **body}
