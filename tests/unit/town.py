"""A small town drawn in metres, and a unit driven through it: what tests of the core are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from processing.district import District, Road, Street, Unit, UnitProfile
from processing.fix import Kind, Report
from processing.geodesy import LocalProjection
from processing.rules import Rules

PLANE = LocalProjection(122.27, 40.67)
T0_US = 1_714_512_000_000_000  # 2024-05-01 05:20 in Shanghai
SWEEPER = UnitProfile("sweeper")

Point = tuple[float, float]


def degrees(x_m: float, y_m: float) -> tuple[float, float]:
    """Longitude and latitude of plane metres, as a survey would hold them."""
    lon, lat = PLANE.to_lonlat(x_m, y_m)
    return round(float(lon), 9), round(float(lat), 9)


def street(street_id: str, *xy: Point, required: int = 1, sides: int = 1) -> Street:
    """A street through points in metres."""
    return Street(street_id, street_id, (tuple(degrees(*p) for p in xy),), required=required, sides=sides)


def road(road_id: str, *xy: Point, layer: int = 0, oneway: bool = False) -> Road:
    """A context road through points in metres."""
    return Road(road_id, road_id, (tuple(degrees(*p) for p in xy),), layer=layer, oneway=oneway)


def town(*lines: Street | Road, profile: UnitProfile = SWEEPER, rules: Rules | None = None) -> District:
    """A district of these lines, with one unit `S1`."""
    return District(
        district_id="town",
        name="town",
        streets=tuple(line for line in lines if isinstance(line, Street)),
        roads=tuple(line for line in lines if isinstance(line, Road)),
        units=(Unit("S1", "S1", profile),),
        rules=rules or Rules(),
    )


@dataclass(frozen=True)
class Leg:
    """Driven straight to (x, y) at a speed; `brush` as the equipment reports it."""

    x_m: float
    y_m: float
    speed_kmh: float = 9.0
    brush: bool | None = True


def drive(
    start: Point,
    legs: Sequence[Leg],
    every_s: float = 5.0,
    from_us: int = T0_US,
    unit_id: str = "S1",
    *,
    tell_speed: bool = True,
) -> list[Report]:
    """Fixes without noise of a unit that drives the legs one after the other."""
    reports: list[Report] = []
    (x, y), clock_s, due_s = start, 0.0, 0.0
    for leg in legs:
        length_m = math.hypot(leg.x_m - x, leg.y_m - y)
        speed_ms = leg.speed_kmh / 3.6
        heading = math.degrees(math.atan2(leg.x_m - x, leg.y_m - y)) % 360
        while due_s - clock_s <= length_m / speed_ms:
            share = (due_s - clock_s) * speed_ms / length_m
            lon, lat = degrees(x + share * (leg.x_m - x), y + share * (leg.y_m - y))
            moment = from_us + round(1e6 * due_s)
            reports.append(
                Report(
                    unit_id,
                    Kind.FIX,
                    moment,
                    moment,
                    lon=lon,
                    lat=lat,
                    speed_kmh=leg.speed_kmh if tell_speed else None,
                    heading_deg=heading if tell_speed else None,
                    brush=leg.brush,
                )
            )
            due_s += every_s
        clock_s += length_m / speed_ms
        x, y = leg.x_m, leg.y_m
    return reports
