"""No credit where nobody drove: avenues are swept 12 to 20 m beside alleys that nobody enters.

    python benchmarks/no_credit.py [--shifts 1000] [--seed 1] [--jobs 1]

A shift is 8 hours of several units on the avenues of a made-up district with more than a hundred alleys close
beside them: along both kerbs, turning at crossings, stopping, brush up and down, with (8 m, 15 s) reception
whose noise keeps for 20 to 40 s, in every other shift under walls that push across the street. Whatever an
alley gets is wrong. Every shift is matched twice, with told speeds, headings and accuracies and without.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np

from swept.kernel_cache import use_own_cache

use_own_cache()

from shapely.geometry import LineString
from shapely.ops import unary_union

from benchmarks.families import passes_of, stripped
from processing.district import Unit
from processing.district_files import parse_district
from processing.fix import ReportColumns
from processing.pipeline import Core
from processing.service_day import US
from simulators.district import generate
from simulators.district_close import CLOSE_M
from simulators.receiver import Reception, Sky, sense
from simulators.roads import Roads, Step
from simulators.vehicle import Gait, Leg, drive
from simulators.walls import Walls

SIGMA_M, EVERY_S = 8.0, 15.0
UNITS, SHIFT_S = 4, 8 * 3_600.0
#: 06:00 on 1 June 2026 in Shanghai.
START_US = 1_780_264_800 * US
SHIFTS_PER_DISTRICT = 25
#: An alley counts as close if so much of it lies CLOSE_M from a road.
CLOSE_SHARE = 0.6
STOP_SHARE, TURN_SHARE, BRUSH_SHARE = 0.15, 0.05, 0.85
LATERAL_M = (1.5, 4.0)
#: What devices tell, and what they are under in shifts with even and with odd seeds.
TELLS, SKIES = ("everything", "time and place"), ("open sky", "walls")


@dataclass(frozen=True, slots=True)
class Credit:
    """What was found in some shifts: street-days, and those with a (certain) frequency of 1 or more."""

    shifts: int = 0
    street_days: int = 0
    credited: int = 0
    certain: int = 0
    passes: int = 0

    def __add__(self, other: Credit) -> Credit:
        return Credit(
            self.shifts + other.shifts,
            self.street_days + other.street_days,
            self.credited + other.credited,
            self.certain + other.certain,
            self.passes + other.passes,
        )


def avenue_legs(roads: Roads, rng: np.random.Generator) -> list[Leg]:
    """A random way along context roads alone, for longer than a shift."""
    ways = {
        node: [(s, to) for s, to in roads.steps(node) if not roads.lines[s.line].is_street]
        for node in range(len(roads.node_xy))
    }
    node = int(rng.choice([node for node, out in ways.items() if len(out) > 2]))
    step, legs, elapsed_s = None, list[Leg](), 0.0
    lateral_m, brush, speed_kmh = 2.0, True, 8.0
    while elapsed_s < 1.2 * SHIFT_S:
        step, node = _onward(ways[node], step, rng)
        if len(ways[node]) > 2 or not legs:  # a crossing of avenues: something new may begin
            lateral_m, brush = rng.uniform(*LATERAL_M), bool(rng.random() < BRUSH_SHARE)
            speed_kmh = rng.uniform(5.0, 10.0) if brush else rng.uniform(15.0, 30.0)
        stop_s = float(rng.uniform(5.0, 60.0)) if rng.random() < STOP_SHARE else 0.0
        legs.append(
            Leg(*step, speed_kmh, brush, stop_s=stop_s, stop_working=brush, lateral_m=float(lateral_m))
        )
        elapsed_s += abs(step.to_m - step.from_m) * 3.6 / speed_kmh + stop_s
    return legs


def _onward(ways: list[tuple[Step, int]], before: Step | None, rng: np.random.Generator) -> tuple[Step, int]:
    """One of the ways from a node, seldom the one back; straight on at an alley's mouth."""
    if before is None:
        return ways[int(rng.integers(len(ways)))]
    back = Step(before.line, before.to_m, before.from_m)
    onward = [way for way in ways if way[0] != back] or ways
    if len(ways) > 2 and len(onward) < len(ways) and rng.random() < TURN_SHARE:
        return next(way for way in ways if way[0] == back)
    return onward[int(rng.integers(len(onward)))]


