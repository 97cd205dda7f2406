"""What a unit truly does: its legs through the district, its motion along them, and the passes it truly made.

By definition a metre is truly swept where the work equipment is on and the speed is in the profile's work
band. Motion is exact between grid points a metre apart: acceleration is constant there. Nothing here knows
of receivers or of the matcher.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processing.district import Unit, UnitProfile
from processing.service_day import US
from processing.sweep import Pass, Piece
from simulators.roads import Roads

KMH = 1.0 / 3.6
#: A true piece is cut where it gets longer, or the speed changes by more, so that its moment is near linear
#: in its measure.
PIECE_M_MAX = 5.0
SPEED_CHANGE_MPS = 0.2
SWAY_M = 20.0
#: A turn on the spot takes this long.
TURN_S = 2.0


@dataclass(frozen=True, slots=True)
class Leg:
    """A run along one line at one target speed, `lateral_m` to the right of it, and perhaps a stop at its end.

    The stop lasts `stop_s` and at least until `until_s` after the shift's start. `working` is the work
    equipment's state on the way, `stop_working` its state during the stop.
    """

    line: int
    from_m: float
    to_m: float
    speed_kmh: float
    working: bool = False
    stop_s: float = 0.0
    until_s: float = 0.0
    stop_working: bool = False
    lateral_m: float = 0.0

    @property
    def stops(self) -> bool:
        """Whether the unit stands at the leg's end."""
        return self.stop_s > 0.0 or self.until_s > 0.0

    @property
    def direction(self) -> int:
        """1 along the line's measure, -1 against it."""
        return 1 if self.to_m >= self.from_m else -1


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """A unit's whole shift on a grid of N cells, a metre long at most.

    `arrive_s` and `depart_s` (N + 1) count from `start_us`; `speed_mps` (N + 1) is the speed at grid points;
    `measure_m` (N, 2) holds each cell's ends and `leg` (N) its leg.
    """

    unit: Unit
    legs: tuple[Leg, ...]
    start_us: int
    end_us: int
    arrive_s: NDArray[np.float64]
    depart_s: NDArray[np.float64]
    speed_mps: NDArray[np.float64]
    measure_m: NDArray[np.float64]
    leg: NDArray[np.int64]


class Stay(NamedTuple):
    """A unit truly was on a street, moving or standing, with or without its equipment."""

    unit_id: str
    street_id: str
    from_us: int
    to_us: int


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """Where a unit truly is at n moments and what it does; `xy` in local metres, `working` its equipment.

    `line` and `measure_m` say it along the true lines; `across` (n, 2) points to the right of the measure.
    """

    t_us: NDArray[np.int64]
    xy: NDArray[np.float64]
    speed_kmh: NDArray[np.float64]
    heading_deg: NDArray[np.float64]
    working: NDArray[np.bool_]
    line: NDArray[np.int64]
    measure_m: NDArray[np.float64]
    across: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Gait:
    """How a unit moves: its acceleration, and factors below 1 on its targets, each for 20 m, in turn."""

    accel_mps2: float
    sway: NDArray[np.float64]


