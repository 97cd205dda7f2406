"""What a unit's receiver makes of the truth: position with correlated noise, speed, heading, accuracy.

Noise is Gauss-Markov (white noise alone is kinder than any real receiver). In a canyon burst it is larger
and biased; in a dropout there is no fix at all. Accuracy is reported roughly honestly, as receivers do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as validated

from processing.datum import to_wgs84
from processing.fix import Kind
from processing.geodesy import LocalProjection
from processing.service_day import US
from simulators.roads import Roads
from simulators.vehicle import Motion, States, states

#: Equipment states are told on their own topic at each change, and this often anyway.
STATUS_S = 60.0

Amount = Annotated[float, Field(ge=0.0)]


@validated(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class Reception:
    """How well a receiver sees; rates are per hour, sigmas of each axis."""

    fix_interval_s: Annotated[float, Field(ge=0.1)] = 5.0
    sigma_m: Amount = 5.0
    correlation_s: Amount = 20.0
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


def measure(
    motion: Motion, roads: Roads, reception: Reception, lateral_m: float, rng: np.random.Generator
) -> list[Measured]:
    """All reports of a unit's shift in order of time."""
    step_us = round(reception.fix_interval_s * US)
    phase_us = round(rng.random() * reception.fix_interval_s * 1_000) * 1_000
    t_us = np.arange(motion.start_us + phase_us, motion.end_us, step_us, dtype=np.int64)
    truth = states(motion, roads, t_us, lateral_m)
    reports = _fixes(motion, truth, roads.plane, reception, rng)
    if reception.equipment == "topic":
        reports += _statuses(motion, roads, lateral_m)
    return sorted(reports, key=lambda report: (report.measured_us, report.kind))


def _fixes(
    motion: Motion,
    truth: States,
    plane: LocalProjection,
    reception: Reception,
    rng: np.random.Generator,
) -> list[Measured]:
    n = len(truth.t_us)
    hours = (motion.end_us - motion.start_us) / US / 3_600.0
    t_s = (truth.t_us - motion.start_us) / US
    canyon, which = _bursts(t_s, hours, reception.canyons_per_h, reception.canyon_s, rng)
    lost, _ = _bursts(t_s, hours, reception.dropouts_per_h, reception.dropout_s, rng)
    sigma = np.where(canyon, reception.canyon_sigma_m, reception.sigma_m)
    angle = rng.uniform(0.0, 2.0 * np.pi, which.max(initial=0) + 1)[which]
    bias = reception.canyon_bias_m * canyon[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    noise = _gauss_markov(n, reception.fix_interval_s / max(reception.correlation_s, 1e-9), rng)
    xy = truth.xy + noise * sigma[:, None] + bias
    lon, lat = plane.to_lonlat(xy[:, 0], xy[:, 1])
    speed = truth.speed_kmh + rng.normal(0.0, 1.0, n) * reception.speed_sigma_kmh * (truth.speed_kmh > 0.0)
    heading = (truth.heading_deg + rng.normal(0.0, 1.0, n) * reception.heading_sigma_deg) % 360.0
    accuracy = np.hypot(sigma, reception.canyon_bias_m * canyon) * np.exp(rng.normal(0.0, 0.2, n))
    satellites = np.where(canyon, rng.integers(5, 9, n), rng.integers(10, 19, n))
    in_fix = reception.equipment == "fix"
    reports: list[Measured] = []
    for i in np.flatnonzero(~lost).tolist():
        place = to_device(float(lon[i]), float(lat[i]), motion.unit.profile.datum)
        body: dict[str, object] = {
            "lon": round(place[0], 7),
            "lat": round(place[1], 7),
            "speed_kmh": round(max(float(speed[i]), 0.0), 1),
            "heading_deg": round(float(heading[i]), 1) % 360.0,
            "accuracy_m": round(max(float(accuracy[i]), 0.5), 1),
            "satellites": int(satellites[i]),
        }
        if in_fix and (equipment := _equipment(motion, working=bool(truth.working[i]))):
            body["equipment"] = equipment
        reports.append(Measured(motion.unit.unit_id, int(truth.t_us[i]), Kind.FIX, body))
    return reports


def _statuses(motion: Motion, roads: Roads, lateral_m: float) -> list[Measured]:
    """Reports of the equipment alone: at each change, to the second, and every STATUS_S."""
    t_us = np.arange(motion.start_us, motion.end_us, US, dtype=np.int64)
    working = states(motion, roads, t_us, lateral_m).working
    changed = np.concatenate([[True], working[1:] != working[:-1]])
    told = changed | (np.arange(len(t_us)) % round(STATUS_S) == 0)
    return [
        Measured(motion.unit.unit_id, int(t_us[i]), Kind.EQUIPMENT, {"equipment": equipment})
        for i in np.flatnonzero(told).tolist()
        if (equipment := _equipment(motion, working=bool(working[i])))
    ]


def _equipment(motion: Motion, *, working: bool) -> dict[str, object]:
    """The equipment's states; a badge has none."""
    if not motion.unit.profile.working_when:
        return {}
    return {"engine": True, **dict.fromkeys(motion.unit.profile.working_when, working)}


def _gauss_markov(n: int, step: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(n, 2) unit noise whose correlation falls by e over 1 / step samples."""
    keep = float(np.exp(-step))
    white = rng.normal(0.0, 1.0, (n, 2))
    noise = white.copy()
    fresh = np.sqrt(1.0 - keep * keep)
    for i in range(1, n):
        noise[i] = keep * noise[i - 1] + fresh * white[i]
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
