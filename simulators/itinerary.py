"""From a plan's rounds (streets for a unit, in order) to the legs it drives, with the shift's mishaps.

Every street of the plan is driven to with the equipment off, worked to its far end, and worked back where
it has two sides or is a dead end. Some are driven through or left half way, as happens; some avenues are
swept beside the alleys; breaks are taken, some with the brush left on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as validated

from processing.district import District, Street, Unit
from processing.district_files import Round
from simulators.roads import Roads, Step
from simulators.vehicle import Leg

#: Seconds after the shift's start before which a round doesn't begin, and its streets in order.
Tour = tuple[float, Sequence[str]]

SWAY_STEPS = 997

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Amount = Annotated[float, Field(ge=0.0)]


@validated(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class Driving:
    """How units drive; shares are 0 to 1 of the streets of the plan, or of the drives to them."""

    accel_mps2: Annotated[float, Field(ge=0.05)] = 0.6
    #: By how much speeds vary under their targets, 0 to 1.
    sway: Annotated[float, Field(ge=0.0, le=0.9)] = 0.15
    #: Metres to the right of the centreline that a unit keeps, on streets and on context roads.
    lateral_m: Amount = 1.0
    road_lateral_m: Amount = 1.0
    #: Streets that are driven through with the equipment off instead of worked.
    through_share: Share = 0.0
    #: Streets that are left half way, backing out.
    half_share: Share = 0.0
    #: Runs over a street on which the equipment goes on late, or off early, or is lifted for a stretch.
    change_share: Share = 0.0
    #: Drives to a street on which the avenues are swept.
    avenue_share: Share = 0.0
    breaks: Annotated[int, Field(ge=0, le=100)] = 0
    break_s: Amount = 900.0
    #: Breaks during which the equipment stays on.
    break_on_share: Share = 0.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Speeds of a kind of unit in km/h, from and to."""

    drive_kmh: tuple[float, float]
    work_kmh: tuple[float, float]

    @classmethod
    def of(cls, unit: Unit) -> Pace:
        """The pace of a unit's profile: a person walks, a washer is faster than a sweeper."""
        profile = unit.profile
        if not profile.working_when:
            return cls((3.5, 4.5), (2.0, 4.0))
        work = (10.0, 15.0) if profile.work == "washing" else (6.0, 10.0)
        top = min(30.0, 0.9 * profile.top_speed_kmh)
        return cls((min(20.0, 0.7 * top), top), (min(work[0], 0.6 * top), min(work[1], top)))


