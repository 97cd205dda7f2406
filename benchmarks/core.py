"""What a fix costs in the core, stage by stage, in microseconds on one thread.

    python benchmarks/core.py [--repeats N]

A simulated shift of twelve units goes through decoding, settling identities, columns, tracks with their
passes, and street-days. The stages take turns in each repeat; the median of the repeats is printed, and the
last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from statistics import median
from typing import Any

from swept.kernel_cache import use_own_cache

use_own_cache()

from processing.decode import Directory, decode
from processing.fix import Report, ReportColumns
from processing.order import resolve
from processing.pipeline import Core
from simulators.scenario import load_scenario, play
from swept.playing import district_and_plan
from swept.settings import configs_folder


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    district, rounds = district_and_plan(configs_folder() / "zhanqian")
    run = play(district, load_scenario(configs_folder() / "scenarios" / "shift.toml"), rounds)
    directory, core = Directory.of(district), Core(district)

    def decoded() -> list[Report]:
        return [
            report
            for one in run.deliveries
            for report in decode(one.mqtt_topic, one.payload, one.deliver_at_us, directory).reports
        ]

    reports = decoded()
    accepted = resolve({}, reports).accepted
    by_unit: dict[str, list[Report]] = defaultdict(list)
    for report in accepted:
        by_unit[report.unit_id].append(report)

    def columns() -> dict[str, ReportColumns]:
        return {
            unit: ReportColumns.of(sorted(rows, key=lambda r: (r.fix_time_us, r.kind)))
            for unit, rows in by_unit.items()
        }

    whole = columns()
    passes = [
        one
        for unit, rows in whole.items()
        for track in core.tracks(unit, rows, {})
        for one in track.passes or ()
    ]
    stages: dict[str, Callable[[], Any]] = {
        "decode, one fix a message": decoded,
        "settle identities": lambda: resolve({}, reports),
        "columns": columns,
        "match alone": lambda: [core.matched(unit, rows) for unit, rows in whole.items()],
        "tracks: match, passes, ambiguity": lambda: [core.tracks(u, rows, {}) for u, rows in whole.items()],
        "street-days": lambda: core.street_days(passes),
    }
    seconds: dict[str, list[float]] = defaultdict(list)
    for stage in stages.values():
        stage()
    for _ in range(repeats):
        for name, stage in stages.items():
            begun = time.perf_counter()
            stage()
            seconds[name].append(time.perf_counter() - begun)
    costs = {name: 1e6 * median(times) / len(accepted) for name, times in seconds.items()}
    print(f"{len(accepted):,} fixes, {len(passes):,} passes, median of {repeats}")
    for name, cost in costs.items():
        print(f"  {name:34s} {cost:7.2f} us a fix")
    print(
        json.dumps(
            {"fixes": len(accepted), "us_per_fix": {name: round(cost, 2) for name, cost in costs.items()}}
        )
    )


if __name__ == "__main__":
    main()
