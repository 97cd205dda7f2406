"""How often a street's frequency is exactly right, by the receiver's noise and the interval of fixes.

    python benchmarks/accuracy.py [--scenario shift] [--seeds N] [--bare]

Each line is a noise and an interval: the mean share of streets whose frequency is exactly right after a
simulated shift, how many streets in a thousand are off by more than one, and the share of passes that are
certain. With --bare the fixes tell time, place and equipment alone: no speed, heading or accuracy.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from swept.kernel_cache import use_own_cache

use_own_cache()

from processing.decode import Directory, decode
from processing.fix import Report
from processing.pipeline import Core, analyze
from simulators.scenario import Scenario, load_scenario, play
from swept.playing import district_and_plan
from swept.settings import configs_folder

#: Noise in metres and seconds between two fixes.
GRID = ((3.0, 1.0), (5.0, 5.0), (8.0, 5.0), (5.0, 10.0), (8.0, 15.0))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenario", default="shift")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--bare", action="store_true", help="leave out speed, heading and accuracy")
    args = parser.parse_args()
    district, rounds = district_and_plan(configs_folder() / "zhanqian")
    base = load_scenario(configs_folder() / "scenarios" / f"{args.scenario}.toml")
    core, directory = Core(district), Directory.of(district)

    def one(scenario: Scenario) -> tuple[int, int, int, int]:
        run = play(district, scenario, rounds)
        reports: list[Report] = []
        for sent in run.deliveries:
            reports += decode(sent.mqtt_topic, sent.payload, sent.deliver_at_us, directory).reports
        if args.bare:
            reports = [replace(r, speed_kmh=None, heading_deg=None, accuracy_m=None) for r in reports]
        analysis = analyze(district, reports, core)
        truth = {(s.street_id, s.work): s.frequency for s in core.street_days(run.truth_passes)}
        found = {(s.street_id, s.work): s.frequency for s in analysis.street_days}
        off = [
            abs(truth.get((s.street_id, s.work), 0) - found.get((s.street_id, s.work), 0))
            for s in district.streets
        ]
        swept = [p for p in analysis.passes if p.swept]
        certain = sum(p.ambiguous_with is None for p in swept)
        return sum(o == 0 for o in off), sum(o > 1 for o in off), certain, len(swept)

    print("noise interval   exactly right   off by more   certain")
    for sigma_m, every_s in GRID:
        reception = replace(base.reception, sigma_m=sigma_m, fix_interval_s=every_s)
        results = [one(replace(base, seed=seed, reception=reception)) for seed in range(1, args.seeds + 1)]
        exact, off, certain, swept = (sum(column) for column in zip(*results, strict=True))
        streets = len(district.streets) * args.seeds
        print(
            f"{sigma_m:3.0f} m  {every_s:4.0f} s      {exact / streets:10.4f}"
            f"   {1000 * off / streets:6.1f} in 1000   {certain / swept:7.3f}"
        )


if __name__ == "__main__":
    main()