def automatic_rounds(district: District, start_s: int) -> tuple[Round, ...]:
    """Rounds for a district without a plan: each kind of work's streets shared out by place.

    Round r holds the streets that require more than r sweeps, and begins an hour after round r - 1 at the
    earliest. Units whose kind of work no street requires share out all streets, so that they too have work.
    """
    rounds: list[Round] = []
    for work in sorted({unit.profile.work for unit in district.units}):
        units = [unit for unit in district.units if unit.profile.work == work]
        streets = [s for s in district.streets if s.work == work] or list(district.streets)
        streets.sort(key=lambda s: (s.parts[0][0], s.street_id))
        for i, unit in enumerate(units):
            share = streets[i * len(streets) // len(units) : (i + 1) * len(streets) // len(units)]
            for r in range(max((s.required for s in share), default=0)):
                ids = tuple(s.street_id for s in share if s.required > r)
                rounds.append(Round("", unit.unit_id, start_s + r * 3_600, ids))
    return tuple(rounds)


class Itinerary:
    """Grows one unit's legs, task by task, until its shift is full."""

    def __init__(self, unit: Unit, roads: Roads, driving: Driving, rng: np.random.Generator) -> None:
        self.legs: list[Leg] = []
        #: Seconds after the shift's start at which the first leg begins.
        self.begin_s = 0.0
        self._unit, self._roads, self._driving, self._rng = unit, roads, driving, rng
        self._pace = Pace.of(unit)
        self._always_on = not unit.profile.working_when
        self._node = int(rng.integers(len(roads.node_xy)))
        self._elapsed_s = 0.0

    def fill(self, tours: Sequence[Tour], duration_s: float) -> list[Leg]:
        """Legs for the tours' streets in order, with breaks spread over the shift, while there is time."""
        breaks = sorted(self._rng.uniform(0.1, 0.9, self._driving.breaks) * duration_s)
        for start_s, street_ids in tours:
            self._wait_until(start_s)
            for street_id in street_ids:
                if self._elapsed_s > duration_s:
                    return self.legs
                if breaks and self._elapsed_s > breaks[0]:
                    breaks.pop(0)
                    self._rest()
                self._task(self._roads.index[street_id])
        return self.legs

    def _wait_until(self, start_s: float) -> None:
        """Stand where the last street ended until a round may begin."""
        if self.legs:
            self.legs[-1] = replace(self.legs[-1], until_s=start_s, stop_working=self._always_on)
        else:
            self.begin_s = max(start_s, 0.0)
        self._elapsed_s = max(self._elapsed_s, start_s)

    def _task(self, line: int) -> None:
        street = self._roads.lines[line]
        start, end = self._roads.ends(line)
        forward = self._roads.cost(self._node, start) <= self._roads.cost(self._node, end)
        forward = forward or street.line.oneway
        near, far = (start, end) if forward else (end, start)
        if math.isinf(self._roads.cost(self._node, near)):
            self._node = near  # brought there by lorry: nothing connects the two
        self._go(near)
        draw = self._rng.random()
        from_m, to_m = (0.0, street.length_m) if forward else (street.length_m, 0.0)
        if draw < self._driving.through_share:
            self._run(Step(line, from_m, to_m), self._speed(self._pace.drive_kmh) * 0.7, working=False)
            self._node = far
            return
        back_out = not street.line.oneway and draw < self._driving.through_share + self._driving.half_share
        if back_out:
            middle_m = from_m + (to_m - from_m) * self._rng.uniform(0.3, 0.7)
            self._run(Step(line, from_m, middle_m), self._speed(self._pace.work_kmh), working=True)
            self._run(Step(line, middle_m, from_m), self._speed(self._pace.work_kmh), working=False)
            self._node = near
            return
        self._work(Step(line, from_m, to_m))
        self._node = far
        two_sided = isinstance(street.line, Street) and street.line.sides == 2
        if not street.line.oneway and near != far and (two_sided or self._roads.degree(far) == 1):
            self._work(Step(line, to_m, from_m))
            self._node = near

    def _work(self, step: Step) -> None:
        """Work along a street, perhaps with a change of the equipment away from its ends."""
        speed = self._speed(self._pace.work_kmh)
        if not self._driving.change_share or self._rng.random() >= self._driving.change_share:
            self._run(step, speed, working=True)
            return
        length_m = step.to_m - step.from_m
        low, high = sorted(self._rng.uniform(0.1, 0.9, 2).tolist())
        states = (
            ((low, False), (1.0, True)),
            ((high, True), (1.0, False)),
            ((low, True), (high, False), (1.0, True)),
        )[int(self._rng.integers(3))]
        from_m = step.from_m
        for share, working in states:
            to_m = step.to_m if share == 1.0 else step.from_m + share * length_m
            self._run(Step(step.line, from_m, to_m), speed, working=working)
            from_m = to_m

    def _go(self, node: int) -> None:
        """Drive to a node with the equipment off, or sweeping the avenues on the way."""
        sweeps = self._rng.random() < self._driving.avenue_share
        speed = self._speed(self._pace.drive_kmh)
        for step in self._roads.route(self._node, node):
            on_avenue = sweeps and not self._roads.lines[step.line].is_street
            self._run(step, self._speed(self._pace.work_kmh) if on_avenue else speed, working=on_avenue)
        self._node = node

    def _run(self, step: Step, speed_kmh: float, *, working: bool) -> None:
        if step.from_m == step.to_m:
            return
        on_street = self._roads.lines[step.line].is_street
        lateral_m = self._driving.lateral_m if on_street else self._driving.road_lateral_m
        on = working or self._always_on
        self.legs.append(Leg(*step, speed_kmh=speed_kmh, working=on, lateral_m=lateral_m))
        self._elapsed_s += abs(step.to_m - step.from_m) / (0.85 * speed_kmh / 3.6) + 2.0

    def _rest(self) -> None:
        if not self.legs:
            return
        stays_on = self._always_on or self._rng.random() < self._driving.break_on_share
        stop_s = self._driving.break_s * self._rng.uniform(0.7, 1.3)
        self.legs[-1] = replace(self.legs[-1], stop_s=stop_s, stop_working=stays_on)
        self._elapsed_s += stop_s

    def _speed(self, pace_kmh: tuple[float, float]) -> float:
        return float(self._rng.uniform(*pace_kmh))


def sway_factors(driving: Driving, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Factors of at most 1 by which speeds vary along the way."""
    factors: np.ndarray[tuple[int], np.dtype[np.float64]] = 1.0 - driving.sway * rng.random(SWAY_STEPS)
    return factors
