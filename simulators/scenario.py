"""A scenario: all that a simulated shift depends on besides the district, as one value from a TOML file.

The same seed gives the same bytes: every unit and stage draws from a generator of its own, so that one more
unit, or another draw in one stage, moves nothing elsewhere.
"""

from __future__ import annotations

import datetime as dt
import json
import tomllib
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated

from processing.district import District, Unit
from processing.district_files import Round
from processing.service_day import US, day_start_us
from processing.sweep import Pass
from simulators.channel import Channel, Delivery, transmit
from simulators.itinerary import Driving, Itinerary, Tour, automatic_rounds, sway_factors
from simulators.receiver import Reception, measure
from simulators.roads import Roads
from simulators.vehicle import Gait, drive, true_passes

DAY_S = 86_400


@validated(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class Scenario:
    """A seeded shift; the shift is in seconds of local clock from midnight of `date`."""

    name: str = "unnamed"
    seed: Annotated[int, Field(ge=0)] = 1
    date: dt.date = dt.date(2026, 6, 1)
    shift_start_s: int = 6 * 3_600
    shift_end_s: int = 14 * 3_600
    #: How many of the district's units take part, in the district's order; 0 means all.
    units: Annotated[int, Field(ge=0)] = 0
    driving: Driving = field(default_factory=Driving)
    reception: Reception = field(default_factory=Reception)
    channel: Channel = field(default_factory=Channel)

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


def play(
    district: District,
    scenario: Scenario,
    rounds: Sequence[Round] | None = None,
    told: Callable[[int, int], None] | None = None,
) -> Run:
    """Simulate a shift in memory along the plan's rounds; `told(done, total)` is called after each unit.

    Without rounds the district's streets are shared out among its units. Rounds that begin before the
    scenario's shift begin with it; those that begin after its end are left out.
    """
    rules = district.rules
    midnight_us = day_start_us(scenario.date, 0, rules.timezone)
    start_us = midnight_us + scenario.shift_start_s * US
    end_us = midnight_us + scenario.shift_end_s * US
    roads = Roads(district)
    rounds = automatic_rounds(district, scenario.shift_start_s) if rounds is None else rounds
    units = district.units[: scenario.units or None]
    passes: list[Pass] = []
    reports: list[tuple[str, str, dict[str, Any]]] = []
    deliveries: list[Delivery] = []
    for done, unit in enumerate(units, start=1):
        tours = [
            (one.start_s - scenario.shift_start_s, one.street_ids)
            for one in rounds
            if one.unit_id == unit.unit_id
        ]
        truth, sent = _unit(unit, roads, scenario, tours, (start_us, end_us), district)
        passes += truth
        deliveries += sent
        reports += _reports(sent)
        if told is not None:
            told(done, len(units))
    reports.sort(key=lambda row: row[:2])
    deliveries.sort(key=lambda d: (d.deliver_at_us, d.unit_id, d.seq))
    bodies = tuple(body for _, _, body in reports)
    return Run(scenario, district, units, start_us, end_us, tuple(passes), bodies, tuple(deliveries))


def _unit(
    unit: Unit,
    roads: Roads,
    scenario: Scenario,
    tours: Sequence[Tour],
    shift_us: tuple[int, int],
    district: District,
) -> tuple[tuple[Pass, ...], list[Delivery]]:
    """One unit's shift; its generators depend on the seed and its id alone, one for each stage."""
    seeds = np.random.SeedSequence([scenario.seed, zlib.crc32(unit.unit_id.encode())]).spawn(4)
    vehicle, sway, receiver, channel = (np.random.default_rng(seed) for seed in seeds)
    driving = scenario.driving
    seconds = (shift_us[1] - shift_us[0]) / US
    itinerary = Itinerary(unit, roads, driving, vehicle)
    legs = itinerary.fill(tours, seconds)
    if not legs:
        return (), []
    gait = Gait(driving.accel_mps2, sway_factors(driving, sway))
    motion = drive(unit, legs, shift_us, itinerary.begin_s, gait)
    measured = measure(motion, roads, scenario.reception, driving.lateral_m, receiver)
    sent = transmit(measured, district.district_id, scenario.channel, district.rules.timezone, channel)
    return true_passes(motion, roads), sent


def _reports(deliveries: Sequence[Delivery]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(time, unit, report) of each report once, whatever was delivered twice."""
    seen: set[int] = set()
    for delivery in deliveries:
        content = json.loads(delivery.payload)
        for body in content if isinstance(content, list) else [content]:
            if body["seq"] not in seen:
                seen.add(body["seq"])
                yield body["time"], delivery.unit_id, {"unit": delivery.unit_id, **body}