def close_alleys(roads: Roads) -> frozenset[str]:
    """The alleys most of which lies 12 to 20 m from a context road; at their ends they meet others."""
    context = unary_union([LineString(line.xy) for line in roads.lines if not line.is_street])
    found = set()
    for line in roads.lines:
        if line.is_street:
            shape = LineString(line.xy)
            gaps = [
                shape.interpolate(share, normalized=True).distance(context)
                for share in np.arange(0.01, 1, 0.02)
            ]
            near = np.mean([CLOSE_M[0] - 0.5 <= gap <= CLOSE_M[1] + 0.5 for gap in gaps])
            if near >= CLOSE_SHARE:
                found.add(line.line.line_id)
    return frozenset(found)


def sensed(roads: Roads, units: tuple[Unit, ...], seed: int) -> dict[str, ReportColumns]:
    """What the units measured in a shift."""
    rng = np.random.default_rng([seed, 5])
    reception = Reception(
        fix_interval_s=EVERY_S,
        sigma_m=SIGMA_M,
        correlation_s=float(rng.uniform(20.0, 40.0)),
        unit_bias_m=1.0,
        canyons_per_h=0.5,
        canyon_bias_m=10.0,
        dropouts_per_h=1.0,
    )
    walls = Walls(share=0.12 if seed % 2 else 0.0, push_m=6.0, sigma_m=4.0)
    out = {}
    for unit in units:
        gait = Gait(0.6, 1.0 - 0.2 * rng.random(997))
        bounds = START_US, START_US + round(SHIFT_S * US)
        motion = drive(unit, avenue_legs(roads, rng), bounds, 0.0, gait)
        out[unit.unit_id] = sense(motion, roads, Sky(reception, walls, seed), rng).columns
    return out


def credit(core: Core, units: dict[str, ReportColumns], alleys: frozenset[str]) -> Credit:
    """What the alleys got in one shift."""
    passes = passes_of(core, units)
    days = [day for day in core.street_days(passes) if day.street_id in alleys]
    return Credit(
        shifts=1,
        street_days=len(alleys),
        credited=sum(day.frequency >= 1 for day in days),
        certain=sum(day.frequency_certain >= 1 for day in days),
        passes=sum(bool(one.swept) and one.street_id in alleys for one in passes),
    )


def in_district(task: tuple[int, int]) -> dict[tuple[str, str], Credit]:
    """Shifts with these seeds in one district, by what devices tell and what they are under."""
    first_seed, shifts = task
    district = parse_district(generate(900_000 + first_seed, "avenues"))
    core, roads = Core(district), Roads(district)
    alleys = close_alleys(roads)
    sweepers = tuple(unit for unit in district.units if unit.profile.profile_id == "sweeper")[:UNITS]
    found = dict.fromkeys(product(TELLS, SKIES), Credit())
    for seed in range(first_seed, first_seed + shifts):
        units = sensed(roads, sweepers, seed)
        bare = {name: stripped(columns) for name, columns in units.items()}
        for tells, columns in zip(TELLS, (units, bare), strict=True):
            found[tells, SKIES[seed % 2]] += credit(core, columns, alleys)
    return found


def all_districts(tasks: list[tuple[int, int]], jobs: int) -> Iterator[dict[tuple[str, str], Credit]]:
    """The credits of all tasks, from so many processes."""
    if jobs == 1:
        yield from map(in_district, tasks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(in_district, tasks)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shifts", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first shift; the others follow")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    args = parser.parse_args()
    end = args.seed + args.shifts
    starts = range(args.seed, end, SHIFTS_PER_DISTRICT)
    tasks = [(start, min(SHIFTS_PER_DISTRICT, end - start)) for start in starts]
    began_s = time.monotonic()
    total = dict.fromkeys(product(TELLS, SKIES), Credit())
    for found in all_districts(tasks, args.jobs):
        total = {key: total[key] + found[key] for key in total}
    print("devices tell    under       shifts  street-days  certain credits  credits  per 1000  swept passes")
    for tells in TELLS:
        rows = {sky: total[tells, sky] for sky in SKIES}
        for sky, row in (*rows.items(), ("both", sum(rows.values(), Credit()))):
            rate = 1_000 * row.credited / max(row.street_days, 1)
            print(
                f"{tells:15} {sky:11} {row.shifts:6} {row.street_days:12,} {row.certain:16} {row.credited:8}"
                f" {rate:9.3f} {row.passes:13,}"
            )
    print(f"seeds {args.seed} to {end - 1}, {time.monotonic() - began_s:.0f} s")


if __name__ == "__main__":
    main()
