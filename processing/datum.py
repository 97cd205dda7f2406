"""The datums that devices in China report in, and the way back to WGS-84.

GCJ-02 is WGS-84 shifted by some hundred metres; BD-09 is GCJ-02 shifted once more. Both forward formulas are
the published ones (ellipsoid of Krasovsky); neither has a closed inverse, so the way back iterates on the
forward formula until it meets the input to less than 1e-9 degrees. Outside the box in which the shift is
defined GCJ-02 equals WGS-84.
"""

from __future__ import annotations

import math
from collections.abc import Callable

#: The datums that a unit profile may name.
DATUMS = ("WGS-84", "GCJ-02", "BD-09")

_AXIS_M = 6_378_245.0
_ECCENTRICITY2 = 0.00669342162296594323
_BD_PI = math.pi * 3000.0 / 180.0
_TOLERANCE_DEG = 1e-11
#: The shift changes by less than 1 % of a step, so each iteration gains two digits; five are enough.
_ITERATIONS_MAX = 20


def in_shifted_box(lon: float, lat: float) -> bool:
    """Whether the shift of GCJ-02 is defined there (WGS-84 degrees)."""
    return 72.004 <= lon <= 137.8347 and 0.8293 <= lat <= 55.8271


def wgs84_to_gcj02(lon: float, lat: float) -> tuple[float, float]:
    """GCJ-02 degrees of WGS-84 degrees."""
    if not in_shifted_box(lon, lat):
        return lon, lat
    x, y, pi = lon - 105.0, lat - 35.0, math.pi
    common = (20.0 * math.sin(6.0 * x * pi) + 20.0 * math.sin(2.0 * x * pi)) * 2.0 / 3.0
    root = math.sqrt(abs(x))
    north_m = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + common
    north_m += (20.0 * math.sin(y * pi) + 40.0 * math.sin(y / 3.0 * pi)) * 2.0 / 3.0
    north_m += (160.0 * math.sin(y / 12.0 * pi) + 320.0 * math.sin(y * pi / 30.0)) * 2.0 / 3.0
    east_m = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + common
    east_m += (20.0 * math.sin(x * pi) + 40.0 * math.sin(x / 3.0 * pi)) * 2.0 / 3.0
    east_m += (150.0 * math.sin(x / 12.0 * pi) + 300.0 * math.sin(x / 30.0 * pi)) * 2.0 / 3.0
    phi = math.radians(lat)
    flat = 1.0 - _ECCENTRICITY2 * math.sin(phi) ** 2
    meridian_m = _AXIS_M * (1.0 - _ECCENTRICITY2) / (flat * math.sqrt(flat))
    parallel_m = _AXIS_M / math.sqrt(flat) * math.cos(phi)
    return lon + math.degrees(east_m / parallel_m), lat + math.degrees(north_m / meridian_m)


def gcj02_to_bd09(lon: float, lat: float) -> tuple[float, float]:
    """BD-09 degrees of GCJ-02 degrees."""
    radius = math.hypot(lon, lat) + 0.00002 * math.sin(lat * _BD_PI)
    angle = math.atan2(lat, lon) + 0.000003 * math.cos(lon * _BD_PI)
    return radius * math.cos(angle) + 0.0065, radius * math.sin(angle) + 0.006


def wgs84_to_bd09(lon: float, lat: float) -> tuple[float, float]:
    """BD-09 degrees of WGS-84 degrees."""
    return gcj02_to_bd09(*wgs84_to_gcj02(lon, lat))


_FORWARD: dict[str, Callable[[float, float], tuple[float, float]]] = {
    "GCJ-02": wgs84_to_gcj02,
    "BD-09": wgs84_to_bd09,
}


def to_wgs84(lon: float, lat: float, datum: str) -> tuple[float, float]:
    """WGS-84 degrees of degrees in one of `DATUMS`; WGS-84 comes back exactly as it is.

    Within a kilometre of the edge of the shifted box, where the forward formula jumps, there may be no
    inverse; the last iterate is returned then.
    """
    if datum == "WGS-84":
        return lon, lat
    forward = _FORWARD[datum]
    guess_lon, guess_lat = lon, lat
    for _ in range(_ITERATIONS_MAX):
        there_lon, there_lat = forward(guess_lon, guess_lat)
        error_lon, error_lat = there_lon - lon, there_lat - lat
        guess_lon, guess_lat = guess_lon - error_lon, guess_lat - error_lat
        if max(abs(error_lon), abs(error_lat)) < _TOLERANCE_DEG:
            break
    return guess_lon, guess_lat
