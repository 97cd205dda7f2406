"""What a batch costs that touches many units, each with few new fixes: the steps of the worker, a touched unit.

    python benchmarks/touch.py [--units N] [--fixes K] [--minutes M [M ...]] [--rounds R]

A city of square blocks in an embedded store, and units that sweep it as they like, with a report every second.
Tracks of each length in turn grow by batches in which each unit has K new fixes. Printed is, for each step, the
median of the rounds in microseconds a touched unit; the last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from statistics import median

import numpy as np
import psycopg
from numpy.typing import NDArray

from swept.kernel_cache import use_own_cache

use_own_cache()

from processing.district import District, Street, Unit, UnitProfile
from processing.geodesy import LocalProjection
from processing.pipeline import Core
from processing.service_day import US, day_start_us
from storage.migrate import migrate
from streams.log import Envelope
from streams.table_log import TableLog
from streams.worker import Bounds, Worker
from swept.embedded_postgres import EmbeddedPostgres
from swept.kernels import warm

PLANE = LocalProjection(122.27, 40.67)
BLOCKS, BLOCK_M = 40, 120.0
SPEED_M_S, NOISE_M = 2.5, 3.0
START_US = day_start_us(date(2024, 5, 1), 6 * 3600, "Asia/Shanghai")
STEPS = ("read", "decode", "fence", "reports", "tracks", "unit_days", "figures", "checkpoint", "commit")


def city(units: int) -> District:
    """Square blocks, each of their sides a street of its own."""
    streets = []
    for a in range(BLOCKS + 1):
        for b in range(BLOCKS):
            for name, line in (("n", ((a, b), (a, b + 1))), ("e", ((b, a), (b + 1, a)))):
                lon, lat = PLANE.to_lonlat(*(BLOCK_M * np.array(line, dtype=float).T))
                places = tuple(zip(lon.round(7).tolist(), lat.round(7).tolist(), strict=True))
                streets.append(Street(f"{name}{a}-{b}", f"{name}{a}-{b}", (places,)))
    profile = UnitProfile("sweeper")
    return District(
        district_id="city",
        name="City",
        streets=tuple(streets),
        roads=(),
        units=tuple(Unit(f"u{n}", f"Unit {n}", profile) for n in range(units)),
        map_version="map",
    )


def walk(random: np.random.Generator, seconds: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places of a unit, one a second, that turns as it likes at corners but never back."""
    corners = [random.integers(1, BLOCKS, 2)]
    ways = np.array(((0, 1), (1, 0), (0, -1), (-1, 0)))
    way = int(random.integers(4))
    while len(corners) < seconds * SPEED_M_S / BLOCK_M + 3:
        choices = [w for w in (way, (way + 1) % 4, (way + 3) % 4) if _inside(corners[-1] + ways[w])]
        way = int(random.choice(choices)) if choices else (way + 2) % 4
        corners.append(corners[-1] + ways[way])
    at_m = SPEED_M_S * np.arange(seconds)
    ends_m = BLOCK_M * np.arange(len(corners))
    places = BLOCK_M * np.array(corners, dtype=float)
    noise = random.normal(0.0, NOISE_M, (2, seconds + 8))
    # A receiver's errors are correlated.
    smooth = np.stack([np.convolve(one, np.full(9, 1 / 3.0), "valid") for one in noise])
    return (
        np.interp(at_m, ends_m, places[:, 0]) + smooth[0],
        np.interp(at_m, ends_m, places[:, 1]) + smooth[1],
    )


def _inside(corner: NDArray[np.int64]) -> bool:
    return bool((corner >= 0).all() and (corner <= BLOCKS).all())


def messages(
    unit_id: str, lon: Sequence[float], lat: Sequence[float], first: int, size: int
) -> list[Envelope]:
    """The reports as messages of so many; they come in as soon as the last of each was measured."""
    out = []
    for low in range(0, len(lon), size):
        fixes = [
            {
                "time": START_US // 1_000 + 1_000 * (first + i),
                "lon": lon[i],
                "lat": lat[i],
                "speed_kmh": 3.6 * SPEED_M_S,
                "equipment": {"brush": True},
            }
            for i in range(low, min(low + size, len(lon)))
        ]
        received_us = START_US + (first + low + len(fixes)) * US
        out.append(Envelope(unit_id, f"swept/v1/city/{unit_id}/fix", json.dumps(fixes).encode(), received_us))
    return out


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--units", type=int, default=300)
    parser.add_argument("--fixes", type=int, default=1, help="new fixes of each unit in a batch")
    parser.add_argument("--minutes", type=int, nargs="+", default=[5, 60, 240], help="lengths of tracks")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    found = {}
    core = Core(city(args.units))
    warm(core)
    with tempfile.TemporaryDirectory(prefix="swept-touch-") as folder:
        Path(folder).chmod(0o711)
        postgres = EmbeddedPostgres(Path(folder) / "postgres")
        url = postgres.start()
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                migrate(connection)
            found = measured(url, core, args)
        finally:
            postgres.destroy()
    for minutes, (each_us, total_us) in found.items():
        steps = "  ".join(f"{step} {us:.0f}" for step, us in each_us.items())
        print(f"{args.units} units, tracks of {minutes} min: {total_us:.0f} us a touched unit:  {steps}")
    print(json.dumps({str(minutes): {**steps, "total": total} for minutes, (steps, total) in found.items()}))


def measured(url: str, core: Core, args: argparse.Namespace) -> dict[int, tuple[dict[str, float], float]]:
    """Microseconds a touched unit of each step and of all, by the tracks' length in minutes."""
    lengths = sorted(args.minutes)
    seconds = 60 * lengths[-1] + len(lengths) * (args.rounds + 2) * args.fixes
    random = np.random.default_rng(1)
    places = {
        unit: [each.round(7).tolist() for each in PLANE.to_lonlat(*walk(random, seconds))]
        for unit in core.units
    }
    found = {}
    at = 0
    took: dict[str, float] = defaultdict(float)
    last = time.perf_counter()

    def note(step: str) -> None:
        nonlocal last
        now = time.perf_counter()
        took[step] += now - last
        last = now

    with contextlib.closing(TableLog(url)) as log:
        worker = Worker(url, log, core, "rules", bounds=Bounds(records_max=10_000), on_step=note)
        for minutes in lengths:
            more = 60 * minutes - at
            for unit, (lon, lat) in places.items():
                log.append(messages(unit, lon[at : at + more], lat[at : at + more], at, 60))
            worker.drain()
            at += more
            rounds: list[dict[str, float]] = []
            for _ in range(args.rounds + 2):
                until = at + args.fixes
                log.append(
                    [
                        one
                        for unit, (lon, lat) in places.items()
                        for one in messages(unit, lon[at:until], lat[at:until], at, args.fixes)
                    ]
                )
                at = until
                took.clear()
                last = time.perf_counter()
                worker.drain()
                rounds.append({step: 1e6 * took[step] / args.units for step in STEPS})
            kept = rounds[2:]
            each = {step: round(median(one[step] for one in kept), 1) for step in STEPS}
            found[minutes] = each, round(median(sum(one.values()) for one in kept), 1)
        worker.close()
    return found


if __name__ == "__main__":
    main()
