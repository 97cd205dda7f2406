"""Metres from degrees: the one place where the shape of the earth is known.

A district is small, so metres come from the plane that touches the WGS-84 ellipsoid in its middle: the
radii of curvature there give metres per degree. Ten kilometres off, lengths are right to about 0.1 %, and
streets and fixes are bent alike. Web Mercator, which stretches 41.9 degrees north by a third, never enters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from processing.district import District

#: WGS-84: semi-major axis in metres and first eccentricity squared.
SEMI_MAJOR_M = 6_378_137.0
ECCENTRICITY_2 = 0.006_694_379_990_14


@dataclass(frozen=True, slots=True)
class LocalProjection:
    """Plane metres east (x) and north (y) of (lon0, lat0)."""

    lon0_deg: float
    lat0_deg: float
    x_m_per_deg: float = field(init=False)
    y_m_per_deg: float = field(init=False)

    def __post_init__(self) -> None:
        lat = math.radians(self.lat0_deg)
        w2 = 1.0 - ECCENTRICITY_2 * math.sin(lat) ** 2
        east = SEMI_MAJOR_M / math.sqrt(w2) * math.cos(lat)
        north = SEMI_MAJOR_M * (1.0 - ECCENTRICITY_2) / (w2 * math.sqrt(w2))
        object.__setattr__(self, "x_m_per_deg", math.radians(east))
        object.__setattr__(self, "y_m_per_deg", math.radians(north))

    def to_xy(
        self, lon: NDArray[np.float64] | float, lat: NDArray[np.float64] | float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Metres east and north of the origin; takes and gives floats or arrays of one shape."""
        x_m = (np.asarray(lon, dtype=np.float64) - self.lon0_deg) * self.x_m_per_deg
        y_m = (np.asarray(lat, dtype=np.float64) - self.lat0_deg) * self.y_m_per_deg
        return x_m, y_m

    def to_lonlat(
        self, x_m: NDArray[np.float64] | float, y_m: NDArray[np.float64] | float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Degrees of metres east and north of the origin."""
        lon = np.asarray(x_m, dtype=np.float64) / self.x_m_per_deg + self.lon0_deg
        lat = np.asarray(y_m, dtype=np.float64) / self.y_m_per_deg + self.lat0_deg
        return lon, lat


def projection_of(district: District) -> LocalProjection:
    """The projection of a district, from the middle of its lines."""
    degrees = [
        point for line in (*district.streets, *district.roads) for part in line.parts for point in part
    ]
    lon, lat = np.array(degrees).T
    return LocalProjection(
        round(float((lon.min() + lon.max()) / 2), 3), round(float((lat.min() + lat.max()) / 2), 3)
    )
