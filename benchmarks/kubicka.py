"""Match recordings with hand-corrected routes (Kubicka et al. 2015) and say how right the routes are.

    python benchmarks/kubicka.py FOLDER [--every SECONDS] [--out DIR]

FOLDER holds a folder per track, or the zip of them (simulators/kubicka.py says what is in it). The figure is
F1, weighted by length, over the multiset of undirected arcs: consecutive repeats of one arc count once, so a
street driven twice counts twice. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from swept.kernel_cache import use_own_cache

use_own_cache()

from processing.district import District, Unit, UnitProfile
from processing.fix import Kind, Report, ReportColumns
from processing.join import join_steps
from processing.pipeline import Core, steps_of
from simulators.kubicka import Recording, read_recording, track_folders

CAR = Unit("car", "car", UnitProfile("car", working_when=(), top_speed_kmh=200.0))


def reports_of(recording: Recording) -> ReportColumns:
    """The fixes as reports of the car, whose clock begins with 1970."""
    return ReportColumns.of(
        [
            Report("car", Kind.FIX, round(1e6 * t), round(1e6 * t), lon=lon, lat=lat)
            for lon, lat, t in recording.fixes.tolist()
        ]
    )


def thin(reports: ReportColumns, every_s: float) -> ReportColumns:
    """Fixes at least `every_s` apart, the first one kept."""
    keep, last = [], -(10**18)
    for i, moment in enumerate(reports.fix_time_us.tolist()):
        if moment - last >= every_s * 1e6:
            keep.append(i)
            last = moment
    return reports.take(np.array(keep))


def matched_arcs(core: Core, reports: ReportColumns) -> list[int]:
    """Arc indexes of the decoded path in order, consecutive repeats once."""
    arcs: list[int] = []
    for fixes, match in core.matched("car", reports):
        legs, _ = join_steps(core.network, core.routes, match.weights, steps_of(fixes, match))
        own = [int(core.line_of_edge(edge)) for edge in legs.edge]
        lengths = np.abs(legs.to_m - legs.from_m)
        for arc, length in zip(own, lengths, strict=True):
            if length > 0.0 and (not arcs or arcs[-1] != arc):
                arcs.append(arc)
    return arcs


def agreement(core: Core, found: list[int], route: list[int]) -> tuple[float, float, float]:
    """Metres of (found and true, found, true), as multisets of arcs."""
    length = {int(ref.line_id): ref.length_mm / 1000 for ref in core.line_references}
    have, want = Counter(found), Counter(route)
    both = have & want
    return tuple(sum(length.get(arc, 0.0) * n for arc, n in c.items()) for c in (both, have, want))  # type: ignore[return-value]


def main() -> None:
    """Run all tracks of a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=float, default=0.0, help="seconds between the fixes used")
    parser.add_argument("--out", type=Path, help="write DIR/TRACK.arcs here")
    args = parser.parse_args()
    try:
        folders = track_folders(args.folder)
    except ValueError as error:
        sys.exit(f"{error}.")
    precision, recall, f1s, fixes, seconds = [], [], [], 0, 0.0
    for folder in folders:
        recording = read_recording(folder)
        core = Core(District(recording.name, "", (), recording.roads, (CAR,), noded=True))
        reports = thin(reports_of(recording), args.every)
        matched_arcs(core, reports.take(slice(0, 2)))
        begun = time.perf_counter()
        found = matched_arcs(core, reports)
        seconds += time.perf_counter() - begun
        fixes += len(reports)
        both, have, want = agreement(core, found, [int(arc) for arc in recording.route])
        precision.append(both / have if have else 0.0)
        recall.append(both / want)
        f1s.append(2 * both / (have + want))
        print(f"{recording.name} f1 {f1s[-1]:.4f} precision {precision[-1]:.4f} recall {recall[-1]:.4f}")
        if args.out:
            args.out.mkdir(parents=True, exist_ok=True)
            (args.out / f"{recording.name}.arcs").write_text("".join(f"{arc}\n" for arc in found))
    print(
        json.dumps(
            {
                "tracks": len(folders),
                "fixes": fixes,
                "precision": round(float(np.mean(precision)), 4),
                "recall": round(float(np.mean(recall)), 4),
                "f1": round(float(np.mean(f1s)), 4),
                "fixes_per_second": round(fixes / seconds),
            }
        )
    )


if __name__ == "__main__":
    main()
