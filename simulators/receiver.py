"""What a unit's receiver makes of the truth: position with correlated noise, speed, heading, accuracy.

Noise is Gauss-Markov (white noise alone is kinder than any real receiver). In a canyon burst it is larger
and biased, between the walls of a street it is biased as that place is (`walls.py`), and in a dropout there
is no fix at all. Accuracy is reported roughly honestly, but of a wall's push no receiver knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as validated
from scipy.signal import lfilter

from processing.datum import to_wgs84
from processing.district import UnitProfile
from processing.fix import EQUIPMENT, OFF, ON, UNKNOWN, Kind, ReportColumns
from processing.service_day import US
from simulators.roads import Roads
from simulators.vehicle import Motion, States, states
from simulators.walls import Walls

#: Equipment states are told on their own topic at each change, and this often anyway.
STATUS_S = 60.0

Amount = Annotated[float, Field(ge=0.0)]


@validated(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class Reception:
    """How well a receiver sees; rates are per hour, sigmas of each axis."""

    fix_interval_s: Annotated[float, Field(ge=0.1)] = 5.0
    sigma_m: Amount = 5.0
    correlation_s: Amount = 20.0
    #: Standard deviation, of each axis, of an offset that each unit keeps for the whole shift.
    unit_bias_m: Amount = 0.0
    canyons_per_h: Amount = 0.0
    canyon_s: Amount = 60.0
    canyon_sigma_m: Amount = 12.0
    canyon_bias_m: Amount = 15.0
    dropouts_per_h: Amount = 0.0
    dropout_s: Amount = 30.0
    speed_sigma_kmh: Amount = 0.3
    heading_sigma_deg: Amount = 5.0
    #: "fix": equipment in each fix; "topic": on its own topic, for devices that can't put it into the fix.
    equipment: Literal["fix", "topic"] = "fix"


@dataclass(frozen=True, slots=True)
class Measured:
    """A report as measured: when in truth, its kind, and its content but for time and seq."""

    unit_id: str
    measured_us: int
    kind: Kind
    body: dict[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class Sensed:
    """What a unit measured in its shift: reports in order of time, and the satellites (n,) of each."""

    columns: ReportColumns
    satellites: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sky:
    """What a receiver sees through: how well it receives, and what the walls of the streets do."""

    reception: Reception
    walls: Walls = field(default_factory=Walls)
    #: Tells where the walls stand.
    seed: int = 0


def sense(motion: Motion, roads: Roads, sky: Sky, rng: np.random.Generator) -> Sensed:
    """All that a unit's devices measure in its shift, in WGS-84 and rounded as they tell it."""
    reception = sky.reception
    step_us = round(reception.fix_interval_s * US)
    phase_us = round(rng.random() * reception.fix_interval_s * 1_000) * 1_000
    t_us = np.arange(motion.start_us + phase_us, motion.end_us, step_us, dtype=np.int64)
    fixes = _fixes(motion, states(motion, roads, t_us), roads, sky, rng)
    if reception.equipment == "fix":
        return fixes
    statuses = _statuses(motion, roads)
    columns = fixes.columns.merge(statuses)
    satellites = np.zeros(len(columns), dtype=np.int64)
    satellites[columns.kind == Kind.FIX] = fixes.satellites
    return Sensed(columns, satellites)


def measure(motion: Motion, roads: Roads, sky: Sky, rng: np.random.Generator) -> list[Measured]:
    """All reports of a unit's shift in order of time, as its devices would write them."""
    sensed = sense(motion, roads, sky, rng)
    columns, profile = sensed.columns, motion.unit.profile
    on = (columns.equipment[:, _needed(profile)] == ON).all(axis=1)
    kinds = columns.kind.tolist()
    reports: list[Measured] = []
    for i, t_us in enumerate(columns.fix_time_us.tolist()):
        body: dict[str, object] = {}
        if kinds[i] == Kind.FIX:
            place = to_device(float(columns.lon[i]), float(columns.lat[i]), profile.datum)
            body = {
                "lon": round(place[0], 7),
                "lat": round(place[1], 7),
                "speed_kmh": float(columns.speed_kmh[i]),
                "heading_deg": float(columns.heading_deg[i]),
                "accuracy_m": float(columns.accuracy_m[i]),
                "satellites": int(sensed.satellites[i]),
            }
        if profile.working_when and (kinds[i] == Kind.EQUIPMENT or sky.reception.equipment == "fix"):
            body["equipment"] = {"engine": True, **dict.fromkeys(profile.working_when, bool(on[i]))}
        reports.append(Measured(motion.unit.unit_id, t_us, Kind(kinds[i]), body))
    return reports


