"""What a fix costs live: one fix of one unit a call, as when they come one by one.

    python benchmarks/live.py [--units N] [--repeats N]

Units take turns, each with a state of its own, through the first fixes of simulated tracks at 5 m and 5 s. The
median of the repeats is printed, with the bytes of a unit's state and their bound; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from statistics import median

import numpy as np

from swept.kernel_cache import use_own_cache

use_own_cache()

from benchmarks.families import for_fitting
from processing.lattice import Lattice, Weights
from processing.live import STATE_BYTES_MAX, begin_live, take_live
from processing.match import TrackFixes, weights_of
from processing.pipeline import Core
from simulators.roads import Roads
from simulators.scenario import true_shift
from swept.playing import district_and_plan
from swept.settings import configs_folder

FIXES = 300


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--units", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    district, rounds = district_and_plan(configs_folder() / "zhanqian")
    core, scenario = Core(district), for_fitting()["shift"]
    shift = true_shift(district, scenario, rounds, Roads(district))
    reception = replace(scenario.reception, sigma_m=5.0, fix_interval_s=5.0)
    tracks = [
        (core.units[unit_id].profile, fixes)
        for unit_id, columns in shift.sensed(reception).items()
        for fixes, _ in core.matched(unit_id, columns)
        if len(fixes.time_us) >= FIXES
    ]
    units = [tracks[i % len(tracks)] for i in range(args.units)]
    weights = [weights_of(profile, core.rules) for profile, _ in units]
    singles = [[fixes.part(i, i + 1) for i in range(FIXES)] for _, fixes in units]
    _played(core, weights, singles)
    seconds, states = zip(*(_played(core, weights, singles) for _ in range(args.repeats)), strict=True)
    calls = args.units * FIXES
    each_us = 1e6 * median(seconds) / calls
    held = np.array([sum(column.nbytes for column in state) for state in states[-1]])
    print(f"{calls:,} calls, {len(tracks)} tracks, {args.units} units in turn, median of {args.repeats}")
    print(f"  {each_us:.1f} us a fix and call: {1e6 / each_us:,.0f} units a second on one core")
    print(
        f"  state of a unit: {held.mean():,.0f} bytes in the mean, {held.max():,} at most here, bound {STATE_BYTES_MAX:,}"
    )
    print(
        json.dumps(
            {
                "us_per_call": round(each_us, 2),
                "units_per_second": round(1e6 / each_us),
                "state_bytes_mean": round(float(held.mean())),
                "state_bytes_max": STATE_BYTES_MAX,
            }
        )
    )


def _played(
    core: Core, weights: list[Weights], singles: list[list[TrackFixes]]
) -> tuple[float, list[Lattice]]:
    """Seconds that all calls took, and the states at the end."""
    states = [begin_live() for _ in singles]
    begun = time.perf_counter()
    for i in range(FIXES):
        for unit, fixes in enumerate(singles):
            states[unit], _ = take_live(core.network, core.routes, weights[unit], states[unit], fixes[i])
    return time.perf_counter() - begun, states


if __name__ == "__main__":
    main()