def drive(unit: Unit, legs: Sequence[Leg], shift_us: tuple[int, int], begin_s: float, gait: Gait) -> Motion:
    """Move along legs as fast as their targets and the acceleration allow, `begin_s` into the shift."""
    cells = [max(2, int(np.ceil(abs(leg.to_m - leg.from_m)))) for leg in legs]
    edges = [np.linspace(leg.from_m, leg.to_m, n + 1) for leg, n in zip(legs, cells, strict=True)]
    measure_m = np.concatenate([np.column_stack([e[:-1], e[1:]]) for e in edges])
    leg = np.repeat(np.arange(len(legs)), cells)
    length = np.abs(measure_m[:, 1] - measure_m[:, 0])
    along = np.concatenate([[0.0], np.cumsum(length)])
    target = np.array([one.speed_kmh * KMH for one in legs])[leg]
    target = target * gait.sway[(along[:-1] // SWAY_M).astype(np.int64) % len(gait.sway)]
    limit = np.full(len(along), np.inf)
    limit[:-1] = target
    limit[1:] = np.minimum(limit[1:], target)
    stands = [one.stops or _turns(one, after) for one, after in pairwise(legs)]
    ends = np.cumsum(cells)
    stops = ends[:-1][np.array(stands, dtype=bool)]
    limit[[0, *stops, len(along) - 1]] = 0.0
    speed = np.sqrt(_reachable(limit**2, along, gait.accel_mps2))
    arrive_s = begin_s + np.concatenate([[0.0], np.cumsum(2.0 * length / (speed[:-1] + speed[1:]))])
    depart_s = arrive_s.copy()
    for end in stops:
        one = legs[leg[end - 1]]
        wait_s = max(one.stop_s, TURN_S, one.until_s - arrive_s[end])
        arrive_s[end + 1 :] += wait_s
        depart_s[end:] += wait_s
    return Motion(unit, tuple(legs), *shift_us, arrive_s, depart_s, speed, measure_m, leg)


def _turns(leg: Leg, after: Leg) -> bool:
    return leg.line == after.line and leg.direction != after.direction


def _reachable(
    limit2: NDArray[np.float64], along: NDArray[np.float64], accel_mps2: float
) -> NDArray[np.float64]:
    """Squared speeds under `limit2` whose slope along the way is twice the acceleration at most."""
    rise = 2.0 * accel_mps2 * along
    ahead = np.minimum.accumulate(limit2 - rise) + rise
    behind = np.minimum.accumulate((limit2 + rise)[::-1])[::-1] - rise
    return np.maximum(np.minimum(ahead, behind), 0.0)


def states(motion: Motion, roads: Roads, t_us: NDArray[np.int64]) -> States:
    """The true state at moments."""
    t = (t_us - motion.start_us) / US
    cell = np.clip(np.searchsorted(motion.depart_s, t, side="right") - 1, 0, len(motion.leg) - 1)
    length = np.abs(motion.measure_m[cell, 1] - motion.measure_m[cell, 0])
    v0, v1 = motion.speed_mps[cell], motion.speed_mps[cell + 1]
    cell_s = motion.arrive_s[cell + 1] - motion.depart_s[cell]
    within = np.clip(t - motion.depart_s[cell], 0.0, cell_s)
    gain = (v1 - v0) / cell_s
    share = np.clip((v0 + 0.5 * gain * within) * within / length, 0.0, 1.0)
    measure = motion.measure_m[cell, 0] * (1.0 - share) + motion.measure_m[cell, 1] * share
    standing = (t > motion.arrive_s[cell + 1]) | (t < motion.depart_s[0])
    speed = np.where(standing, 0.0, v0 + gain * within)
    leg = motion.leg[cell]
    line = np.array([one.line for one in motion.legs])[leg]
    sign = np.array([one.direction for one in motion.legs], dtype=np.float64)[leg]
    lateral_m = np.array([one.lateral_m for one in motion.legs])[leg]
    xy, along = np.empty((len(t), 2)), np.empty((len(t), 2))
    for i in np.unique(line):
        rows = line == i
        xy[rows] = roads.lines[i].at(measure[rows])
        along[rows] = roads.lines[i].heading(measure[rows])
    across, ahead = np.column_stack([along[:, 1], -along[:, 0]]), along * sign[:, None]
    xy += (lateral_m * sign)[:, None] * across
    moving_on = np.array([one.working for one in motion.legs])[leg]
    stopped = np.array([one.stop_working if one.stops else one.working for one in motion.legs])[leg]
    working = np.where(standing, stopped, moving_on)
    heading = np.degrees(np.arctan2(ahead[:, 0], ahead[:, 1])) % 360.0
    return States(t_us, xy, speed / KMH, heading, working, line, measure, across)


def in_band(speed_kmh: NDArray[np.float64], profile: UnitProfile) -> NDArray[np.bool_]:
    """Whether speeds lie in the work band: above its lower and up to its upper bound."""
    return (speed_kmh > profile.work_kmh_min) & (speed_kmh <= profile.work_kmh_max)


def true_stays(motion: Motion, roads: Roads) -> tuple[Stay, ...]:
    """When the unit was on which street; it stays on a leg's line until it departs on the next."""
    first = np.flatnonzero(np.diff(motion.leg, prepend=-1))
    depart_us = motion.start_us + np.rint(motion.depart_s[first] * US).astype(np.int64)
    bounds_us = [motion.start_us, *depart_us[1:].tolist(), motion.end_us]
    return tuple(
        Stay(motion.unit.unit_id, roads.lines[leg.line].line.line_id, from_us, to_us)
        for leg, (from_us, to_us) in zip(motion.legs, pairwise(bounds_us), strict=True)
        if roads.lines[leg.line].is_street and from_us < motion.end_us
    )


def true_passes(motion: Motion, roads: Roads) -> tuple[Pass, ...]:
    """The passes over streets, as far as the shift reaches, with what they swept, in the map's measures."""
    seconds = (motion.end_us - motion.start_us) / US
    n = int(np.searchsorted(motion.arrive_s[1:], seconds, side="right"))
    cell_s = motion.arrive_s[1 : n + 1] - motion.depart_s[:n]
    length = np.abs(motion.measure_m[:n, 1] - motion.measure_m[:n, 0])
    working = np.array([leg.working for leg in motion.legs], dtype=bool)[motion.leg[:n]]
    swept = working & in_band(length / cell_s / KMH, motion.unit.profile)
    run = np.cumsum([0, *(not _goes_on(a, b) for a, b in pairwise(motion.legs))])
    passes: list[Pass] = []
    cells = run[motion.leg[:n]]
    for bounds in _runs(cells):
        leg = motion.legs[motion.leg[bounds[0]]]
        if roads.lines[leg.line].is_street:
            passes.append(_pass(motion, roads, bounds, swept, len(passes)))
    return tuple(passes)


def _goes_on(leg: Leg, following: Leg) -> bool:
    return (leg.line, leg.direction) == (following.line, following.direction) and leg.to_m == following.from_m


def _runs(values: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Bounds of the runs of equal values, ends exclusive."""
    cuts = np.flatnonzero(np.diff(values)) + 1
    ends = [0, *cuts.tolist(), len(values)]
    return [(a, b) for a, b in pairwise(ends) if a < b]


def _pass(
    motion: Motion, roads: Roads, bounds: tuple[int, int], swept: NDArray[np.bool_], ordinal: int
) -> Pass:
    first, end = bounds
    leg = motion.legs[motion.leg[first]]
    centreline = roads.lines[leg.line]
    map_m = centreline.to_map(motion.measure_m[first:end])

    def moment(seconds: float) -> int:
        return motion.start_us + round(seconds * US)

    def measure(cell: int, side: int) -> int:
        return round(float(map_m[cell - first, side]) * 1_000)

    pieces: list[Piece] = []
    start: int | None = None
    for i in range(first, end + 1):
        on = i < end and bool(swept[i])
        if start is not None:
            ran = abs(motion.measure_m[i - 1, 1] - motion.measure_m[start, 0])
            stood = motion.depart_s[i] > motion.arrive_s[i]
            changed = abs(motion.speed_mps[i] - motion.speed_mps[start]) > SPEED_CHANGE_MPS
            if not on or stood or changed or ran >= PIECE_M_MAX:
                from_mm, to_mm = measure(start, 0), measure(i - 1, 1)
                from_us, to_us = moment(motion.depart_s[start]), moment(motion.arrive_s[i])
                pieces.append(Piece(from_mm, to_mm, from_us, to_us))
                start = None
        if on and start is None:
            start = i
    return Pass(
        unit_id=motion.unit.unit_id,
        track_start_us=motion.start_us,
        ordinal=ordinal,
        street_id=centreline.line.line_id,
        work=motion.unit.profile.work,
        direction=leg.direction,
        enter_us=moment(motion.depart_s[first]),
        leave_us=moment(motion.arrive_s[end]),
        enter_mm=measure(first, 0),
        leave_mm=measure(end - 1, 1),
        swept=tuple(pieces),
    )