def _fixes(motion: Motion, truth: States, roads: Roads, sky: Sky, rng: np.random.Generator) -> Sensed:
    reception = sky.reception
    n = len(truth.t_us)
    hours = (motion.end_us - motion.start_us) / US / 3_600.0
    t_s = (truth.t_us - motion.start_us) / US
    canyon, which = _bursts(t_s, hours, reception.canyons_per_h, reception.canyon_s, rng)
    lost, _ = _bursts(t_s, hours, reception.dropouts_per_h, reception.dropout_s, rng)
    push_m, wall_sigma_m = sky.walls.at(roads, truth.line, truth.measure_m, sky.seed)
    sigma = np.hypot(np.where(canyon, reception.canyon_sigma_m, reception.sigma_m), wall_sigma_m)
    angle = rng.uniform(0.0, 2.0 * np.pi, which.max(initial=0) + 1)[which]
    bias = reception.canyon_bias_m * canyon[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    noise = _gauss_markov(n, reception.fix_interval_s / max(reception.correlation_s, 1e-9), rng)
    xy = truth.xy + noise * sigma[:, None] + bias + push_m[:, None] * truth.across
    lon, lat = roads.plane.to_lonlat(xy[:, 0], xy[:, 1])
    moves = truth.speed_kmh > 0.0
    speed = truth.speed_kmh + rng.normal(0.0, 1.0, n) * reception.speed_sigma_kmh * moves
    heading = (truth.heading_deg + rng.normal(0.0, 1.0, n) * reception.heading_sigma_deg) % 360.0
    accuracy = np.hypot(sigma, reception.canyon_bias_m * canyon) * np.exp(rng.normal(0.0, 0.2, n))
    satellites = np.where(canyon, rng.integers(5, 9, n), rng.integers(10, 19, n))
    if reception.unit_bias_m > 0.0:
        own = rng.normal(0.0, reception.unit_bias_m, 2)
        lon, lat = roads.plane.to_lonlat(xy[:, 0] + own[0], xy[:, 1] + own[1])
    working = truth.working if reception.equipment == "fix" else None
    columns = ReportColumns(
        fix_time_us=truth.t_us,
        kind=np.full(n, Kind.FIX, dtype=np.int8),
        lon=np.round(lon, 7),
        lat=np.round(lat, 7),
        speed_kmh=np.round(speed.clip(min=0.0), 1),
        heading_deg=np.round(heading, 1) % 360.0,
        accuracy_m=np.round(np.maximum(accuracy, 0.5), 1),
        equipment=_equipment(motion.unit.profile, n, working),
        levels=np.full((n, 2), np.nan),
    )
    return Sensed(columns.take(~lost), satellites[~lost].astype(np.int64))


def _statuses(motion: Motion, roads: Roads) -> ReportColumns:
    """Reports of the equipment alone: at each change, to the second, and every STATUS_S; a badge has none."""
    if not motion.unit.profile.working_when:
        return ReportColumns.empty()
    t_us = np.arange(motion.start_us, motion.end_us, US, dtype=np.int64)
    working = states(motion, roads, t_us).working
    changed = np.concatenate([[True], working[1:] != working[:-1]])
    told = changed | (np.arange(len(t_us)) % round(STATUS_S) == 0)
    n = int(told.sum())
    nothing = np.full(n, np.nan)
    equipment = _equipment(motion.unit.profile, n, working[told])
    kind = np.full(n, Kind.EQUIPMENT, dtype=np.int8)
    levels = np.full((n, 2), np.nan)
    return ReportColumns(t_us[told], kind, nothing, nothing, nothing, nothing, nothing, equipment, levels)


def _needed(profile: UnitProfile) -> list[int]:
    return [EQUIPMENT.index(name) for name in profile.working_when]


def _equipment(profile: UnitProfile, n: int, working: NDArray[np.bool_] | None) -> NDArray[np.int8]:
    """The equipment's states (n, 5): the engine on, what the profile needs as it works; a badge has none."""
    equipment = np.full((n, len(EQUIPMENT)), UNKNOWN, dtype=np.int8)
    if working is not None and profile.working_when:
        equipment[:, _needed(profile)] = np.where(working, ON, OFF)[:, None]
        equipment[:, EQUIPMENT.index("engine")] = ON
    return equipment


def _gauss_markov(n: int, step: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(n, 2) unit noise whose correlation falls by e over 1 / step samples."""
    keep = float(np.exp(-step))
    white = rng.normal(0.0, 1.0, (n, 2))
    white[1:] *= np.sqrt(1.0 - keep * keep)
    noise: NDArray[np.float64] = lfilter([1.0], [1.0, -keep], white, axis=0)
    return noise


def _bursts(
    t_s: NDArray[np.float64], hours: float, per_h: float, length_s: float, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which moments lie in a burst, and in which one; lengths vary by half."""
    inside, which = np.zeros(len(t_s), dtype=bool), np.zeros(len(t_s), dtype=np.int64)
    starts = np.sort(rng.uniform(0.0, hours * 3_600.0, rng.poisson(per_h * hours)))
    for i, start in enumerate(starts.tolist()):
        rows = (t_s >= start) & (t_s < start + length_s * rng.uniform(0.5, 1.5))
        inside |= rows
        which[rows] = i
    return inside, which


def to_device(lon: float, lat: float, datum: str) -> tuple[float, float]:
    """A WGS-84 place in a device's own datum: the one that reads back as it, to a centimetre."""
    if datum == "WGS-84":
        return lon, lat
    own_lon, own_lat = lon, lat
    for _ in range(6):
        back_lon, back_lat = to_wgs84(own_lon, own_lat, datum)
        own_lon, own_lat = own_lon + lon - back_lon, own_lat + lat - back_lat
    return own_lon, own_lat
