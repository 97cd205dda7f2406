"""Drives whose every fix has its true place, as a file, and in towns that are several districts large.

A tiled town holds the same district several times side by side, joined by its roads, with the same drives in
each tile: what a fix costs there and in the one district differs by the map's size alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from processing.district import District, Line, Road
from processing.fix import Kind, ReportColumns

#: Between two tiles, in degrees: some 100 m.
MARGIN_DEG = 0.001
LonLat = tuple[float, float]
AnyLine = TypeVar("AnyLine", bound=Line)


@dataclass(frozen=True, slots=True, eq=False)
class Drive:
    """What a unit measured in a shift, and where it truly was at each fix: the index of the line, the measure."""

    unit_id: str
    reports: ReportColumns
    line: NDArray[np.int64]
    measure_m: NDArray[np.float64]


def tiled(
    district: District, drives: Sequence[Drive], columns: int, rows: int
) -> tuple[District, list[Drive]]:
    """A town of so many copies of the district, and the drives in each of them."""
    shifts, (width, height) = shifts_of(district, columns, rows)
    streets = [_moved(street, shift, n) for n, shift in enumerate(shifts) for street in district.streets]
    roads = [_moved(road, shift, n) for n, shift in enumerate(shifts) for road in district.roads]
    links: list[Road] = []
    for n, (r, c) in enumerate(product(range(rows), range(columns))):
        links += _links(district.roads, shifts[n], (width, 0.0), f"{n}-e") if c + 1 < columns else []
        links += _links(district.roads, shifts[n], (0.0, height), f"{n}-n") if r + 1 < rows else []
    town = replace(district, streets=tuple(streets), roads=(*roads, *links))
    own, all_own = len(district.streets), len(streets)
    everywhere = []
    for n, (lon, lat) in enumerate(shifts):
        for drive in drives:
            reports = replace(drive.reports, lon=drive.reports.lon + lon, lat=drive.reports.lat + lat)
            on_road = drive.line >= own
            first = np.where(on_road, all_own - own + n * len(district.roads), n * own)
            everywhere.append(replace(drive, reports=reports, line=drive.line + first))
    return town, everywhere


def shifts_of(district: District, columns: int, rows: int) -> tuple[list[LonLat], LonLat]:
    """By how many degrees each tile of a town is moved, and how large a tile is with its margin."""
    lines = (*district.streets, *district.roads)
    degrees = np.array([point for line in lines for part in line.parts for point in part])
    width, height = (degrees.max(axis=0) - degrees.min(axis=0) + MARGIN_DEG).tolist()
    return [(c * width, r * height) for r, c in product(range(rows), range(columns))], (width, height)


def grid_of(tiles: int) -> tuple[int, int]:
    """Columns and rows of so many tiles, as near to a square as they go."""
    rows = max(r for r in range(1, int(tiles**0.5) + 1) if tiles % r == 0)
    return tiles // rows, rows


def _moved(line: AnyLine, shift: LonLat, tile: int) -> AnyLine:
    parts = tuple(tuple((lon + shift[0], lat + shift[1]) for lon, lat in part) for part in line.parts)
    return replace(line, line_id=f"{line.line_id}.{tile}", parts=parts)


def _links(roads: Sequence[Road], shift: LonLat, step: LonLat, name: str) -> list[Road]:
    """Roads from where the tile's own end to where the next tile's begin."""
    axis = 0 if step[0] > 0.0 else 1
    links = []
    for road in roads:
        low, high = sorted((road.parts[0][0], road.parts[-1][-1]), key=lambda point: point[axis])
        if abs(high[axis] - low[axis]) > abs(high[1 - axis] - low[1 - axis]):
            begin = high[0] + shift[0], high[1] + shift[1]
            end = low[0] + shift[0] + step[0], low[1] + shift[1] + step[1]
            links.append(Road(f"{road.line_id}.{name}", road.name, ((begin, end),)))
    return links


def write_drives(path: Path, drives: Sequence[Drive]) -> None:
    """Drives without their truth as a file that any release's arrays can be made of."""
    arrays: dict[str, Any] = {}
    for i, drive in enumerate(drives):
        reports = drive.reports
        arrays[f"{i:04d} {drive.unit_id}"] = np.column_stack(
            [
                reports.fix_time_us.astype(np.float64),
                reports.lon,
                reports.lat,
                reports.speed_kmh,
                reports.heading_deg,
                reports.accuracy_m,
                reports.equipment,
            ]
        )
    np.savez(path, **arrays)


def read_drives(path: Path) -> list[tuple[str, ReportColumns]]:
    """Unit and reports of each drive in a file."""
    with np.load(path) as file:
        tables = [(name.split(" ", 1)[1], file[name]) for name in sorted(file.files)]
    return [(unit_id, _reports(table)) for unit_id, table in tables]


def _reports(table: NDArray[np.float64]) -> ReportColumns:
    time_us, lon, lat, speed_kmh, heading_deg, accuracy_m = (table[:, i].copy() for i in range(6))
    kind, equipment = np.full(len(table), Kind.FIX, dtype=np.int8), table[:, 6:].astype(np.int8)
    levels = np.full((len(table), 2), np.nan)
    return ReportColumns(
        time_us.astype(np.int64), kind, lon, lat, speed_kmh, heading_deg, accuracy_m, equipment, levels
    )
